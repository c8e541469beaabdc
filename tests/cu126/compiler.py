"""A stand-in for the CUDA devel image, which is no package: nvcc from Debian, headers from wheels."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kit.images.base_image import ensure_base
from kit.images.context import TextFile, Tree, write_context
from kit.images.docker_engine import BuildRequest
from kit.images.install_packages import install_layers
from kit.images.uv_command import UvCommand
from tests.cu126.stand_in import NOT_HAD

if TYPE_CHECKING:
    from kit.images.build_image import Builder
    from kit.images.image_inputs import Recipe

SUITE = "trixie"
WHEELS = (
    "nvidia-cuda-nvcc-cu12==12.4.131",
    "nvidia-cuda-runtime-cu12==12.4.127",
    "nvidia-cuda-cccl-cu12==12.6.77",  # 12.4's wheel lacks headers without a suffix
)
PROGRAMS = ("bin2c", "cudafe++", "fatbinary", "nvlink", "ptxas")
PROFILE = """TOP = $(_HERE_)/..
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH += $(TOP)/nvvm/bin:$(_HERE_):
INCLUDES += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES =+ $(_SPACE_) "-L$(TOP)/lib64" $(_SPACE_)
"""


def _run(*argv: str, cwd: Path) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nvcc could not be had: {' '.join(argv)}: {done.stderr[-800:]}")


def _fetch_toolkit(folder: Path) -> Path:
    """Return Debian's nvidia-cuda-toolkit, unpacked."""
    files = [*Path("/etc/apt").glob("sources.list"), *Path("/etc/apt").glob("sources.list.d/*")]
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    mirror = re.search(r"^(?:deb\s.*?|URIs:\s*)(https?://\S+/debian)/?(?:\s|$)", text, re.MULTILINE)
    if not mirror:
        pytest.skip("nvcc could not be had: apt's sources name no Debian mirror")
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    source = folder / "sources.list"
    source.write_text(f"deb [signed-by={key}] {mirror[1]} {SUITE} non-free\n", encoding="utf-8")
    options = (
        *("-o", f"Dir::Etc::SourceList={source}", "-o", "Dir::Etc::SourceParts=/dev/null"),
        *("-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"),
        *("-o", "APT::Sandbox::User=root"),
    )
    _run("apt-get", *options, "update", cwd=folder)
    _run("apt-get", *options, "download", f"nvidia-cuda-toolkit/{SUITE}", cwd=folder)
    (package,) = folder.glob("nvidia-cuda-toolkit_*.deb")
    _run("dpkg-deb", "-x", str(package), str(folder / "toolkit"), cwd=folder)
    return folder / "toolkit"


def _lay_out(folder: Path, toolkit: Path, headers: list[Path]) -> Path:
    cuda = folder / "cuda"
    for name in ("bin", "include", "lib64", "nvvm/bin"):
        (cuda / name).mkdir(parents=True)
    for name in PROGRAMS:
        shutil.copy(toolkit / "usr/bin" / name, cuda / "bin")
    private = toolkit / "usr/lib/nvidia-cuda-toolkit"
    shutil.copy(private / "bin/nvcc", cuda / "bin")
    shutil.copy(private / "bin/cicc", cuda / "nvvm/bin")
    shutil.copytree(private / "libdevice", cuda / "nvvm/libdevice")
    (cuda / "bin/nvcc.profile").write_text(PROFILE, encoding="utf-8")
    for place in headers:
        shutil.copytree(place, cuda / "include", dirs_exist_ok=True)
    return cuda


def make_compiler(recipe: Recipe, builder: Builder, folder: Path) -> str:
    """Return the tag of an image with nvcc in /usr/local/cuda-12.6. Skips when nvcc cannot be had."""
    toolkit = _fetch_toolkit(folder)
    wheels = folder / "wheels"
    argv = ("uv", "pip", "install", "--no-deps", "--python-version", "3.11", "--target", str(wheels), *WHEELS)
    builder.installer.run(UvCommand((sys.executable, "-m", *argv), ()))
    layers = install_layers(recipe.rule, recipe.stack, recipe.packages, builder.installer, None)
    # what is compiled includes cuBLAS' and others' headers; the nvcc that is there needs its own runtime's
    locked = [path for layer in layers if layer.folder for path in layer.folder.glob("nvidia/*/include")]
    own = [wheels / "nvidia" / name / "include" for name in ("cuda_cccl", "cuda_nvcc", "cuda_runtime")]
    cuda = _lay_out(folder, toolkit, [*locked, *own])
    library = wheels / "nvidia/cuda_runtime/lib/libcudart.so.12"
    shutil.copy(library, cuda / "lib64")
    (cuda / "lib64/libcudart.so").symlink_to("libcudart.so.12")
    curand = next(
        path for layer in layers if layer.folder for path in layer.folder.glob("**/libcurand.so.10")
    )
    shutil.copy(curand, cuda / "lib64/libcurand.so")
    NOT_HAD.add("train: nvidia/cuda devel image, nvcc 12.4 of Debian and headers from wheels stand for it")
    base = ensure_base(recipe.rule.base, builder.mirrors, builder.engine, builder.roots, builder.progress)
    dockerfile = TextFile("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY cuda/ /usr/local/cuda-12.6/\n")
    tag = "kit.invalid/devel:stand-in"
    request = BuildRequest("Dockerfile", tag, (("BASE", base),))
    builder.engine.build(request, lambda sink: write_context((dockerfile, Tree("cuda", cuda)), sink), print)
    return tag
