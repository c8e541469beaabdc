from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.errors import (
    ConfigError,
    EngineError,
    JobError,
    UnfitError,
    UnreachableError,
    VerificationError,
)
from kit.run.record import parse_record
from tests.unit.run.factories import World, digest, make_world
from tests.unit.run.fakes import FakeHost, exited

LOG = "\n".join(
    json.dumps({"current_steps": step, "total_steps": 20, "loss": loss})
    for step, loss in ((10, 4.5), (20, 0.5))
)


def succeed(host: FakeHost, container: str, folder: Path) -> None:
    """Make a container do its work at once."""
    record = parse_record((folder / "run.json").read_bytes(), "run.json")
    if host.name == "gpu1":
        (folder / "out" / "adapter.safetensors").write_bytes(record.kind.encode())
        (folder / "out" / "checkpoint-10").mkdir()
        (folder / "out" / "checkpoint-10" / "optimizer.pt").write_bytes(b"large")
        (folder / "out" / "trainer_log.jsonl").write_text(LOG)
    host.engine.written[container] = "a line\nthe last line\n"
    host.engine.containers[container] = exited(0)


def fail(host: FakeHost, container: str, folder: Path) -> None:
    del folder
    host.engine.written[container] = "".join(f"line {i}\n" for i in range(50))
    host.engine.containers[container] = exited(1)


def world_where(folder: Path, on_up: Any = succeed, **overrides: Any) -> World:
    world = make_world(folder, **overrides)
    for host in world.hosts.values():
        host.on_up = on_up
    return world


def record_at(folder: Path) -> Any:
    return parse_record((folder / "run.json").read_bytes(), "run.json")


def answer_probe(world: World, outcome: str = "ready", **more: Any) -> None:
    world.agents["gpu1"].answers["probe"] = lambda _: {
        "outcome": outcome,
        "seconds": 3.0,
        "detail": "",
        **more,
    }


def test_a_training_runs_on_both_hosts_and_reports_its_losses(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    result = world.up("train")
    assert (result.state, result.first_loss, result.last_loss, result.steps) == ("done", 4.5, 0.5, 20)
    assert [len(host.started()) for host in world.hosts.values()] == [1, 1]
    for host in world.hosts.values():
        assert host.engine.containers == {}
        assert host.closed


def test_what_a_training_made_is_recorded_with_digests_on_rank_zero_alone(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    result = world.up("train")
    first, second = (record_at(world.run_folders(host, "train")[0]) for host in ("gpu1", "gpu2"))
    made = {file.path: file.digest for file in first.artifact.files}
    assert made["adapter.safetensors"] == "sha256:" + hashlib.sha256(b"train").hexdigest()
    assert "checkpoint-10/optimizer.pt" not in made
    assert (first.state, second.state, second.artifact) == ("done", "done", None)
    assert (result.made_on, result.made_files) == ("gpu1", 2)
    assert result.made_at == str(world.run_folders("gpu1", "train")[0] / "out")


def test_the_container_log_is_kept_with_the_run(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    world.up("train")
    folder = world.run_folders("gpu2", "train")[0]
    assert (folder / "logs" / "gpu2.log").read_text() == "a line\nthe last line\n"


def test_steps_are_told_while_a_training_runs(tmp_path: Path) -> None:
    def begin(host: FakeHost, container: str, folder: Path) -> None:
        del container
        (folder / "out" / "trainer_log.jsonl").write_text(LOG + "\n")
        host.engine.containers.update({})

    world = world_where(tmp_path, begin)

    def finish() -> None:
        for host in world.hosts.values():
            host.engine.containers = {name: exited(0) for name in host.engine.containers}

    world.clock.on_sleep = finish
    world.up("train")
    assert world.notes.reports == ["step 20 of 20, loss 0.5"]


def test_a_rank_that_dies_stops_the_others_and_shows_its_last_lines(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    world.hosts["gpu2"].on_up = fail
    with pytest.raises(JobError) as caught:
        world.up("train")
    assert caught.value.where == "gpu2"
    assert "exit code 1" in caught.value.what
    assert "line 49" in caught.value.why
    assert "line 30" in caught.value.why
    assert "line 29" not in caught.value.why
    assert any(argv[:2] == ("docker", "stop") for argv in world.hosts["gpu1"].ran)
    for name, host in world.hosts.items():
        assert host.engine.containers == {}
        assert record_at(world.run_folders(name, "train")[0]).state == "failed"


def test_running_out_of_memory_is_said(tmp_path: Path) -> None:
    def starve(host: FakeHost, container: str, folder: Path) -> None:
        del folder
        host.engine.containers[container] = exited(137, out_of_memory=True)

    with pytest.raises(JobError, match="out of memory"):
        world_where(tmp_path, starve).up("train")


def test_when_one_host_does_not_start_nothing_stays_started(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    world.hosts["gpu2"].compose_fails = "no such device"
    with pytest.raises(EngineError) as caught:
        world.up("train")
    assert (caught.value.where, caught.value.why) == ("gpu2", "no such device")
    assert world.hosts["gpu1"].engine.containers == {}
    assert record_at(world.run_folders("gpu1", "train")[0]).state == "failed"


def test_a_dry_run_shows_the_files_and_changes_nothing(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    result = world.up("train", dry_run=True)
    assert result.state == "planned"
    assert [host.host for host in result.plan] == ["gpu1", "gpu2"]
    assert "compose.yaml" in [file.path for file in result.plan[0].files]
    assert "up -d" in result.plan[0].commands[0]
    for host in world.hosts.values():
        assert not (host.root / "runs").exists()
        assert host.started() == []


def test_detached_a_training_is_left_to_itself(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    result = world.up("train", detach=True)
    assert result.state == "started"
    assert all(state.running for host in world.hosts.values() for state in host.engine.containers.values())


def untouched(world: World) -> bool:
    return all(not (host.root / "runs").exists() and not host.started() for host in world.hosts.values())


def test_a_missing_image_is_refused_before_anything_happens(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    world.change("gpu2", images=())
    with pytest.raises(UnfitError) as caught:
        world.up("train")
    assert (caught.value.where, caught.value.fix) == ("gpu2", "kit ship --host gpu2")
    assert untouched(world)


def test_another_image_under_the_same_tag_is_refused(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    world.change("gpu1", images=tuple((tag, digest("other")) for tag, _ in world.facts["gpu1"].images))
    with pytest.raises(VerificationError):
        world.up("train")
    assert untouched(world)


def test_a_shipped_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    (tmp_path / "gpu2" / "models" / "tiny" / "config.json").write_bytes(b"w")
    with pytest.raises(UnfitError, match=r"models/tiny/config\.json"):
        world.up("train")
    assert untouched(world)


def test_a_host_that_nothing_was_shipped_to_is_refused(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    (tmp_path / "gpu2" / "bundles" / "current.json").unlink()
    with pytest.raises(UnfitError, match="nothing was shipped"):
        world.up("train")


def test_a_host_without_an_engine_is_unfit(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    world.change("gpu2", engine_version=None, engine_error="Cannot connect to the Docker daemon")
    with pytest.raises(UnfitError, match="no Docker engine answers"):
        world.up("train")
    assert world.agents["gpu2"].called == []


def test_an_unknown_job_is_a_matter_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no job named 'trian'"):
        make_world(tmp_path).up("trian")


def test_an_export_before_its_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has not made anything yet"):
        world_where(tmp_path).up("merge")


def test_an_export_uses_what_the_newest_training_made(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    world.up("train")
    newest = world.up("train").made_at
    world.up("merge")
    record = record_at(world.run_folders("gpu1", "merge")[0])
    assert record.inputs == (("train", newest),)
    assert newest is not None
    assert newest in (world.run_folders("gpu1", "merge")[0] / "compose.yaml").read_text()


def test_a_failed_training_leaves_the_earlier_one_in_use(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    good = world.up("train").made_at
    world.hosts["gpu2"].on_up = fail
    with pytest.raises(JobError):
        world.up("train")
    world.up("merge")
    assert record_at(world.run_folders("gpu1", "merge")[0]).inputs == (("train", good),)


def test_an_artifact_that_changed_is_not_used(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    made = world.up("train").made_at
    assert made is not None
    (Path(made) / "adapter.safetensors").write_bytes(b"")
    with pytest.raises(VerificationError, match=r"adapter\.safetensors"):
        world.up("merge")


def test_a_training_that_ended_unwatched_is_recorded_by_the_job_that_needs_it(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    world.up("train", detach=True)
    assert record_at(world.run_folders("gpu1", "train")[0]).state == "open"
    world.up("merge")
    assert record_at(world.run_folders("gpu1", "train")[0]).state == "done"


def serving(tmp_path: Path) -> World:
    world = world_where(tmp_path)
    world.up("train")
    world.up("merge")
    world.hosts["gpu1"].on_up = None
    answer_probe(world)
    return world


def test_a_served_model_is_reported_once_it_works(tmp_path: Path) -> None:
    world = serving(tmp_path)
    result = world.up("serve")
    assert (result.state, result.url, result.served_name) == ("running", "http://127.0.0.1:8000", "merge")
    assert result.start_seconds == 3.0
    assert not result.already_running


def test_the_same_launch_is_not_started_twice(tmp_path: Path) -> None:
    world = serving(tmp_path)
    first = world.up("serve")
    world.change("gpu1", listening=(8000,))
    again = world.up("serve")
    assert again.already_running
    assert again.run_id == first.run_id
    assert len([name for name in world.hosts["gpu1"].started() if "serve" in name]) == 1


def test_another_launch_of_a_running_job_is_refused(tmp_path: Path) -> None:
    world = serving(tmp_path)
    world.up("serve")
    world.hosts["gpu1"].on_up = succeed
    world.up("merge")
    with pytest.raises(UnfitError) as caught:
        world.up("serve")
    assert "kit down serve" in caught.value.fix


def test_a_port_that_another_program_holds_is_refused(tmp_path: Path) -> None:
    world = serving(tmp_path)
    world.change("gpu1", listening=(8000,))
    with pytest.raises(UnfitError, match="port 8000 is taken"):
        world.up("serve")
    assert world.run_folders("gpu1", "serve") == []


def test_a_server_that_exits_shows_its_last_lines(tmp_path: Path) -> None:
    world = serving(tmp_path)
    world.hosts["gpu1"].on_up = fail
    answer_probe(world, "exited")
    with pytest.raises(JobError) as caught:
        world.up("serve")
    assert "line 49" in caught.value.why
    assert record_at(world.run_folders("gpu1", "serve")[0]).state == "failed"


def test_a_server_that_takes_too_long_is_left_running_and_said_to_be(tmp_path: Path) -> None:
    world = serving(tmp_path)
    answer_probe(world, "timed out", detail="connection refused")
    with pytest.raises(JobError) as caught:
        world.up("serve", timeout=3.0)
    assert "still runs" in caught.value.what
    assert caught.value.why == "connection refused"
    assert any(state.running for state in world.hosts["gpu1"].engine.containers.values())


def test_ctrl_c_leaves_a_training_running_and_says_so(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)

    def interrupt() -> None:
        raise KeyboardInterrupt

    world.clock.on_sleep = interrupt
    with pytest.raises(KeyboardInterrupt, match=r"train goes on on its hosts.*kit logs train -f"):
        world.up("train")
    assert all(state.running for host in world.hosts.values() for state in host.engine.containers.values())


def test_a_lost_connection_does_not_end_a_training_and_says_so(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)

    def cut() -> None:
        world.hosts["gpu2"].lost = True

    world.clock.on_sleep = cut
    with pytest.raises(UnreachableError, match="train goes on without being watched") as caught:
        world.up("train")
    assert "kit status" in caught.value.fix
    assert all(state.running for host in world.hosts.values() for state in host.engine.containers.values())


def test_a_training_that_runs_is_not_started_again(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    world.up("train", detach=True)
    with pytest.raises(UnfitError, match="runs already"):
        world.up("train")
    assert len(world.hosts["gpu1"].started()) == 1


def test_an_old_container_is_removed_before_its_name_is_used_again(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    name = world.up("train", detach=True).job and world.hosts["gpu1"].started()[0]
    for host in world.hosts.values():
        host.engine.containers = {each: exited(0) for each in host.engine.containers}
    world.up("train", detach=True)
    assert ("docker", "rm", "-f", name) in world.hosts["gpu1"].ran
    assert [record_at(folder).state for folder in world.run_folders("gpu1", "train")] == ["done", "open"]


def test_hosts_whose_clocks_differ_do_not_train_together(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    world.change("gpu2", clock_offset=30.0)
    with pytest.raises(UnfitError, match="clock"):
        world.up("train")


def test_the_local_bundle_decides_what_must_be_on_the_hosts(tmp_path: Path) -> None:
    from kit.run.up import UpRequest, up
    from tests.unit.run.factories import manifest

    world = world_where(tmp_path)
    newer = manifest()
    newer = replace(
        newer, images=tuple(replace(i, config=replace(i.config, digest=digest("new"))) for i in newer.images)
    )
    with pytest.raises(UnfitError, match="missing"):
        up(world.loaded, UpRequest("train", "aa"), newer, world.toolbox, world.notes)
