"""How many bytes of an image differ between two builds from nothing, and which files they are.

python -m tests.bench.two_builds [IMAGE …] builds images of stack cpu (train and serve, unless named) twice,
each time in an engine without images, with an empty cache of installed packages and without the wheels that
uv built from source, packs both as `kit bundle` does, and compares them: what the engine gives member by
member, what kit packs by digest. Root and some 30 GB of disk; other wheels come from uv's own cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from kit.bundle.docker_engine import DockerEngine
from kit.bundle.folder_target import FolderTarget
from kit.bundle.manifest import Image
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import PackRequest
from kit.images.build_image import build_image
from kit.images.docker_engine import DockerCommand
from kit.images.lock_image import ImageResolver
from kit.images.stacks import BuiltImage, find_stack
from kit.progress import NoProgress
from kit.project.model import Mirrors
from tests.bench.image_contents import (
    Comparison,
    LayerContents,
    Packed,
    compare,
    compare_packed,
    read_image,
)
from tests.lab.online import engine_down, engine_up
from tests.lab.state import Folders

PLACE = Path(os.environ.get("KIT_TWO_BUILDS", "/var/tmp/kit-two-builds"))
STACK = "cpu"
WHY: tuple[tuple[str, str], ...] = ()
"""(pattern of a path, why it differs)"""
_SHOWN = 40


@dataclass(frozen=True)
class Build:
    """An image as it was built, and as it was packed."""

    layers: tuple[LayerContents, ...]
    packed: Image


def build_once(number: int, names: list[str]) -> dict[str, Build]:
    """Build and pack the images where there is nothing; return what they hold."""
    folder = PLACE / str(number)
    folders = Folders(folder, folder / "lab-cache")
    os.environ["KIT_CACHE"] = str(folder / "cache")
    found, ids = {}, {}
    try:
        os.environ["DOCKER_HOST"] = engine_up(folders)
        subprocess.run((sys.executable, "-m", "uv", "cache", "clean", "-q", *sdists()), check=True)
        resolver = ImageResolver(STACK, Mirrors(), offline=False)
        for name in names:
            began = time.monotonic()
            lock = resolver.lock(name)
            built = build_image(name, STACK, lock, Mirrors(), DockerCommand(), NoProgress())
            saved = folder / f"{name}.tar"
            subprocess.run(("docker", "save", "-o", str(saved), built.image_id), check=True)
            found[name] = read_image(saved)
            saved.unlink()
            ids[name] = built.image_id
            print(f"build {number}: {name}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        packed = _pack(folder / "bundle", ids)
    finally:
        engine_down(folders)
        shutil.rmtree(folder, ignore_errors=True)
    return {name: Build(layers, packed[name]) for name, layers in found.items()}


def _pack(folder: Path, ids: dict[str, str]) -> dict[str, Image]:
    request = PackRequest("two-builds", STACK, b"{}\n", "2026-05-01T12:30:00Z", tuple(ids.items()), ())
    manifest = pack_bundle(request, DockerEngine(), FolderTarget(folder), NoProgress())
    return {image.name: image for image in manifest.images}


def sdists() -> tuple[str, ...]:
    """Return the packages that are built from source."""
    found = {
        name: None
        for image in find_stack(STACK).images
        if isinstance(image, BuiltImage)
        for name in image.sdists
    }
    return tuple(found)


def reason(path: str) -> str:
    """Return why a file differs, where that is known."""
    return next((why for pattern, why in WHY if fnmatchcase(path, pattern)), "unexplained")


def report(name: str, found: Comparison, packed: Packed) -> list[str]:
    """Return the lines that tell how two builds differ."""
    share = found.differing_bytes / found.size if found.size else 0.0
    lines = [
        f"{name}: {found.size:,} bytes in {found.layers} plain layers",
        f"  as the engine gives them: {found.equal_layers} layers equal, {found.raw_bytes:,} bytes in others",
        f"  times and order left aside: {found.differing_bytes:,} bytes ({share:.6%}) differ",
        f"  as kit packs them: {packed.equal_layers} layers equal, {packed.plain_bytes:,} bytes in others",
        f"  which are {packed.blob_bytes:,} bytes compressed; its config: {packed.config}",
    ]
    largest = sorted(found.differences, key=lambda item: -item.size)[:_SHOWN]
    return lines + [
        f"    {item.size:>12,}  layer {item.layer}  {item.path}  ({item.what}; {reason(item.path)})"
        for item in largest
    ]


def main() -> int:
    """Build twice, compare, print; 1 when something differs that nobody explained."""
    names = sys.argv[1:] or ["train", "serve"]
    first, second = build_once(1, names), build_once(2, names)
    unexplained = 0
    for name in names:
        found = compare(first[name].layers, second[name].layers)
        packed = compare_packed(first[name].packed, second[name].packed)
        print("\n".join(report(name, found, packed)))
        unexplained += sum(reason(difference.path) == "unexplained" for difference in found.differences)
        unexplained += not found.differences and packed.config != "equal"
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
