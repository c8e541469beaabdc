"""A training goes on from its last whole checkpoint, and refuses what does not fit."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.errors import ConfigError, JobError, KitError, UnfitError
from kit.project.job_model import TrainJob
from kit.run.checkpoint_files import is_whole
from kit.run.choose_checkpoint import check_resumable
from kit.run.record import parse_record
from tests.unit.run.factories import World, make_world
from tests.unit.run.fakes import FakeHost, exited


def torch_file(text: str = "state") -> bytes:
    """A file as torch.save writes it, as far as anybody looks."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data.pkl"), text * 100)
    return data.getvalue()


def safetensors_file(size: int = 64) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


def written(host: str, zero: int | None, ranks: int, step: int, *, adapter: bool) -> dict[str, bytes]:
    """What a rank on `host` (gpu1 has rank 0) leaves in a checkpoint."""
    rank = int(host[-1]) - 1
    files = {f"rng_state_{rank}.pth" if ranks > 1 else "rng_state.pth": torch_file(host)}
    folder = f"global_step{step}"
    if zero:
        files[f"{folder}/zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"] = torch_file(f"shard {rank}")
    if zero == 3:
        files[f"{folder}/zero_pp_rank_{rank}_mp_rank_00_model_states.pt"] = torch_file(f"part {rank}")
    if rank == 0:
        files["trainer_state.json"] = json.dumps({"global_step": step}).encode()
        files["adapter_model.safetensors" if adapter else "model.safetensors"] = safetensors_file()
        if adapter:
            files["adapter_config.json"] = b'{"base_model_name_or_path": "/kit/models/tiny"}'
        if zero is None:
            files |= {"optimizer.pt": torch_file(), "scheduler.pt": torch_file()}
        else:
            files["latest"] = folder.encode()
            if zero < 3:
                files[f"{folder}/mp_rank_00_model_states.pt"] = torch_file("model")
    return files


def killed_after(*steps: int) -> Any:
    """Return a container that saves after these steps, and dies."""

    def work(host: FakeHost, container: str, folder: Path) -> None:
        arguments = yaml.safe_load((folder / "train.yaml").read_text())
        document = folder / "deepspeed.json"
        stage = json.loads(document.read_text())["zero_optimization"]["stage"] if document.exists() else None
        ranks = len(parse_record((folder / "run.json").read_bytes(), "run.json").hosts)
        adapter = arguments["finetuning_type"] == "lora"
        for step in steps:
            for name, data in written(host.name, stage, ranks, step, adapter=adapter).items():
                path = folder / "out" / f"checkpoint-{step}" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        host.engine.containers[container] = exited(137)

    return work


def training(zero: int | None = 2, hosts: tuple[str, ...] = ("gpu1", "gpu2"), **args: Any) -> dict[str, Any]:
    job = {"kind": "train", "model": "tiny", "datasets": ["questions"], "hosts": list(hosts), "zero": zero}
    return {"train": {**job, "args": args}}


def killed(folder: Path, jobs: dict[str, Any], *steps: int) -> World:
    """Return a world where the job was killed once, after it had saved after these steps."""
    world = make_world(folder, jobs=jobs)
    for host in world.hosts.values():
        host.on_up = killed_after(*steps)
    with pytest.raises(JobError):
        world.up("train")
    for host in world.hosts.values():
        host.on_up = None
    return world


def changed(world: World, jobs: dict[str, Any]) -> World:
    """Return the same hosts under another kit.yaml."""
    folder = world.loaded.folder
    fresh = make_world(folder / "unused", jobs=jobs)
    specs = world.loaded.project.hosts
    world.loaded = type(world.loaded)(
        fresh.loaded.project.model_copy(update={"hosts": specs}), world.loaded.folder
    )
    return world


def again(world: World, host: str = "gpu1") -> tuple[dict[str, Any], dict[str, bytes]]:
    """Go on; return LLaMA-Factory's arguments on a host, and the files that it goes on from."""
    world.up("train", resume=True, detach=True)
    folder = world.run_folders(host, "train")[-1]
    resumed = folder / "resume"
    files = {
        path.relative_to(resumed).as_posix(): path.read_bytes()
        for path in resumed.rglob("*")
        if path.is_file()
    }
    return yaml.safe_load((folder / "train.yaml").read_text()), files


def test_the_last_checkpoint_is_gone_on_from(tmp_path: Path) -> None:
    world = killed(tmp_path, training(zero=None), 2, 4)
    arguments, files = again(world)
    assert arguments["resume_from_checkpoint"] == "/kit/run/resume/checkpoint-4"
    assert files["checkpoint-4/optimizer.pt"] == torch_file()
    assert not [name for name in files if name.startswith("checkpoint-2/")]
    assert any("goes on from checkpoint-4" in note for note in world.notes.notes)


def test_a_host_gets_what_rank_zero_wrote_elsewhere_and_keeps_its_own_shard(tmp_path: Path) -> None:
    world = killed(tmp_path, training(zero=2), 4)
    _, files = again(world, "gpu2")
    assert files["checkpoint-4/global_step4/mp_rank_00_model_states.pt"] == torch_file("model")
    assert files["checkpoint-4/global_step4/zero_pp_rank_1_mp_rank_00_optim_states.pt"] == torch_file(
        "shard 1"
    )
    assert files["checkpoint-4/trainer_state.json"] == b'{"global_step": 4}'
    assert "checkpoint-4/global_step4/zero_pp_rank_0_mp_rank_00_optim_states.pt" not in files
    assert "checkpoint-4/rng_state_0.pth" not in files


def test_the_record_names_the_checkpoint_and_collect_leaves_it_where_it_is(tmp_path: Path) -> None:
    world = killed(tmp_path, training(zero=3), 4)
    first = world.run_folders("gpu1", "train")[0].name
    result = world.up("train", resume=True, detach=True)
    assert (result.resumed_from, result.resumed_adapter_only) == (f"{first}/checkpoint-4", False)
    record = parse_record((world.run_folders("gpu2", "train")[-1] / "run.json").read_bytes(), "run.json")
    ((job, path),) = record.inputs
    assert job == "train"
    assert path.endswith(f"runs/train/{first}/out/checkpoint-4")


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("trainer_state.json", b'{"global'),
        ("adapter_model.safetensors", safetensors_file()[:-1]),
        ("global_step4/zero_pp_rank_0_mp_rank_00_optim_states.pt", torch_file()[:-30]),
        ("global_step4/mp_rank_00_model_states.pt", None),
        ("global_step4/zero_pp_rank_0_mp_rank_00_optim_states.pt", None),
        ("trainer_state.json", None),
    ],
)
def test_a_checkpoint_that_was_killed_while_written_is_passed_by(
    tmp_path: Path, name: str, cut: bytes | None
) -> None:
    world = killed(tmp_path, training(zero=2), 2, 4)
    file = world.run_folders("gpu1", "train")[0] / "out" / "checkpoint-4" / name
    if cut is None:
        file.unlink()
    else:
        file.write_bytes(cut)
    arguments, _ = again(world)
    assert arguments["resume_from_checkpoint"].endswith("checkpoint-2")
    assert any("passed by checkpoint-4" in note for note in world.notes.notes)


def test_a_shard_that_another_host_lost_makes_the_checkpoint_a_broken_one(tmp_path: Path) -> None:
    world = killed(tmp_path, training(zero=2), 4)
    shard = "out/checkpoint-4/global_step4/zero_pp_rank_1_mp_rank_00_optim_states.pt"
    (world.run_folders("gpu2", "train")[0] / shard).unlink()
    with pytest.raises(UnfitError, match="no whole checkpoint") as caught:
        world.up("train", resume=True)
    assert "zero_pp_rank_1_mp_rank_00_optim_states.pt is on none of the hosts" in caught.value.why
    assert len(world.run_folders("gpu1", "train")) == 1


def test_of_a_run_that_saved_nothing_the_one_before_is_gone_on_from(tmp_path: Path) -> None:
    world = killed(tmp_path, training(zero=2), 4)
    for host in world.hosts.values():
        host.on_up = killed_after()
    with pytest.raises(JobError):
        world.up("train", resume=True)
    for host in world.hosts.values():
        host.on_up = None
    arguments, files = again(world)
    assert arguments["resume_from_checkpoint"].endswith("checkpoint-4")
    assert files["checkpoint-4/latest"] == b"global_step4"


def test_on_fewer_ranks_the_adapter_alone_goes_on(tmp_path: Path) -> None:
    world = changed(killed(tmp_path, training(zero=2), 4), training(zero=2, hosts=("gpu1",)))
    arguments, files = again(world)
    assert arguments["adapter_name_or_path"] == "/kit/run/resume/checkpoint-4"
    assert "resume_from_checkpoint" not in arguments
    assert set(files) == {"checkpoint-4/adapter_config.json", "checkpoint-4/adapter_model.safetensors"}
    assert any("written by 2 ranks, and there are 1 now" in note for note in world.notes.notes)


def test_without_deepspeed_everything_goes_on_on_fewer_ranks(tmp_path: Path) -> None:
    before = training(zero=None, finetuning_type="full")
    after = training(zero=None, hosts=("gpu1",), finetuning_type="full")
    arguments, files = again(changed(killed(tmp_path, before, 4), after))
    assert arguments["resume_from_checkpoint"].endswith("checkpoint-4")
    assert "checkpoint-4/optimizer.pt" in files


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            training(zero=2, finetuning_type="full"),
            training(zero=2, hosts=("gpu1",), finetuning_type="full"),
            "it was written by 2 ranks, and there are 1 now",
        ),
        (
            training(zero=2, finetuning_type="full"),
            training(zero=3, finetuning_type="full"),
            "it was written under ZeRO-2",
        ),
        (training(zero=2), training(zero=2, finetuning_type="full"), "holds an adapter"),
        (training(zero=None, finetuning_type="full"), training(zero=None), "holds a whole model"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_laid_out(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    world = changed(killed(tmp_path, before, 4), after)
    with pytest.raises(ConfigError) as caught:
        world.up("train", resume=True)
    assert said in f"{caught.value.what} {caught.value.why}"
    assert "without --resume" in caught.value.fix
    assert len(world.run_folders("gpu1", "train")) == 1


@pytest.mark.parametrize(
    "args", [{"stage": "rm", "finetuning_type": "full"}, {"stage": "ppo"}, {"fsdp": "full_shard"}]
)
def test_what_nothing_can_resume_is_told_at_once(args: dict[str, Any]) -> None:
    job = TrainJob.model_validate(training(zero=None, **args)["train"])
    with pytest.raises(ConfigError, match="cannot go on from a checkpoint"):
        check_resumable("train", job)


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    world = killed(tmp_path, training(zero=None), 4)
    config = world.run_folders("gpu1", "train")[0] / "out" / "checkpoint-4" / "adapter_config.json"
    config.write_text('{"base_model_name_or_path": "/kit/models/large"}')
    with pytest.raises(ConfigError, match="an adapter of large, not of tiny"):
        world.up("train", resume=True)


def test_only_a_training_can_go_on(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    with pytest.raises(ConfigError, match="has no checkpoints"):
        world.up("serve", resume=True)


def test_a_run_whose_checkpoint_cannot_be_laid_out_is_recorded_as_failed(tmp_path: Path) -> None:
    world = killed(tmp_path, training(zero=2), 4)

    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise UnfitError("no room", where="gpu2")

    world.agents["gpu2"].answers["take_checkpoint"] = refuse
    with pytest.raises(KitError, match="no room"):
        world.up("train", resume=True)
    for host in ("gpu1", "gpu2"):
        last = world.run_folders(host, "train")[-1]
        assert parse_record((last / "run.json").read_bytes(), "run.json").state == "failed"


def test_without_the_flag_a_training_begins_anew(tmp_path: Path) -> None:
    world = killed(tmp_path, training(zero=2), 4)
    world.up("train", detach=True)
    folder = world.run_folders("gpu1", "train")[-1]
    assert "resume_from_checkpoint" not in yaml.safe_load((folder / "train.yaml").read_text())
    assert not (folder / "resume").exists()


@pytest.mark.parametrize(
    ("name", "data", "whole"),
    [
        ("a.safetensors", safetensors_file(), True),
        ("a.safetensors", safetensors_file() + b"x", False),
        ("a.safetensors", b"\0" * 20, False),
        ("a.safetensors", b"", False),
        ("a.pt", torch_file(), True),
        ("a.bin", torch_file()[:100], False),
        ("a.json", b"[1]", True),
        ("a.json", b"[1", False),
        ("latest", b"", False),
    ],
)
def test_a_file_tells_whether_it_is_whole(tmp_path: Path, name: str, data: bytes, whole: bool) -> None:  # noqa: FBT001
    (tmp_path / name).write_bytes(data)
    assert is_whole(tmp_path / name) is whole
