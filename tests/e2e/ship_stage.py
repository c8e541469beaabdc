"""A small bundle with kit's real image, and hosts of three ages to ship it to, by kit's own command line."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.bundle.copy_bundle import copy_bundle
from kit.bundle.digest import sha256_of_file
from kit.bundle.docker_engine import DockerEngine
from kit.bundle.folder_target import FolderTarget
from kit.bundle.manifest import Manifest
from kit.bundle.pack import NOBODY, pack_bundle
from kit.bundle.pack_listener import PackListener
from kit.bundle.pack_request import LocalFile, LocalTree, PackRequest
from kit.bundle.source import open_bundle
from kit.bundle.tar_target import TarTarget
from kit.images.build_image import build_image
from kit.images.docker_engine import DockerCommand
from kit.images.lock_image import ImageResolver
from kit.progress import NoProgress
from kit.project.model import Mirrors
from tests.lab import Lab, LabUnavailableError, environment

MIB = 1 << 20
ROOT = "/aisys/kit"
KINDS = (("old", "20.10"), ("mid", "26.1"), ("new", "28.5"))


def build_kit_image(engine: str) -> str:
    """Build kit's image as `kit bundle` does; return its ID."""
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = engine
    try:
        command = DockerCommand()
        lock = ImageResolver("cpu", Mirrors(), offline=False).lock("kit")
        return build_image("kit", "cpu", lock, Mirrors(), command, NoProgress()).image_id
    finally:
        os.environ.pop("DOCKER_HOST")
        if before is not None:
            os.environ["DOCKER_HOST"] = before


def busybox_image(engine: str, tag: str, note: bytes, program: str = "") -> str:
    """Import a root folder of busybox and one file; `program` is a shell's text for llamafactory-cli.

    Returns the image's tag.
    """
    programs = (("bin/llamafactory-cli", program.encode()),) if program else ()
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, data in (("bin/busybox", Path("/bin/busybox").read_bytes()), ("note", note), *programs):
            member = tarfile.TarInfo(name)
            member.mode, member.size = 0o755, len(data)
            tar.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
    argv = ("docker", "-H", engine, "import", "-", tag)
    subprocess.run(argv, input=written.getvalue(), check=True, stdout=subprocess.DEVNULL)
    return tag


def make_tree(kind: str, name: str, folder: Path, sizes: dict[str, int], seed: int) -> LocalTree:
    """Write files of random bytes."""
    noise = random.Random(seed)
    files = []
    for path, size in sizes.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            for start in range(0, size, MIB):
                file.write(noise.randbytes(min(MIB, size - start)))
        files.append(LocalFile(path, place, sha256_of_file(place)))
    return LocalTree(kind, name, f"folder:{name}", tuple(files))


@dataclass(frozen=True)
class Said:
    """How a kit command ended."""

    status: int
    result: dict[str, Any]

    @property
    def text(self) -> str:
        """All words of its error."""
        return " ".join(str(value) for value in self.result["error"].values())


@dataclass
class Stage:
    """The lab, the online machine's engine, and a folder for bundles."""

    lab: Lab
    engine: str
    kit_image: str
    folder: Path
    tags: list[str] = field(default_factory=list)
    """Images made for the tests alone."""

    def pack(
        self,
        name: str,
        seed: int = 1,
        weights: int = 8 * MIB,
        listener: PackListener = NOBODY,
        program: str = "",
    ) -> Path:
        """Pack a bundle of kit, a train image, a model and a dataset; return its folder."""
        made = self.folder / name
        sizes = {"config.json": 40, "weights/model.safetensors": weights, "empty": 0}
        model = make_tree("model", "tiny", made / "model", sizes, seed)
        data = make_tree("dataset", "questions", made / "data", {"questions.json": 100}, seed + 1)
        train = busybox_image(self.engine, f"ship-test-{name}", name.encode(), program)
        self.tags.append(train)
        images = (("kit", self.kit_image), ("train", train))
        bundle = shutil.copytree(self._packed_kit(), made / "bundle")
        request = PackRequest(name, "cpu", b"{}\n", "2026-05-01T12:30:00Z", images, (model, data))
        target = FolderTarget(bundle)
        pack_bundle(request, DockerEngine(self.engine), target, NoProgress(), listener=listener)
        return bundle

    def _packed_kit(self) -> Path:
        """Return a bundle of kit's image alone: what begins as a copy of it need not pack that again."""
        bundle = self.folder / "kit-alone"
        if not bundle.exists():
            images = (("kit", self.kit_image),)
            request = PackRequest("kit-alone", "cpu", b"{}\n", "2026-05-01T12:30:00Z", images, ())
            pack_bundle(request, DockerEngine(self.engine), FolderTarget(bundle), NoProgress())
        return bundle

    def remove_images(self) -> None:
        """Leave the engine as it was."""
        argv = ("docker", "-H", self.engine, "rmi", *self.tags)
        subprocess.run(argv, capture_output=True, check=False)

    def tarball(self, bundle: Path) -> Path:
        """Write the tarball form of a bundle."""
        path = bundle.with_suffix(".tar")
        copy_bundle(open_bundle(bundle), TarTarget(path, None, NoProgress()), NoProgress())
        return path

    def manifest(self, bundle: Path) -> Manifest:
        """Return what a bundle holds."""
        return open_bundle(bundle).manifest

    def definition(self, *hosts: str, user: str = "ops", **spec: str | int) -> Path:
        """Write a kit.yaml for these hosts."""
        document = {
            "version": 1,
            "name": "demo",
            "stack": "cpu",
            "images": ["train"],
            "models": {"tiny": {"source": "folder", "path": "model"}},
            "datasets": {"questions": {"path": "data/questions.json"}},
            "hosts": {
                host: {"address": self.lab.address(host), "user": user, "root": ROOT, **spec}
                for host in hosts
            },
            "jobs": {
                "train": {"kind": "train", "model": "tiny", "datasets": ["questions"], "hosts": list(hosts)}
            },
        }
        path = self.folder / "kit.yaml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    def _argv(self, definition: Path, bundle: Path, words: tuple[str, ...]) -> tuple[str, ...]:
        return (
            sys.executable,
            "-m",
            "kit",
            "ship",
            *words,
            "--json",
            "-f",
            str(definition),
            "-b",
            str(bundle),
        )

    def ship(self, definition: Path, bundle: Path, *words: str, **more: str) -> Said:
        """Run `kit ship` to its end."""
        env = {**environment(self.lab), **more}
        done = subprocess.run(
            self._argv(definition, bundle, words), capture_output=True, env=env, check=False
        )
        print(done.stderr.decode(errors="replace"), file=sys.stderr)
        return Said(done.returncode, json.loads(done.stdout))

    def findings(self, definition: Path) -> dict[tuple[str, str], list[str]]:
        """Run `kit check`; return (host, check) -> the levels of its findings."""
        argv = (sys.executable, "-m", "kit", "check", "--json", "-f", str(definition))
        done = subprocess.run(argv, capture_output=True, env=environment(self.lab), check=False)
        found: dict[tuple[str, str], list[str]] = {}
        for item in json.loads(done.stdout)["findings"]:
            found.setdefault((item["host"], item["code"]), []).append(item["level"])
        return found

    def shipped(self, definition: Path, bundle: Path, *words: str) -> dict[str, dict[str, Any]]:
        """Run `kit ship`, which must succeed; return host -> receipt."""
        said = self.ship(definition, bundle, *words)
        assert said.status == 0, said
        return {receipt["host"]: receipt for receipt in said.result["hosts"]}

    def begin_ship(self, definition: Path, bundle: Path) -> subprocess.Popen[bytes]:
        """Start `kit ship` and leave it running."""
        argv = self._argv(definition, bundle, ())
        pipe = subprocess.PIPE
        return subprocess.Popen(
            argv, stdout=pipe, stderr=pipe, env=environment(self.lab), start_new_session=True
        )

    def sh(self, host: str, script: str, user: str = "ops") -> str:
        """Run a script on a host."""
        return self.lab.exec(host, ("sh", "-c", script), user=user).strip()

    def state(self, host: str) -> str:
        """Return all that stands on a host: kit's files and the engine's images and containers."""
        kept = "-type f -not -path '*/receipts*' -not -name verified.jsonl -not -name lock"
        files = f"find {ROOT} {kept} -exec ls -l {{}} + 2>/dev/null | sort"
        images = "docker images -a --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort"
        return self.sh(host, f"{files}; {images}; docker ps -aq; true", user="root")

    def image_id(self, host: str, bundle: Path, name: str) -> str:
        """Return the ID under which a host's engine must hold an image."""
        image = self.manifest(bundle).image(name)
        assert image is not None
        return image.manifest.digest if host == "new" else image.config.digest

    def images_on(self, host: str) -> dict[str, str]:
        """Return what a host's engine holds: tag -> ID."""
        listed = self.sh(host, "docker images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}'")
        return dict(line.split(" ") for line in listed.splitlines())

    def wait_for_partial(self, host: str, more_than: int) -> int:
        """Wait until more than so many bytes of blobs have come to a host; return how many."""
        look = f"find {ROOT}/partial -name '[0-9a-f]*' -printf '%b\n' 2>/dev/null; true"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            size = 512 * sum(map(int, self.sh(host, look, user="root").split()))
            if size > more_than:
                return size
            time.sleep(0.1)
        raise AssertionError("nothing came")


@contextmanager
def standing_stage(
    engine: str, folder: Path, name: str, hosts: tuple[tuple[str, str], ...], disk: str = ""
) -> Iterator[Stage]:
    """Give a stage in a lab of these (host, engine version) pairs; skip the tests where none can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", name)
        patch.setenv("KIT_LAB_STATE", str(folder / "lab"))
        try:
            lab = Lab.up(hosts, disk=disk)
        except LabUnavailableError as error:
            pytest.skip(str(error))
        try:
            made = Stage(lab, engine, build_kit_image(engine), folder)
            try:
                yield made
            finally:
                made.remove_images()
        finally:
            lab.down(purge=True)


def end(process: subprocess.Popen[bytes], ending: signal.Signals) -> tuple[int, str]:
    """End a process by a signal; return its status and what it said on stderr."""
    os.killpg(process.pid, ending)
    _, said = process.communicate(timeout=60)
    return process.returncode, said.decode()


def flip(path: Path, place: int) -> None:
    """Turn one bit of a file."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
