from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import ConfigError, UnreachableError
from kit.host.port import Argv, Completed
from kit.run.check_hosts import check_hosts, peers_of
from kit.run.fitness import job_ports
from kit.run.fleet import chosen_hosts, each, open_hosts, try_each
from tests.factories import project_document
from tests.unit.run.factories import World, make_world
from tests.unit.run.fakes import FakeHost

BOTH = ("gpu1", "gpu2")


class RoutedHost(FakeHost):
    """A host that knows one way out."""

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        if argv[0] == "ip":
            return Completed(0, b"10.0.0.12 dev eth1 src 10.0.0.11 uid 0", b"")
        return super().run(argv, stdin=stdin, timeout=timeout)


def failing(world: World) -> dict[str, str]:
    result = check_hosts(world.loaded, BOTH, None, world.toolbox)
    return {finding.code: finding.host for finding in result.findings if finding.level == "fail"}


def test_fit_hosts_are_fit(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    result = check_hosts(world.loaded, BOTH, None, world.toolbox)
    assert (result.fit, result.exit_code) == (True, 0)
    assert {finding.host for finding in result.findings} == set(BOTH)


def test_a_host_that_does_not_answer_is_a_finding_and_exit_code_4(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.hosts["gpu2"].lost = True
    result = check_hosts(world.loaded, BOTH, None, world.toolbox)
    assert (result.fit, result.exit_code) == (False, 4)
    assert failing(world) == {"reachable": "gpu2"}


def test_an_image_that_is_missing_after_a_ship_is_exit_code_5(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.change("gpu1", images=world.facts["gpu1"].images[:2])
    assert check_hosts(world.loaded, BOTH, None, world.toolbox).exit_code == 5
    assert failing(world) == {"image": "gpu1"}


def test_before_the_first_ship_images_are_not_asked_for(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    (world.hosts["gpu1"].root / "bundles" / "current.json").unlink()
    world.change("gpu1", images=())
    result = check_hosts(world.loaded, BOTH, None, world.toolbox)
    assert result.exit_code == 0
    assert [f.host for f in result.findings if f.code == "shipped"] == ["gpu1"]


def test_clocks_are_compared(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.change("gpu2", clock_offset=-9.0)
    assert failing(world) == {"clock": "gpu2"}


def test_routes_between_training_hosts_are_found_where_they_can_be_asked(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.hosts["gpu1"] = RoutedHost("gpu1", world.hosts["gpu1"].root)
    findings = check_hosts(world.loaded, BOTH, None, world.toolbox).findings
    routes = [(finding.host, finding.text) for finding in findings if finding.code == "route"]
    assert routes == [("gpu1", "reaches gpu2 by eth1")]


def test_peers_are_the_other_hosts_of_a_training(tmp_path: Path) -> None:
    jobs = project_document()["jobs"]
    jobs["train"]["port"] = 29500
    project = make_world(tmp_path, jobs=jobs).loaded.project
    assert peers_of(project, "gpu1") == ("gpu2",)
    assert job_ports(project, "train", "gpu1") == ((29500, "train"),)
    assert job_ports(project, "train", "gpu2") == ()
    assert job_ports(project, "serve", "gpu1") == ((8000, "serve"),)
    assert job_ports(project, "merge", "gpu1") == ()
    # A port that kit chooses is one that nobody has.
    assert job_ports(make_world(tmp_path / "other").loaded.project, "train", "gpu1") == ()


def test_an_unknown_host_is_a_matter_of_configuration(tmp_path: Path) -> None:
    loaded = make_world(tmp_path).loaded
    assert chosen_hosts(loaded, ()) == BOTH
    with pytest.raises(ConfigError, match="did you mean 'gpu1'"):
        chosen_hosts(loaded, ("gpu11",))


def test_when_one_host_cannot_be_reached_the_others_are_let_go(tmp_path: Path) -> None:
    world = make_world(tmp_path)

    def connect(name: str, *_: object) -> FakeHost:
        if name == "gpu2":
            raise UnreachableError("away", where=name)
        return world.hosts[name]

    with pytest.raises(UnreachableError), open_hosts(world.loaded, BOTH, connect):
        raise AssertionError("not reached")
    assert world.hosts["gpu1"].closed


def test_work_on_several_hosts_keeps_their_order_and_every_failure() -> None:
    def work(name: str) -> int:
        if name != "a":
            raise UnreachableError(f"{name} is away", where=name)
        return 1

    results, failures = try_each(("b", "a", "c"), work)
    assert results == {"a": 1}
    assert list(failures) == ["b", "c"]
    with pytest.raises(UnreachableError, match="b is away"):
        each(("a", "b", "c"), work)


def test_a_bug_in_the_work_is_not_taken_for_a_failing_host() -> None:
    with pytest.raises(ZeroDivisionError):
        try_each(("a",), lambda _: 1 // 0)
