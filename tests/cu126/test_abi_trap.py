"""vLLM's wheel has the old C++ ABI: the smoke test must tell it from a torch with the new one."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kit.data_files import data_folder
from kit.images.image_inputs import read_packages
from kit.images.install_packages import install_layers
from kit.images.packages import PackageLock
from kit.images.stacks import BuiltImage, LayerGroup, find_stack

if TYPE_CHECKING:
    from pathlib import Path

    from kit.images.build_image import Builder

pytestmark = [pytest.mark.cu126, pytest.mark.timeout(0)]


def _installed(builder: Builder, stack_name: str, package: str) -> Path:
    stack = find_stack(stack_name)
    rule = stack.image("serve")
    assert isinstance(rule, BuiltImage)
    pins = tuple(pin for pin in read_packages(rule, stack).pins if pin.name == package)
    rule = replace(rule, layers=(LayerGroup("one", ("*",)),))
    (layer,) = install_layers(rule, stack, PackageLock(pins), builder.installer, None)
    assert layer.folder
    return layer.folder


def _prove(engine: Path, torch: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from pathlib import Path; from prove import ProofError, prove_symbols\n"
        "try: prove_symbols('vllm/_C.abi3.so', site=Path(sys.argv[1]), torch=Path(sys.argv[2]))\n"
        "except ProofError as error: sys.exit(f'PROOF FAILED: {error}')\n"
    )
    argv = (sys.executable, "-c", code, str(engine), str(torch / "torch"))
    env = {"PYTHONPATH": str(data_folder("images")), "PATH": "/usr/bin:/bin"}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def test_vllm_beside_a_torch_of_the_new_abi_fails_the_proof_with_the_reason(builder: Builder) -> None:
    done = _prove(_installed(builder, "cu126", "vllm"), _installed(builder, "cpu", "torch"))
    print(done.stderr)
    assert done.returncode == 1
    assert re.search(r"vllm/_C\.abi3\.so does not fit torch 2\.13\.0\+cpu", done.stderr)
    assert "compiled for the old C++ ABI; this torch has the new one" in done.stderr
    assert "_ZN3c105ErrorC2ENS_14SourceLocationESs" in done.stderr


def test_vllm_beside_the_locked_torch_passes_the_proof(builder: Builder) -> None:
    done = _prove(_installed(builder, "cu126", "vllm"), _installed(builder, "cu126", "torch"))
    assert done.returncode == 0, done.stderr
