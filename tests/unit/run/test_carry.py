"""What a job made on one host goes, proven, to the host that needs it next."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError, TransferError, UnfitError, UnreachableError, VerificationError
from kit.host.facts import Gpu
from kit.project.load import LoadedProject, parse_project
from kit.run.collect import collect
from kit.run.record import parse_record
from kit.run.status import status
from tests.factories import project_document
from tests.unit.run.factories import World, make_world
from tests.unit.run.fakes import FakeHost, exited

SHARDS = {"a.safetensors": b"first" * 1000, "deep/b.safetensors": b"second", "empty.txt": b""}
JOBS = {
    "train": {"kind": "train", "model": "tiny", "datasets": ["questions"], "hosts": ["gpu1", "gpu2"]},
    "merge": {"kind": "export", "from": "train"},
    "serve": {"kind": "serve", "model": "merge", "hosts": ["gpu2"]},
    "merge-there": {"kind": "export", "from": "train", "hosts": ["gpu2"]},
}


def make(host: FakeHost, container: str, folder: Path) -> None:
    """Make a container do its work at once."""
    if host.name == "gpu1" or "merge-there" in container:
        for name, data in SHARDS.items():
            (folder / "out" / name).parent.mkdir(exist_ok=True)
            (folder / "out" / name).write_bytes(data)
    host.engine.containers[container] = exited(0)


def world_where_merged(folder: Path) -> World:
    world = make_world(folder, jobs=JOBS)
    for host in world.hosts.values():
        host.on_up = make
    world.up("train")
    world.up("merge")
    world.hosts["gpu2"].on_up = None
    world.agents["gpu2"].answers["probe"] = lambda _: {"outcome": "ready", "seconds": 1.0, "detail": ""}
    return world


def there(world: World, job: str) -> Path:
    return world.run_folders("gpu2", job)[0] / "carried"


def sent(world: World) -> list[list[str]]:
    """Return the commands that read files on gpu1 for another host."""
    return [
        list(argv) for argv in world.hosts["gpu1"].ran if argv[0] in ("cat", "tail") and "/out/" in argv[-1]
    ]


def test_a_model_merged_on_one_host_is_served_on_another(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    result = world.up("serve")
    assert {name: (there(world, "merge") / name).read_bytes() for name in SHARDS} == SHARDS
    (brought,) = result.carried
    assert (brought.job, brought.source, brought.target, brought.files) == ("merge", "gpu1", "gpu2", 3)
    assert brought.bytes == sum(map(len, SHARDS.values()))
    compose = world.run_folders("gpu2", "serve")[0] / "compose.yaml"
    assert str(there(world, "merge")) in compose.read_text()


def test_what_is_there_already_does_not_go_again(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    world.up("serve")
    before = sent(world)
    again = world.up("serve")
    assert again.already_running
    assert again.carried == ()
    assert sent(world) == before


def test_a_newer_artifact_goes_in_place_of_the_older_one(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    world.up("serve", dry_run=True)
    world.hosts["gpu1"].on_up = make
    newer = world.up("merge").run_id
    assert world.up("serve").carried[0].run_id == newer


def test_a_dry_run_tells_what_would_go_and_brings_nothing(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    result = world.up("serve", dry_run=True)
    assert [brought.job for brought in result.carried] == ["merge"]
    assert "/carried" in str(result.plan)
    assert not (world.hosts["gpu2"].root / "runs" / "merge").exists()
    assert sent(world) == []


def test_an_adapter_joins_the_share_that_its_second_host_has_of_the_training(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    world.hosts["gpu2"].on_up = make
    world.up("merge-there")
    (folder,) = world.run_folders("gpu2", "train")
    record = parse_record((folder / "run.json").read_bytes(), "run.json")
    assert (record.host, record.carried_from, record.state) == ("gpu2", "gpu1", "done")
    assert record.artifact is not None
    assert record.artifact.path == "carried"
    assert (folder / "carried" / "a.safetensors").read_bytes() == SHARDS["a.safetensors"]


def break_after(world: World, count: int) -> Callable[[], None]:
    """Let gpu1's line break after so many bytes of files; return what mends it."""
    host, left = world.hosts["gpu1"], [count]
    whole = FakeHost.receive

    def receive(argv: Any, sink: Callable[[bytes], None], *, stdin: bytes = b"") -> Any:
        def some(chunk: bytes) -> None:
            if left[0] <= 0:
                raise UnreachableError("the connection is lost", where="gpu1")
            left[0] -= len(chunk)
            sink(chunk)

        return whole(host, argv, some, stdin=stdin)

    host.receive = receive  # type: ignore[method-assign]
    return lambda: host.__dict__.pop("receive")


def take_until_it_breaks(world: World) -> None:
    """Let the agent on gpu2 take what came before the line broke, as a real one does."""
    from io import BytesIO

    from kit.run.agent_work import FED

    def call(verb: str, request: dict[str, Any], on_event: Any = None, chunks: Any = ()) -> dict[str, Any]:
        agent = world.agents["gpu2"]
        if verb not in FED:
            return type(agent).call(agent, verb, request, on_event, chunks)
        came = bytearray()
        try:
            for chunk in chunks:
                came += chunk
        except UnreachableError:
            with pytest.raises(TransferError, match="end early"):
                FED[verb](json.loads(json.dumps(request)), BytesIO(came))
            raise
        return FED[verb](request, BytesIO(came))

    world.agents["gpu2"].call = call  # type: ignore[method-assign]


def test_a_reward_model_goes_to_every_host_of_the_training_that_lacks_it(tmp_path: Path) -> None:
    train: Any = JOBS["train"]
    judge = {**train, "hosts": ["gpu1"], "args": {"stage": "rm"}}
    ppo = {**train, "reward": "judge", "args": {"stage": "ppo"}}
    questions: dict[str, Any] = {"path": "questions.json"}
    pairs = {**questions, "ranking": True, "columns": {"prompt": "q", "chosen": "c", "rejected": "r"}}
    hosts = {
        f"gpu{n}": {"address": f"10.0.0.1{n}", "root": str(tmp_path / f"gpu{n}"), "gpus": 1} for n in (1, 2)
    }
    changes: dict[str, Any] = {"stack": "cu126", "hosts": hosts}
    world = make_world(tmp_path, **changes, jobs={"judge": judge}, datasets={"questions": pairs})
    for name, host in world.hosts.items():
        world.change(name, gpus=(Gpu(0, "GPU-0", "NVIDIA L20", 48 << 30),), driver_version="550.54.15")
        host.on_up = make
    world.up("judge")
    both = {"judge": {**judge, "datasets": ["pairs"]}, "ppo": ppo}
    made = project_document(**changes, jobs=both, datasets={"questions": questions, "pairs": pairs})
    world.loaded = LoadedProject(parse_project(made), tmp_path)
    (brought,) = world.up("ppo").carried
    assert (brought.job, brought.source, brought.target) == ("judge", "gpu1", "gpu2")
    for name, folder in (("gpu1", "out"), ("gpu2", "carried")):
        source = world.run_folders(name, "judge")[0] / folder
        assert (source / "a.safetensors").read_bytes() == SHARDS["a.safetensors"]
        assert f'source: "{source}"' in (world.run_folders(name, "ppo")[0] / "compose.yaml").read_text()


def test_a_broken_line_leaves_nothing_in_use_and_the_next_try_goes_on_there(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    take_until_it_breaks(world)
    mend = break_after(world, 3000)
    with pytest.raises(UnreachableError):
        world.up("serve")
    assert not there_or_none(world)
    mend()
    world.up("serve")
    assert {name: (there(world, "merge") / name).read_bytes() for name in SHARDS} == SHARDS
    last = next(argv for argv in reversed(sent(world)) if argv[-1].endswith("/a.safetensors"))
    assert last[:2] == ["tail", "-c"]
    assert int(last[2]) > 2900


def there_or_none(world: World) -> list[Path]:
    return [path for path in (world.hosts["gpu2"].root / "runs").rglob("carried") if path.is_dir()]


def test_bytes_that_changed_since_are_refused_and_not_used(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    path = world.run_folders("gpu1", "merge")[0] / "out" / "a.safetensors"
    path.write_bytes(b"FIRST" * 1000)
    with pytest.raises(VerificationError, match="not the file that was recorded"):
        world.up("serve")
    assert not there_or_none(world)
    assert world.hosts["gpu2"].started() == world.hosts["gpu2"].started()[:1]


def test_a_damaged_part_is_taken_away_and_the_next_try_brings_all_of_it(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    draft = world.hosts["gpu2"].root / "runs" / "merge" / world.run_folders("gpu1", "merge")[0].name
    (draft / "carried.part" / "deep").mkdir(parents=True)
    (draft / "carried.part" / "a.safetensors").write_bytes(b"wrong")
    (draft / "carried.part" / "stray").write_bytes(b"stray")
    (draft / "carried.part" / "deep" / "link").symlink_to("/etc/passwd")
    with pytest.raises(VerificationError):
        world.up("serve")
    world.up("serve")
    found = [path.relative_to(there(world, "merge")).as_posix() for path in there(world, "merge").rglob("*")]
    assert sorted(found) == ["a.safetensors", "deep", "deep/b.safetensors", "empty.txt"]


def test_a_copy_that_lost_a_file_is_completed(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    world.up("serve")
    world.hosts["gpu2"].engine.containers.clear()
    (there(world, "merge") / "deep" / "b.safetensors").unlink()
    world.up("serve")
    assert (there(world, "merge") / "deep" / "b.safetensors").read_bytes() == SHARDS["deep/b.safetensors"]
    assert sum("a.safetensors" in argv[-1] for argv in sent(world)) == 1


def test_a_copy_serves_on_while_the_host_that_made_it_is_away(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    world.up("serve")
    world.hosts["gpu2"].engine.containers.clear()
    world.hosts["gpu1"].lost = True
    assert world.up("serve").state == "running"
    assert "brought before" in world.notes.notes[-1]


def test_without_a_copy_a_host_that_is_away_stops_it(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    world.hosts["gpu1"].lost = True
    with pytest.raises(UnreachableError):
        world.up("serve")


def test_without_room_nothing_is_sent(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    world.change("gpu2", free_bytes=10)
    with pytest.raises(UnfitError, match="no room for what merge made"):
        world.up("serve")
    assert sent(world) == []


def test_nothing_made_yet_says_what_to_run(tmp_path: Path) -> None:
    world = make_world(tmp_path, jobs=JOBS)
    with pytest.raises(ConfigError, match="has not made anything yet"):
        world.up("serve")


def test_a_copy_does_not_come_home_twice_and_status_says_whose_it_is(tmp_path: Path) -> None:
    world = world_where_merged(tmp_path)
    world.hosts["gpu2"].on_up = make
    world.up("merge-there")
    home = collect(world.loaded, "train", tmp_path / "home", world.toolbox, world.notes)
    assert not (Path(home.folder) / "hosts" / "gpu2" / "carried").exists()
    assert (Path(home.folder) / "out" / "a.safetensors").is_file()
    rows = status(world.loaded, ("gpu1", "gpu2"), world.toolbox).runs
    assert {(row.host, row.carried_from) for row in rows if row.job == "train"} == {
        ("gpu1", ""),
        ("gpu2", "gpu1"),
    }
