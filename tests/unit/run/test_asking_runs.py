"""infer and eval jobs: they need an endpoint that runs, and report a table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.errors import JobError, UnreachableError
from kit.run.plan import plan_without_hosts
from tests.unit.run.factories import World, make_world
from tests.unit.run.fakes import FakeHost, exited
from tests.unit.run.test_up import record_at

TABLE = [["model", "answers"], ["tiny", "6"]]
JOBS = {
    "serve": {
        "kind": "serve",
        "model": "tiny",
        "hosts": ["gpu1"],
        "port": 8123,
        "env": {"VLLM_API_KEY": "k3y"},
    },
    "asks": {"kind": "infer", "through": "serve", "dataset": "questions"},
    "far": {"kind": "infer", "through": "serve", "dataset": "questions", "hosts": ["gpu2"]},
}


def answer(host: FakeHost, container: str, folder: Path) -> None:
    if "serve" in container:
        return
    keys = folder / "secret" / "keys.json"
    assert keys.stat().st_mode & 0o077 == 0
    (folder / "key-was").write_text(json.loads(keys.read_text())[0]["api_key"])
    (folder / "out" / "table.json").write_text(json.dumps(TABLE))
    (folder / "out" / "answers.jsonl").write_text("{}\n")
    host.engine.containers[container] = exited(0)


def world_that_serves(folder: Path, *, started: bool = True, **jobs: Any) -> World:
    world = make_world(folder, jobs=JOBS | jobs)
    for host in world.hosts.values():
        host.on_up = answer
    world.agents["gpu1"].answers["probe"] = lambda _: {"outcome": "ready", "seconds": 1.0, "detail": ""}
    if started:
        world.up("serve")
    return world


def test_the_rows_are_put_to_what_runs_and_a_table_is_shown(tmp_path: Path) -> None:
    world = world_that_serves(tmp_path)
    result = world.up("asks")
    assert result.table == (("model", "answers"), ("tiny", "6"))
    assert (result.state, result.made_files) == ("done", 2)
    (folder,) = world.run_folders("gpu1", "asks")
    (endpoint,) = json.loads((folder / "endpoints.json").read_text())
    assert endpoint["url"] == "http://127.0.0.1:8123"
    assert (folder / "key-was").read_text() == "k3y"
    assert not (folder / "secret").exists()
    assert record_at(folder).table == result.table


def test_what_does_not_run_is_not_asked(tmp_path: Path) -> None:
    world = world_that_serves(tmp_path, started=False)
    with pytest.raises(JobError, match="asks serve, which does not run") as caught:
        world.up("asks")
    assert "kit up serve" in caught.value.fix
    assert not world.run_folders("gpu1", "asks")


def test_an_endpoint_on_a_host_that_is_away_cannot_be_asked(tmp_path: Path) -> None:
    world = world_that_serves(tmp_path)
    world.hosts["gpu1"].lost = True
    with pytest.raises(UnreachableError):
        world.up("far")


def identity(world: World) -> str:
    (endpoint,) = json.loads((world.run_folders("gpu1", "asks")[-1] / "endpoints.json").read_text())
    return str(endpoint["identity"])


def test_the_endpoint_is_another_one_once_it_serves_in_another_way(tmp_path: Path) -> None:
    world = world_that_serves(tmp_path)
    world.up("asks")
    first = identity(world)
    world.up("asks")
    assert identity(world) == first
    world.hosts["gpu1"].engine.containers.clear()
    jobs = dict(world.loaded.project.jobs)
    jobs["serve"] = jobs["serve"].model_copy(update={"dtype": "float32"})
    world.loaded = replace(world.loaded, project=world.loaded.project.model_copy(update={"jobs": jobs}))
    world.up("serve")
    world.up("asks")
    assert identity(world) != first


def test_a_plan_without_hosts_shows_no_key(tmp_path: Path) -> None:
    world = world_that_serves(tmp_path, started=False)
    plan = plan_without_hosts(world.loaded.project, "asks", None)
    assert "http://127.0.0.1:8123" in str(plan)
    assert "k3y" not in str(plan)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"a": 1', "null", "[" * 100_000])
def test_a_table_that_is_none_is_not_shown(tmp_path: Path, text: str) -> None:
    world = world_that_serves(tmp_path)

    def write(host: FakeHost, container: str, folder: Path) -> None:
        answer(host, container, folder)
        (folder / "out" / "table.json").write_text(text)

    world.hosts["gpu1"].on_up = write
    assert world.up("asks").table == ()
