"""The images of stack cu126, from every locked wheel that can be had, do what they can without a GPU."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kit.images.build_image import operators_request
from kit.images.context import write_context
from tests.cu126.compiler import make_compiler
from tests.cu126.stand_in import WORK, docker, stand_in_recipe

if TYPE_CHECKING:
    from kit.images.build_image import Builder

pytestmark = [pytest.mark.cu126, pytest.mark.timeout(0)]

UID = "12345:12345"
# SGLang says it by asking for vLLM, whose kernels it takes when torch sees no GPU.
NO_GPU = re.compile(
    r"no nvidia driver|no cuda gpus are available|failed to infer device type|no module named 'vllm'",
    re.IGNORECASE,
)


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o777)
    for parent in (tmp_path, *tmp_path.parents):
        if parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o005)
    return folder


def _model(image: str, folder: Path) -> None:
    mounts = (f"--volume={WORK}:/work-folder:ro", f"--volume={folder}:/run-folder")
    argv = ("python", "/work-folder/make_model.py", "/run-folder")
    docker("run", "--rm", "--network=none", f"--user={UID}", *mounts, image, *argv)


def _start_rank(image: str, folder: Path, rank: int, port: int) -> str:
    env = {
        "FORCE_TORCHRUN": "1",
        "NNODES": "2",
        "NODE_RANK": str(rank),
        "NPROC_PER_NODE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "PET_LOCAL_ADDR": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
    }
    options = [f"--env={name}={value}" for name, value in env.items()]
    options += [f"--volume={WORK}:/work-folder:ro", f"--volume={folder}:/run-folder"]
    argv = ("llamafactory-cli", "train", "/work-folder/train.yaml")
    run = ("run", "--detach", "--network=host", "--ipc=host", f"--user={UID}")
    return docker(*run, *options, image, *argv).strip()


@pytest.mark.parametrize("image", ["train"], indirect=True)
def test_train_image_trains_two_ranks_with_zero2_on_cpus(image: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    _model(image, folder)
    ranks = [_start_rank(image, folder, rank, 29611) for rank in (0, 1)]
    try:
        states = [docker("wait", rank).strip() for rank in ranks]
        logs = [docker("logs", rank) for rank in ranks]
    finally:
        docker("rm", "--force", *ranks)
    assert states == ["0", "0"], logs[0][-4000:] + logs[1][-4000:]
    assert "world size: 2" in logs[0]
    assert re.search(r"train_loss\s+=\s+\d", logs[0])
    assert (folder / "out" / "adapter_model.safetensors").stat().st_size > 0


@pytest.mark.parametrize("image", ["train"], indirect=True)
def test_deepspeeds_operators_compile_and_fit_without_the_compiler(
    image: str, builder: Builder, tmp_path: Path
) -> None:
    recipe = stand_in_recipe("train")
    devel = make_compiler(recipe, builder, tmp_path)
    base = "kit.invalid/train:operators-base"
    docker("tag", image, base)
    request = replace(operators_request(recipe, base, devel, "test"), tag="kit.invalid/train:operators")
    try:
        builder.engine.build(request, lambda sink: write_context(recipe.own_parts, sink), print)
        sizes = [int(docker("inspect", "--format={{.Size}}", tag)) for tag in (base, request.tag)]
        assert sizes[1] - sizes[0] < 50_000_000
        code = (
            "from deepspeed.git_version_info import installed_ops as ops; print([n for n in ops if ops[n]])"
        )
        run = ("run", "--rm", "--network=none", request.tag)
        assert "['cpu_adam', 'fused_adam']" in docker(*run, "python", "-c", code)
        assert docker(*run, "sh", "-c", "command -v nvcc || echo none").strip() == "none"
    finally:
        docker("rmi", "--force", request.tag, base, devel, check=False)
        docker("image", "prune", "--force")


@pytest.mark.parametrize(
    ("image", "argv"),
    [
        (
            "serve",
            ("python", "-m", "vllm.entrypoints.openai.api_server", "--model=/run-folder/model"),
        ),
        (
            "serve-sglang",
            ("python", "-m", "sglang.launch_server", "--model-path=/run-folder/model", "--device=cuda"),
        ),
    ],
    indirect=["image"],
)
def test_serve_image_starts_until_the_engine_says_that_there_is_no_gpu(
    image: str, argv: tuple[str, ...], tmp_path: Path
) -> None:
    folder = _folder(tmp_path)
    _model(image, folder)
    run = ("run", "--rm", "--network=none", "--ipc=host", f"--user={UID}", f"--volume={folder}:/run-folder")
    said = docker(*run, image, *argv, check=False)
    print(said[-3000:])
    assert NO_GPU.search(said), said[-6000:]
    assert "undefined symbol" not in said


@pytest.mark.parametrize("image", ["kit"], indirect=True)
def test_kits_own_image_starts(image: str) -> None:
    assert "Usage" in docker("run", "--rm", "--network=none", f"--user={UID}", image, "--help")
