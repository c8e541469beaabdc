"""What `kit lock` says of packages and jobs that do not go together, before it asks a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from kit.cli.main import app
from tests.factories import project_document

GPU_HOSTS = {name: {"address": f"10.0.0.{n}", "gpus": 1} for n, name in enumerate(("gpu1", "gpu2"), 11)}
IMAGES = ["train", "serve", "serve-sglang"]


def lock(folder: Path, **overrides: Any) -> Any:
    """Run `kit lock --offline` on a kit.yaml; return exit code and text."""
    document = project_document(**({"stack": "cu126", "images": IMAGES, "hosts": GPU_HOSTS} | overrides))
    (folder / "kit.yaml").write_text(yaml.safe_dump(document))
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "config.json").write_text("{}")
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "questions.json").write_text('[{"instruction": "", "input": "", "output": ""}]')
    return CliRunner().invoke(app, ["lock", "--offline", "-f", str(folder / "kit.yaml")])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("packages", "said", "why"),
    [
        pytest.param(
            {"serve": ["torch==2.6.0+cu126"]},
            "packages.serve: vLLM 0.8.5.post1 of PyPI does not load beside torch 2.6.0+cu126",
            "the wheel has the old C++ ABI, this torch the new one",
            id="PyPI's vLLM beside +cu126",
        ),
        pytest.param(
            {"serve-sglang": ["torch==2.6.0+cu126"]},
            "packages.serve-sglang: sgl-kernel 0.1.0 of PyPI does not load beside torch 2.6.0+cu126",
            "the wheel has the old C++ ABI, this torch the new one",
            id="PyPI's sgl-kernel beside +cu126",
        ),
        pytest.param(
            {"train": ["flash-attn==2.7.4.post1+cu12torch2.6cxx11abifalse"]},
            "flash-attn 2.7.4.post1+cu12torch2.6cxx11abifalse does not load beside torch 2.6.0+cu126",
            "take the cxx11abiTRUE wheel",
            id="flash-attn of the other ABI",
        ),
        pytest.param(
            {"serve": ["vllm==0.9.0"]},
            "packages.serve: vLLM 0.9.0 cannot stand on torch 2.6.0",
            "vLLM 0.9.0 moved to torch 2.7.0",
            id="vLLM 0.9 on torch 2.6",
        ),
        pytest.param(
            {"serve": ["vllm==0.10.2"]},
            "packages.serve: vLLM 0.10.2 cannot stand on torch 2.6.0",
            "pin vllm==0.8.5.post1",
            id="vLLM 0.10 on torch 2.6",
        ),
        pytest.param(
            {"serve-sglang": ["sglang==0.4.7"]},
            "packages.serve-sglang: SGLang 0.4.7 cannot stand on torch 2.6.0",
            "SGLang 0.4.7 moved to torch 2.7.1",
            id="SGLang 0.4.7 on torch 2.6",
        ),
        pytest.param(
            {"serve": ["vllm==0.8.5.post1", "torch==2.7.0"]},
            "packages.serve: vLLM 0.8.5.post1 of PyPI does not load beside torch 2.7.0",
            "vLLM 0.8.5.post1 is made for torch 2.6.0, not 2.7.0",
            id="another torch than vLLM pins",
        ),
        pytest.param(
            {"serve": ["sglang==0.4.6.post1"]},
            "packages.serve: vLLM 0.8.5.post1 and SGLang 0.4.6.post1 in one image",
            "two images: serve has vLLM, serve-sglang has SGLang",
            id="vLLM and SGLang in one image",
        ),
        pytest.param(
            {"train": ["vllm==0.8.5.post1", "sglang==0.4.6.post1"]},
            "vLLM 0.8.5.post1 and SGLang 0.4.6.post1 in one image",
            "those pins contradict each other",
            id="both engines in the train image",
        ),
        pytest.param(
            {"train": ["deepspeed==0.17.0"]},
            "packages.train: DeepSpeed 0.17.0 is above what LLaMA-Factory 0.9.3 takes",
            "0.10.0 to 0.16.9",
            id="DeepSpeed above the window",
        ),
        pytest.param(
            {"train": ["transformers==4.53.0"]},
            "packages.train: LLaMA-Factory 0.9.3 refuses these packages",
            "transformers 4.45.0 to 4.52.4",
            id="transformers outside the window",
        ),
        pytest.param(
            {"train": ["numpy==2.1.0"]},
            "packages.train: LLaMA-Factory 0.9.3 refuses these packages",
            "numpy below 2",
            id="numpy 2",
        ),
        pytest.param(
            {"train": ["unsloth==2025.11.6"]},
            "packages.train: Unsloth 2025.11.6 beside trl 0.9.6",
            "hiyouga/LLaMA-Factory#9583",
            id="Unsloth with trl 0.9.6",
        ),
    ],
)
def test_packages_that_do_not_go_together_are_refused(
    tmp_path: Path, packages: dict[str, list[str]], said: str, why: str
) -> None:
    result = lock(tmp_path, packages=packages)
    assert result.exit_code == 2
    assert said in result.output
    assert why in result.output
    assert not (tmp_path / "kit.lock").exists()


@pytest.mark.parametrize("flag", ["reasoning-parser", "reasoning_parser"])
def test_qwen3_as_such_for_vllm_0_8_5_is_refused(tmp_path: Path, flag: str) -> None:
    serve = {"kind": "serve", "model": "tiny", "hosts": ["gpu1"], "args": {flag: "qwen3"}}
    result = lock(tmp_path, jobs={"serve": serve})
    assert result.exit_code == 2
    assert f"jobs.serve.args.{flag}: vLLM 0.8.5.post1 has no reasoning parser qwen3" in result.output
    assert "write `reasoning: qwen3` in the job" in result.output


def test_a_flag_that_the_asked_release_has_dropped_is_refused(tmp_path: Path) -> None:
    serve = {"kind": "serve", "model": "tiny", "hosts": ["gpu1"], "args": {"enable-reasoning": True}}
    packages = {"serve": ["vllm==0.10.2", "torch==2.8.0", "transformers==4.55.2"]}
    result = lock(tmp_path, jobs={"serve": serve}, packages=packages)
    assert result.exit_code == 2
    assert "vLLM 0.10.2 has no flag --enable-reasoning" in result.output


def test_what_goes_together_is_locked_and_waits_for_a_network(tmp_path: Path) -> None:
    result = lock(
        tmp_path, packages={"train": ["tensorboard==2.19.0"]}, stack="cpu", images=["train", "serve"]
    )
    assert result.exit_code == 0
    assert "train: tensorboard==2.19.0 (needs a package index)" in result.output


@pytest.mark.parametrize(
    ("packages", "said"),
    [
        ({"train": ["peft>=0.15"]}, "packages.train[0]: write NAME==VERSION"),
        ({"train": ["peft==0.15.*"]}, "packages.train[0]: write NAME==VERSION"),
        ({"train": ["-r other.txt"]}, "packages.train[0]: write NAME==VERSION"),
        ({"train": ["peft @ https://example.org/peft.whl"]}, "packages.train[0]: write NAME==VERSION"),
        ({"train": ["peft==1 --index-url=x"]}, "packages.train[0]: write NAME==VERSION"),
        ({"data": ["peft==1"]}, "packages.data"),
        ({"train": ["a-b==1", "A_b==2"]}, "packages.train[1]: a-b is named twice"),
    ],
)
def test_packages_that_are_no_pins_are_refused(tmp_path: Path, packages: Any, said: str) -> None:
    result = lock(tmp_path, packages=packages)
    assert result.exit_code == 2
    assert said in result.output


def test_packages_of_an_image_that_is_not_carried_are_refused(tmp_path: Path) -> None:
    result = lock(tmp_path, images=["train", "serve"], packages={"serve-sglang": ["six==1.17.0"]})
    assert "packages.serve-sglang: the image 'serve-sglang' is not carried" in result.output
