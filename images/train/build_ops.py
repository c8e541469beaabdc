"""Compiles DeepSpeed's operators out of the sources in its installed package; hosts need no compiler then.

python build_ops.py FOLDER writes what is to be laid over /opt/kit. Which operators is decided by the torch
that is there: those for CPUs, or those for GPUs, which need not be here.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path

import torch

GPU = torch.version.cuda is not None
os.environ["DS_ACCELERATOR"] = "cpu"  # DeepSpeed asks a GPU for its abilities as soon as it is imported
os.environ.setdefault("MAX_JOBS", str(os.cpu_count() or 1))
os.environ["CFLAGS"] = "-g0"  # debugging symbols are most of an operator

import deepspeed  # noqa: E402
from setuptools import setup  # noqa: E402
from torch.utils.cpp_extension import BuildExtension  # noqa: E402

PACKAGE = Path(deepspeed.__file__).parent
BUILDERS = (
    ("cpu_adam.CPUAdamBuilder", "fused_adam.FusedAdamBuilder") if GPU else ("cpu.comm.ShareMemCommBuilder",)
)


class PortableBuilder:
    """Mixed into DeepSpeed's builders: what runs on any host with AVX2, not on the building machine alone."""

    def cpu_arch(self) -> str:
        """Return the compiler's option for the processor."""
        return "-march=x86-64-v3"

    def simd_width(self) -> str:
        """Return the macro that picks DeepSpeed's vector width."""
        return "-D__AVX256__"


def portable(place: str) -> type:
    """Return DeepSpeed's builder `module.Class`, made portable."""
    module, _, name = place.rpartition(".")
    kind = getattr(importlib.import_module(f"deepspeed.ops.op_builder.{module}"), name)
    return type(f"Portable{name}", (PortableBuilder, kind), {})


def torch_facts() -> dict[str, object]:
    """Return what DeepSpeed compares before it takes a compiled operator."""
    cuda, nccl = "0.0", "0.0"
    if GPU:
        cuda = ".".join(torch.version.cuda.split(".")[:2])
        nccl = ".".join(str(part) for part in torch.cuda.nccl.version()[:2])
    version = ".".join(torch.__version__.split(".")[:2])
    return {
        "version": version,
        "bf16_support": GPU,
        "cuda_version": cuda,
        "nccl_version": nccl,
        "hip_version": "0.0",
    }


def record(names: list[str]) -> str:
    """Return DeepSpeed's note of the operators that are there."""
    text = (PACKAGE / "git_version_info_installed.py").read_text(encoding="utf-8")
    scope: dict[str, object] = {}
    exec(text, scope)  # DeepSpeed's own file, assignments only
    installed = {**scope["installed_ops"], **dict.fromkeys(names, True)}
    kept = [line for line in text.splitlines() if line.startswith(("version=", "git_hash=", "git_branch="))]
    accelerator = "cuda" if GPU else "cpu"
    made = (
        f"installed_ops={installed}",
        f"accelerator_name={accelerator!r}",
        f"torch_info={torch_facts()}",
        "",
    )
    return "\n".join((*kept, *made))


def main() -> None:
    """Compile, then write the operators and DeepSpeed's note of them."""
    target = Path(sys.argv[1]) / "lib" / "python3.11" / "site-packages"
    os.chdir(PACKAGE / "ops")  # the sources are named relative to this folder
    builders = [portable(place)() for place in BUILDERS]
    setup(
        name="ops",
        script_args=["--quiet", "build_ext", "--build-lib", str(target), "--build-temp", "/tmp/ops"],
        ext_modules=[builder.builder() for builder in builders],
        cmdclass={"build_ext": BuildExtension},
    )
    shutil.rmtree("/tmp/ops", ignore_errors=True)
    note = target / "deepspeed" / "git_version_info_installed.py"
    note.write_text(record([builder.name for builder in builders]), encoding="utf-8")
    print(f"operators: {', '.join(builder.name for builder in builders)}")


if __name__ == "__main__":
    main()
