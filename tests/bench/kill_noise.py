"""Two versions of a bundle of noise: every other piece of 4 MiB differs in about half of its files."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.bundle.digest import sha256_of_file
from kit.bundle.docker_engine import DockerEngine
from kit.bundle.folder_target import FolderTarget
from kit.bundle.manifest import Manifest
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import LocalFile, LocalTree, PackRequest
from kit.bundle.source import open_bundle
from kit.progress import NoProgress
from tests.e2e.ship_stage import MIB, make_tree
from tests.lab.tiny_image import busybox_program

PIECE = 4 * MIB
"""Frames of large files are cut so (docs/reference/bundle-format.md)."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of what a bundle holds, kit's image apart."""

    layers: tuple[int, int]
    """The second differs between versions."""
    weights: int
    """They differ between versions."""

    @property
    def total(self) -> int:
        return sum(self.layers) + self.weights

    @property
    def changed(self) -> int:
        """What another version has of its own."""
        return (self.layers[1] + self.weights) // 2


@dataclass(frozen=True)
class Version:
    """A bundle, and what is right of it on a host."""

    bundle: Path
    manifest: Manifest
    sums: str
    """Sums of the files in its train image, as sha256sum lists them."""


def _pieces(name: str, size: int, version: str) -> Iterator[bytes]:
    for number, start in enumerate(range(0, size, PIECE)):
        own = version if number % 2 else ""
        yield random.Random(f"{name} {number} {own}").randbytes(min(PIECE, size - start))


def _write(path: Path, size: int, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(_pieces(path.name, size, version))
    return path


def _sum(path: Path) -> str:
    return sha256_of_file(path).digest.removeprefix("sha256:")


def _layer(path: Path, files: dict[str, Path]) -> str:
    """Write a layer of these files; return its diffID."""
    with tarfile.open(path, "w") as tar:
        for name, place in files.items():
            tar.add(place, name)
    return f"sha256:{_sum(path)}"


def noise_image(engine: str, folder: Path, sizes: Sizes, version: str, tag: str) -> str:
    """Load an image of busybox and two files of noise, a layer each; return the sums of these."""
    folder.mkdir(parents=True)
    own = ("", version)
    noise = [_write(folder / f"noise{n}", size, own[n]) for n, size in enumerate(sizes.layers)]
    program = folder / "busybox"
    program.write_bytes(busybox_program())
    program.chmod(0o755)
    contents: tuple[dict[str, Path], ...] = (
        {"bin/busybox": program, "noise0": noise[0]},
        {"noise1": noise[1]},
    )
    layers = [folder / f"{n}.tar" for n in range(len(contents))]
    ids = [_layer(path, files) for path, files in zip(layers, contents, strict=True)]
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}}
    listing = [{"Config": "config.json", "RepoTags": [tag], "Layers": [path.name for path in layers]}]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps(listing), encoding="utf-8")
    sums = "".join(f"{_sum(path)}  /{path.name}\n" for path in noise)
    names = ["manifest.json", "config.json", *(path.name for path in layers)]
    with subprocess.Popen(("tar", "-C", str(folder), "-c", *names), stdout=subprocess.PIPE) as archive:
        load = ("docker", "-H", engine, "load", "--quiet")
        subprocess.run(load, stdin=archive.stdout, stdout=subprocess.DEVNULL, check=True)
    shutil.rmtree(folder)
    return sums


def pack_version(engine: str, kit_image: str, folder: Path, sizes: Sizes, version: str) -> Version:
    """Pack one version; return it. The engine keeps nothing of it."""
    tag = f"kit-bench:noise-{version}"
    sums = noise_image(engine, folder / "image", sizes, version, tag)
    weights = _write(folder / "model" / "model.safetensors", sizes.weights, version)
    config = _write(folder / "model" / "config.json", 40, "")
    files = tuple(LocalFile(path.name, path, sha256_of_file(path)) for path in (config, weights))
    trees = (
        LocalTree("model", "tiny", "folder:tiny", files),
        make_tree("dataset", "questions", folder / "data", {"questions.json": 100}, 1),
    )
    images = (("kit", kit_image), ("train", tag))
    request = PackRequest(f"noise-{version}", "cpu", b"{}\n", "2026-05-01T12:30:00Z", images, trees)
    pack_bundle(request, DockerEngine(engine), FolderTarget(folder / "bundle"), NoProgress())
    subprocess.run(("docker", "-H", engine, "rmi", tag), check=True, stdout=subprocess.DEVNULL)
    for part in ("model", "data"):
        shutil.rmtree(folder / part)
    return Version(folder / "bundle", open_bundle(folder / "bundle").manifest, sums)


def digest_of(path: Path) -> str:
    """Return the sha256 of a small file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
