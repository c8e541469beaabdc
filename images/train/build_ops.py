"""Compiles DeepSpeed's operators out of the sources in its installed package, for GPUs that are not here.

python build_ops.py FOLDER writes what is to be laid over /opt/kit.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import deepspeed
import torch
from deepspeed.ops.op_builder.cpu_adam import CPUAdamBuilder
from deepspeed.ops.op_builder.fused_adam import FusedAdamBuilder
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension

PACKAGE = Path(deepspeed.__file__).parent
BUILDERS = (CPUAdamBuilder, FusedAdamBuilder)


class PortableBuilder:
    """Mixed into DeepSpeed's builders: what runs on any host with AVX2, not on the building machine alone."""

    def cpu_arch(self) -> str:
        """Return the compiler's option for the processor."""
        return "-march=x86-64-v3"

    def simd_width(self) -> str:
        """Return the macro that picks DeepSpeed's vector width."""
        return "-D__AVX256__"


def record(versions: dict[str, str]) -> str:
    """Return DeepSpeed's note of the operators that are there and what they were compiled against."""
    text = (PACKAGE / "git_version_info_installed.py").read_text(encoding="utf-8")
    names = {builder.NAME for builder in BUILDERS}
    scope: dict[str, object] = {}
    exec(text, scope)  # noqa: S102 - DeepSpeed's own file, assignments only
    installed = {**scope["installed_ops"], **dict.fromkeys(sorted(names), True)}  # type: ignore[dict-item]
    kept = [line for line in text.splitlines() if line.startswith(("version=", "git_hash=", "git_branch="))]
    return "\n".join((*kept, f"installed_ops={installed}", "accelerator_name='cuda'", f"torch_info={versions}", ""))


def main() -> None:
    """Compile, then write the operators and DeepSpeed's note of them."""
    target = Path(sys.argv[1]) / "lib" / "python3.11" / "site-packages"
    os.chdir(PACKAGE / "ops")  # the sources are named relative to this folder
    classes = [type(f"Portable{kind.__name__}", (PortableBuilder, kind), {}) for kind in BUILDERS]
    setup(
        name="ops",
        script_args=["build_ext", "--build-lib", str(target), "--build-temp", "/tmp/ops"],  # noqa: S108
        ext_modules=[kind().builder() for kind in classes],
        cmdclass={"build_ext": BuildExtension},
    )
    shutil.rmtree("/tmp/ops", ignore_errors=True)  # noqa: S108
    major_minor = ".".join(torch.__version__.split("+")[0].split(".")[:2])
    cuda = ".".join((torch.version.cuda or "0.0").split(".")[:2])
    nccl = ".".join(str(part) for part in torch.cuda.nccl.version()[:2])
    versions = {
        "version": major_minor,
        "bf16_support": True,
        "cuda_version": cuda,
        "nccl_version": nccl,
        "hip_version": "0.0",
    }
    (target / "deepspeed" / "git_version_info_installed.py").write_text(record(versions), encoding="utf-8")


if __name__ == "__main__":
    main()
