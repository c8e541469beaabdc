"""Puts an image's locked packages into one folder a layer, outside any container.

A folder is named by what is in it and reused while that stays the same. Nothing in it depends on
this machine: scripts start the image's own Python, and records of where files came from are left out.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.images.leave_out import leave_out
from kit.images.packages import PackageLock, Pin, partition
from kit.images.uv_command import UvCommand, install_argv, install_env, torch_index
from kit.project.requirement import distribution_name

if TYPE_CHECKING:
    from kit.images.stacks import BuiltImage, Stack
    from kit.images.uv_subprocess import Installer

HOME = "/opt/kit"
"""Root of the virtual environment in every image."""
PARTIAL = "partial-"
"""Begins the name of a folder that is being filled."""
LAYER_LIMIT = 2_000_000_000
"""Bytes. Some registries and proxies refuse larger layers."""
_FORM = "2"  # counts up when the folders of earlier versions must not be reused
_REQUIRES = b"Requires-Dist: "
_SHEBANG = re.compile(rb"\A#!(?:/bin/sh\n'''exec' [^\n]*\n' '''|[^\n]*python[^\n]*)\n")
_MACHINE_BOUND = ("uv_cache.json", "direct_url.json", "REQUESTED", "INSTALLER")


@dataclass(frozen=True, slots=True)
class InstalledLayer:
    """The packages of one layer, installed."""

    name: str
    folder: Path | None
    """None when no package belongs to it."""
    size: int
    """Bytes."""


def cache_folder() -> Path:
    """Return the folder of installed layers and completed locks (`KIT_CACHE` names another)."""
    given = os.environ.get("KIT_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "airgap-kit"


def install_layers(
    rule: BuiltImage,
    stack: Stack,
    lock: PackageLock,
    installer: Installer,
    pip_mirror: str | None,
    limit: int = LAYER_LIMIT,
) -> tuple[InstalledLayer, ...]:
    """Return a folder for each layer group of the image.

    Raises TransferError when packages cannot be had, ConfigError when a layer is too large.
    """
    layers = []
    for name, pins in partition(lock, rule.layers):
        folder = _install(rule, stack, pins, installer, pip_mirror) if pins else None
        size = _size(folder) if folder else 0
        if size >= limit:
            raise ConfigError(
                f"layer {name!r} of {rule.name} has {size:,} bytes",
                where="images/stacks.yaml",
                why=f"the limit is {limit:,}",
                fix="split its group in images/stacks.yaml",
            )
        layers.append(InstalledLayer(name, folder, size))
    return tuple(layers)


def packages_folder() -> Path:
    """Return the folder of installed layers, one folder each."""
    return cache_folder() / "packages"


def package_set_name(stack: Stack, pins: tuple[Pin, ...]) -> str:
    """Return the name of the folder that these packages are installed in."""
    text = "".join(pin.requirement for pin in pins)
    left_out = "".join(f"{pattern}\n" for pattern in stack.leave_out)
    key = f"{_FORM}\n{stack.python}\n{stack.platform}\n{left_out}\n{text}"
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _install(
    rule: BuiltImage, stack: Stack, pins: tuple[Pin, ...], installer: Installer, pip_mirror: str | None
) -> Path:
    text = "".join(pin.requirement for pin in pins)
    final = packages_folder() / package_set_name(stack, pins)
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(mkdtemp(prefix=PARTIAL, dir=final.parent))
    try:
        with TemporaryDirectory(prefix="kit-install-") as scratch:
            wanted = Path(scratch) / "requirements.txt"
            wanted.write_text(text, encoding="utf-8")
            index = torch_index(stack, text, installer.wheel_files())
            argv = install_argv(rule, stack, wanted, partial, index)
            installer.run(UvCommand(argv, install_env(os.environ, pip_mirror)))
        free_from_machine(partial, rule.sdists)
        leave_out(partial, stack.leave_out)
        try:
            partial.rename(final)
        except OSError:
            if not final.is_dir():  # another process was quicker
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def free_from_machine(folder: Path, sdists: tuple[str, ...] = ()) -> None:
    """Take out of an installed folder whatever depends on the machine that installed it.

    `sdists` are the packages that were built from source there.
    """
    (folder / ".lock").unlink(missing_ok=True)
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)
    for info in folder.glob("*.dist-info"):
        for name in _MACHINE_BOUND:
            (info / name).unlink(missing_ok=True)
        record = info / "RECORD"
        if distribution_name(info.name.partition("-")[0]) in sdists:
            _sort_requirements(info / "METADATA", record)
        if record.exists():
            _replace(record, _portable_record(record.read_text(encoding="utf-8")).encode())
    for script in (folder / "bin").glob("*"):
        if script.is_file() and not script.is_symlink():
            _repoint(script)


def _sort_requirements(metadata: Path, record: Path) -> None:
    """Give the requirements of a package one order.

    DeepSpeed's setup.py collects them in a set, and a wheel that uv kept was built with who knows which seed.
    """
    before = metadata.read_bytes()
    head, blank, text = before.partition(b"\n\n")
    lines = head.split(b"\n")
    wanted = iter(sorted(line for line in lines if line.startswith(_REQUIRES)))
    lines = [next(wanted) if line.startswith(_REQUIRES) else line for line in lines]
    after = b"\n".join(lines) + blank + text
    if after == before:
        return
    _replace(metadata, after)
    named = f"{metadata.parent.name}/{metadata.name}"
    entry = f"{named},sha256={_record_hash(after)},{len(after)}"
    kept = [line for line in record.read_text(encoding="utf-8").splitlines() if line.split(",")[0] != named]
    _replace(record, "".join(f"{line}\n" for line in (*kept, entry)).encode())


def _record_hash(data: bytes) -> str:
    # As RECORD has it: base64 for URLs, without padding.
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")


def _portable_record(text: str) -> str:
    # Hashes of scripts tell where the installing Python was; bytecode is left to the image.
    gone = ("bin/", *(name for name in _MACHINE_BOUND))
    kept = [
        line
        for line in text.splitlines()
        if not line.startswith("bin/")
        and "__pycache__/" not in line
        and line.split(",")[0].rpartition("/")[2] not in gone
    ]
    return "".join(f"{line}\n" for line in sorted(kept))


def _repoint(script: Path) -> None:
    with script.open("rb") as file:
        if file.read(2) != b"#!":
            return
    data = script.read_bytes()
    changed = _SHEBANG.sub(f"#!{HOME}/bin/python\n".encode(), data, count=1)
    if changed != data:
        _replace(script, changed)


def _replace(path: Path, data: bytes) -> None:
    # Never in place: the file may be a hard link into uv's cache.
    mode = path.stat().st_mode
    path.unlink()
    path.write_bytes(data)
    path.chmod(mode)


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir() or file.is_symlink())
