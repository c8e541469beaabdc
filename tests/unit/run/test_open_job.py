from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError, JobError, UnfitError
from kit.run.open_job import join_chat, open_job
from kit.run.status import status
from tests.factories import project_document
from tests.unit.run.factories import World, make_world
from tests.unit.run.fakes import exited

BOARD = {"kind": "board", "models": ["tiny"], "hosts": ["gpu1"]}


def _world(folder: Path, address: str = "10.0.0.11", **job: Any) -> World:
    hosts = {
        name: {"address": at, "root": str(folder / name)}
        for name, at in (("gpu1", address), ("gpu2", "10.0.0.12"))
    }
    jobs = {**project_document()["jobs"], "board": {**BOARD, **job}}
    world = make_world(folder, hosts=hosts, jobs=jobs)
    for agent in world.agents.values():
        agent.answers["probe"] = lambda _: {"outcome": "ready", "seconds": 1.0, "detail": ""}
    return world


def test_a_running_job_gets_a_port_of_this_machine(tmp_path: Path) -> None:
    world = _world(tmp_path, bind="0.0.0.0")
    run = world.up("board")
    with open_job(world.loaded, "board", world.toolbox) as (opened, tunnel):
        assert tunnel is not None
        assert opened.url == f"http://127.0.0.1:{tunnel.port}"
        assert (opened.job, opened.kind, opened.host, opened.run_id) == ("board", "board", "gpu1", run.run_id)
        # As the host itself would reach it.
        assert opened.remote == "127.0.0.1:7860"
        assert world.hosts["gpu1"].dialled == [("127.0.0.1", 7860)]
        assert not world.hosts["gpu1"].closed
    assert world.hosts["gpu1"].closed


def test_a_job_of_this_machine_needs_no_tunnel(tmp_path: Path) -> None:
    world = _world(tmp_path, "local", port=7861)
    world.up("board")
    with open_job(world.loaded, "board", world.toolbox) as (opened, tunnel):
        assert (opened.url, tunnel) == ("http://127.0.0.1:7861", None)
    with (
        pytest.raises(ConfigError, match="a port of its own"),
        open_job(world.loaded, "board", world.toolbox, 9000),
    ):
        pass


def test_a_job_that_does_not_run_says_what_starts_it(tmp_path: Path) -> None:
    world = _world(tmp_path)
    for _ in range(2):
        with (
            pytest.raises(JobError, match="board does not run") as refused,
            open_job(world.loaded, "board", world.toolbox),
        ):
            pass
        assert refused.value.fix == "kit up board"
        # Nor one that ran once and was ended.
        world.up("board")
        world.hosts["gpu1"].engine.containers.clear()
    assert world.hosts["gpu1"].closed


def test_a_job_without_a_page_is_refused_by_its_kind(tmp_path: Path) -> None:
    world = _world(tmp_path)
    with (
        pytest.raises(ConfigError, match="train is a train job and has nothing to open") as refused,
        open_job(world.loaded, "train", world.toolbox),
    ):
        pass
    assert refused.value.exit_code == 2


def test_a_host_that_lets_nobody_through_says_so_at_once(tmp_path: Path) -> None:
    world = _world(tmp_path)
    world.up("board")
    world.hosts["gpu1"].undialled = UnfitError("its sshd lets nobody through to a port", where="gpu1")
    with pytest.raises(UnfitError), open_job(world.loaded, "board", world.toolbox):
        pass


def test_what_a_board_keeps_is_there_before_it_starts(tmp_path: Path) -> None:
    world = _world(tmp_path)
    world.up("board")
    kept = world.hosts["gpu1"].root / "kept" / "board"
    assert sorted(path.name for path in kept.iterdir()) == ["llamaboard_config", "saves"]
    (run,) = world.run_folders("gpu1", "board")
    assert (run / "data" / "dataset_info.json").is_file()
    assert json.loads((run / "run.json").read_text())["endpoint_port"] == 7860


def test_a_chat_shows_its_screen_and_is_joined(tmp_path: Path) -> None:
    chat = {"kind": "chat", "model": "tiny", "template": "chatml", "hosts": ["gpu1"]}
    world = make_world(tmp_path, jobs={"chat": chat})
    host = world.hosts["gpu1"]

    def greet(_: object, container: str, __: Path) -> None:
        host.engine.written[container] = "Welcome to the CLI application\r\n\nUser: "

    host.on_up = greet
    up = world.up("chat")
    assert (up.state, up.url) == ("running", None)
    shown: list[str] = []
    assert join_chat(world.loaded, "chat", world.toolbox, shown.append) == 0
    assert "User: " in shown[0]
    assert host.joined == [("docker", "attach", host.started()[0])]


def test_a_chat_that_its_user_ended_is_done(tmp_path: Path) -> None:
    chat = {"kind": "chat", "model": "tiny", "template": "chatml", "hosts": ["gpu1"]}
    world = make_world(tmp_path, jobs={"chat": chat})
    host = world.hosts["gpu1"]
    host.on_up = lambda _, container, __: host.engine.written.update(
        {container: "Welcome to the CLI application"}
    )
    world.up("chat")
    host.engine.containers[host.started()[0]] = exited(0)
    with pytest.raises(JobError, match="chat does not run"):
        join_chat(world.loaded, "chat", world.toolbox, lambda _: None)
    (row,) = status(world.loaded, ("gpu1",), world.toolbox).runs
    assert row.state == "ended"
    world.up("chat")
    ends = {row.state for row in status(world.loaded, ("gpu1",), world.toolbox, every_run=True).runs}
    assert ends == {"running", "done"}
