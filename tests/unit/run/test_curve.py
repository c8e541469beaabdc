"""Curves of trainings: read on the host, drawn for a terminal and as SVG."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from kit.cli.terminal_plot import plot_lines
from kit.errors import ConfigError, UnfitError
from kit.run.axes import axis_of, number_text
from kit.run.collect import collect
from kit.run.curve import Curve, read_curves
from kit.run.curve_svg import curve_svg
from kit.run.training_log import read_points, thinned
from tests.unit.run.factories import World, make_world
from tests.unit.run.fakes import FakeHost, exited

LOG = (
    '{"current_steps": 1, "loss": 4.0, "lr": 0.1}',
    '{"current_steps": 2, "loss": "2.5"}',
    '{"current_steps": 3, "eval_loss": 1.0}',
    '{"current_steps": 4, "loss": NaN}',
    "[]",
    '{"current_st',
)


def trained(folder: Path, *losses: float) -> World:
    """Two hosts after a training on both."""
    world = make_world(folder)
    log = [json.dumps({"current_steps": step, "loss": loss}) for step, loss in enumerate(losses, 1)]

    def work(host: FakeHost, container: str, run: Path) -> None:
        if host.name == "gpu1":
            (run / "out" / "trainer_log.jsonl").write_text("\n".join(log))
        host.engine.containers[container] = exited(0)

    for host in world.hosts.values():
        host.on_up = work
    return world


def test_only_numbers_of_that_name_are_points() -> None:
    assert read_points(LOG, "loss") == ((1, 4.0), (2, 2.5))
    assert read_points(LOG, "eval_loss") == ((3, 1.0),)


def test_thinned_keeps_both_ends() -> None:
    points = tuple((step, float(step)) for step in range(1000))
    found = thinned(points, 7)
    assert (len(found), found[0], found[-1]) == (7, points[0], points[-1])
    assert thinned(points[:3], 7) == points[:3]


def test_up_tells_the_losses_of_a_training(tmp_path: Path) -> None:
    world = trained(tmp_path, 4.0, 2.0, 1.0)
    assert world.up("train").losses == ((1, 4.0), (2, 2.0), (3, 1.0))


def test_the_newest_runs_are_read_where_they_are_gathered(tmp_path: Path) -> None:
    world = trained(tmp_path, 4.0, 1.0)
    ids = [world.up("train").run_id for _ in range(3)]
    found = read_curves(world.loaded, ("train",), world.toolbox, last=2)
    assert [curve.run_id for curve in found.curves] == ids[:0:-1]
    assert {curve.points for curve in found.curves} == {((1, 4.0), (2, 1.0))}
    assert world.hosts["gpu2"].closed


def test_what_has_no_curve_is_told_so(tmp_path: Path) -> None:
    world = trained(tmp_path, 4.0)
    with pytest.raises(UnfitError, match="never ran"):
        read_curves(world.loaded, ("train",), world.toolbox)
    with pytest.raises(ConfigError, match="only a training"):
        read_curves(world.loaded, ("merge",), world.toolbox)
    world.up("train")
    with pytest.raises(ConfigError, match="nothing logged 'reward'"):
        read_curves(world.loaded, ("train",), world.toolbox, value="reward")


def test_collect_draws_the_loss_beside_what_it_brought(tmp_path: Path) -> None:
    world = trained(tmp_path, 4.0, 1.0)
    world.up("train")
    found = collect(world.loaded, "train", tmp_path / "home", world.toolbox, world.notes)
    assert found.plot == str(tmp_path / "home" / "loss.svg")
    assert "last 1" in (tmp_path / "home" / "loss.svg").read_text()
    again = collect(world.loaded, "train", tmp_path / "home", world.toolbox, world.notes)
    assert again.fetched_files == 0


def curve(*points: tuple[int, float], job: str = "train") -> Curve:
    return Curve(job, "20260101-000000-aa", "done", points)


def test_the_svg_is_xml_whatever_the_names() -> None:
    text = curve_svg("loss", (curve((1, 4.0), (9, 1.0), job="a<&>b"), curve(), curve((2, 3.0))))
    root = ET.fromstring(text)
    lines = [one.attrib["points"] for one in root.iter("{http://www.w3.org/2000/svg}polyline")]
    assert lines[0].split()[0] == "70.0,40.0"
    assert lines[0].split()[-1] == "780.0,390.0"
    assert len(lines) == 2
    assert "a<&>b" in "".join(root.itertext())


def test_one_curve_falls_from_the_upper_left_to_the_lower_right() -> None:
    lines = list(plot_lines([((1, 4.0), (9, 1.0))], width=10, height=3))
    drawn = [line.partition("│")[2] or line.partition("┤")[2] for line in lines[:3]]
    assert drawn[0].strip() != ""
    assert drawn[0][0] != " "
    assert len(drawn[2]) == 10
    assert lines[-1].split() == ["1", "9"]


def test_several_curves_have_a_letter_each() -> None:
    text = "\n".join(plot_lines([((1, 4.0), (9, 3.0)), ((1, 2.0), (5, 1.0))], width=20, height=8))
    assert "a" in text
    assert "b" in text
    assert list(plot_lines([()])) == []


@pytest.mark.parametrize("values", [(3.0,), (0.0, 0.0), (-1.0, 5e8), (1e-9, 2e-9)])
def test_marks_stand_within_their_axis(values: tuple[float, ...]) -> None:
    axis = axis_of(values)
    marks = axis.marks(6)
    assert 1 <= len(marks) <= 7
    assert all(-1e-6 <= axis.share(mark) <= 1 + 1e-6 for mark in marks)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00001234567, "1.235e-05"),
        (12.3456, "12.35"),
        (30000.0, "30000"),
        (1234567.0, "1234567"),
    ],
)
def test_large_numbers_stand_whole(value: float, text: str) -> None:
    assert number_text(value) == text
