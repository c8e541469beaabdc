"""Shipping to the hosts of kit.yaml, some of which do not answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from kit.bundle.source import BundleSource
from kit.cli import crossing
from kit.errors import ConfigError, KitError, UnreachableError
from kit.host.port import Host
from kit.progress import NoProgress
from kit.project.load import LoadedProject, parse_project
from kit.workflow.ship_project import Shipped, plan_project_ship, ship_project
from tests.unit.ship.factories import ship_bundle_source
from tests.unit.ship.fake_host import FakeHost

YAML = """\
version: 1
name: demo
stack: cpu
models: {tiny: {source: folder, path: model}}
datasets: {}
images: [train]
hosts:
  gpu1: {address: 10.0.0.11, root: ROOT1}
  gpu2: {address: 10.0.0.12, root: ROOT2}
"""


class Phases(NoProgress):
    def __init__(self) -> None:
        self.phases: list[tuple[str, str, str]] = []

    def phase(self, host: str, phase: str, *, send_bytes: int | None = None, text: str = "") -> None:
        del send_bytes
        self.phases.append((host, phase, text))


@pytest.fixture
def source(tmp_path: Path) -> BundleSource:
    return ship_bundle_source(tmp_path)


class Connect:
    """Connects to hosts in memory; raises what is told for some."""

    def __init__(self, folder: Path, source: BundleSource) -> None:
        self.hosts: dict[str, FakeHost] = {}
        self.raises: dict[str, KitError] = {}
        for name in ("gpu1", "gpu2"):
            host = self.hosts[name] = FakeHost(folder / name, source.manifest, name)
            host.folder.mkdir()
            for image in source.manifest.images:
                host.engine.offer(image)

    def __call__(self, name: str, *_: Any) -> Host:
        if name in self.raises:
            raise self.raises[name]
        return self.hosts[name]


@pytest.fixture
def connect(tmp_path: Path, source: BundleSource) -> Connect:
    return Connect(tmp_path, source)


@pytest.fixture
def loaded(tmp_path: Path, connect: Connect) -> LoadedProject:
    text = YAML.replace("ROOT1", str(connect.hosts["gpu1"].root)).replace(
        "ROOT2", str(connect.hosts["gpu2"].root)
    )
    return LoadedProject(parse_project(yaml.safe_load(text)), tmp_path)


GONE = UnreachableError("it does not answer over SSH", where="gpu1 (10.0.0.11)", fix="see that it is up")


def test_a_host_that_does_not_answer_is_passed_by_and_told_of(
    source: BundleSource, loaded: LoadedProject, connect: Connect
) -> None:
    connect.raises["gpu1"] = GONE
    progress = Phases()
    shipped = ship_project(loaded, source, ("gpu1", "gpu2"), connect, progress)
    assert [receipt.host for receipt in shipped.hosts] == ["gpu2"]
    assert shipped.failures == {"gpu1": GONE}
    assert progress.phases[:3] == [
        ("gpu1", "have", ""),
        ("gpu2", "have", ""),
        ("gpu1", "failed", "it does not answer over SSH"),
    ]
    assert not connect.hosts["gpu1"].root.exists()


def test_a_dry_run_tells_of_it_too(source: BundleSource, loaded: LoadedProject, connect: Connect) -> None:
    connect.raises["gpu1"] = GONE
    plan = plan_project_ship(loaded, source, ("gpu1", "gpu2"), connect)
    assert [step.host for step in plan.hosts] == ["gpu2"]
    assert plan.failures == {"gpu1": GONE}


def test_when_no_host_answers_that_is_the_failure(
    source: BundleSource, loaded: LoadedProject, connect: Connect
) -> None:
    connect.raises = {"gpu1": GONE, "gpu2": UnreachableError("the login was refused", where="gpu2")}
    with pytest.raises(UnreachableError, match="also gpu2: the login was refused"):
        ship_project(loaded, source, ("gpu1", "gpu2"), connect, NoProgress())


def test_what_is_wrong_in_kit_yaml_stops_the_ship(
    source: BundleSource, loaded: LoadedProject, connect: Connect
) -> None:
    connect.raises["gpu1"] = ConfigError("no such private key", where="hosts.gpu1.identity")
    with pytest.raises(ConfigError):
        ship_project(loaded, source, ("gpu1", "gpu2"), connect, NoProgress())
    assert not connect.hosts["gpu2"].root.exists()


def test_the_result_names_what_failed_and_the_exit_code_is_its(
    source: BundleSource,
    loaded: LoadedProject,
    connect: Connect,
    capsys: pytest.CaptureFixture[str],
) -> None:
    connect.raises["gpu1"] = GONE
    shipped = ship_project(loaded, source, ("gpu1", "gpu2"), connect, NoProgress())
    document = json.loads(json.dumps(crossing.ship_document(shipped)))
    assert [receipt["host"] for receipt in document["hosts"]] == ["gpu2"]
    assert [failure["host"] for failure in document["failures"]] == ["gpu1"]
    assert document["error"]["exit_code"] == 4
    with pytest.raises(typer.Exit) as caught:
        crossing.end_with(shipped.failures)
    assert caught.value.exit_code == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "gpu1 (10.0.0.11): it does not answer" in said.err


def test_a_result_without_failures_has_no_error() -> None:
    assert crossing.ship_document(Shipped(0, ())) == {
        "bytes": 0,
        "hosts": [],
        "failures": [],
        "receipts": "",
    }
    crossing.end_with({})


def test_receipts_stay_beside_kit_yaml_and_on_the_host(
    source: BundleSource, loaded: LoadedProject, connect: Connect
) -> None:
    connect.hosts["gpu2"].garble_archive = True
    shipped = ship_project(loaded, source, ("gpu1", "gpu2"), connect, NoProgress())
    kept = Path(shipped.receipts)
    assert kept.parent == loaded.folder / ".kit/receipts"
    mine = {path.name: path.read_text() for path in kept.iterdir()}
    assert "done in" in mine["gpu1.txt"]
    assert "FAILED after send: gpu2" in mine["gpu2.txt"]
    assert json.loads(mine["gpu1.json"])["images"] == [[*shipped.hosts[0].images[0]]]


def test_a_ship_whose_receipts_cannot_be_written_is_a_ship(
    source: BundleSource, loaded: LoadedProject, connect: Connect
) -> None:
    (loaded.folder / ".kit").write_text("in the way")
    assert ship_project(loaded, source, ("gpu1",), connect, NoProgress()).receipts == ""
