"""Lab hosts of three engines, and small images of several layers to load into them."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.bundle.folder_target import FolderTarget
from kit.bundle.manifest import Image
from kit.bundle.normalise_tar import MTIME
from kit.bundle.pack import pack_bundle
from kit.bundle.source import open_bundle
from kit.progress import NoProgress
from tests.lab import Lab
from tests.lab.privileges import PASSED_ON, REPOSITORY
from tests.unit.bundle.factories import pack_request
from tests.unit.bundle.fake_engine import FakeEngine

MIB = 1 << 20
KINDS = (("old", "20.10"), ("mid", "26.1"), ("new", "28.5"))
ENGINES = dict(KINDS)


def layer_tar(files: dict[str, bytes]) -> bytes:
    """A layer with these files, all executable."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(data), MTIME, 0o755
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def base_layer() -> bytes:
    """A layer with a busybox to run."""
    return layer_tar({"bin/busybox": Path("/bin/busybox").read_bytes()})


def noise_layer(name: str, size: int) -> bytes:
    """A layer of one file that does not compress."""
    return layer_tar({name: random.Random(name).randbytes(size)})


def pack_images(folder: Path, images: dict[str, tuple[bytes, ...]]) -> Path:
    """Pack a bundle of images, each given by its layers' tars; return its folder."""
    engine = FakeEngine()
    named = tuple((name, engine.add(*layers, tag=name)) for name, layers in images.items())
    request = pack_request(engine, folder, images=named, trees=())
    pack_bundle(request, engine, FolderTarget(folder / "bundle"), NoProgress())
    return folder / "bundle"


def image_in(bundle: Path, name: str) -> Image:
    """Return an image of a bundle."""
    image = open_bundle(bundle).manifest.image(name)
    assert image is not None
    return image


@dataclass(frozen=True)
class LoadStage:
    """The hosts."""

    lab: Lab

    def begin(self, host: str, bundle: Path, *images: str, **more: Any) -> subprocess.Popen[bytes]:
        """Start to load images on a host."""
        asked = {
            "containerd": host == "new",
            "version": ENGINES[host] + ".0",
            "bundle": str(bundle),
            "images": images,
            **more,
        }
        passed = tuple(f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ)
        sudo = () if os.geteuid() == 0 else ("sudo", "-n", "env", *passed)
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            (*sudo, sys.executable, "-m", "tests.e2e.load_driver", host),
            stdin=pipe,
            stdout=pipe,
            cwd=REPOSITORY,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(asked).encode())
        process.stdin.close()
        return process

    def load(self, host: str, bundle: Path, *images: str, **more: Any) -> dict[str, Any]:
        """Load images on a host; return how it ended."""
        return outcome(self.begin(host, bundle, *images, **more))

    def sh(self, host: str, script: str) -> str:
        """Run a script on a host as root."""
        return self.lab.exec(host, ("sh", "-c", script)).strip()

    def names_on(self, host: str) -> list[str]:
        """Return every name that the engine has for images, and IDs of those without one."""
        listed = self.sh(host, "docker images -a --digests --format '{{.Repository}}:{{.Tag}} {{.ID}}'")
        return sorted(line.split(" ")[0] for line in listed.splitlines())

    def runs(self, host: str, image: Image, *argv: str) -> str:
        """Run something in an image."""
        words = " ".join(argv)
        return self.sh(host, f"docker run --rm --network none --pull never {image.identity_tag} {words}")

    def traces(self, host: str, name: str) -> str:
        """Return where the engine's folders hold a file of that name."""
        return self.sh(host, f"find /var/lib/docker /var/lib/containerd -name '{name}' 2>/dev/null; true")

    def forget(self, *hosts: str) -> None:
        """Remove every image."""
        for host in hosts:
            self.sh(host, "docker images -aq | sort -u | xargs -r docker rmi -f >/dev/null 2>&1; true")

    def kill_engine(self, host: str) -> None:
        """Kill the engine where it stands, and start it again."""
        self.sh(host, "kill -9 $(pidof dockerd) $(pidof containerd); true")
        self.lab.engine_start(host)


def outcome(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the last thing that a load said."""
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    process.stdout.close()
    process.wait()
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def without(bundle: Path, folder: Path, *digests: str) -> Path:
    """Return a copy of a bundle that lacks blobs."""
    copy = folder / "bundle"
    shutil.copytree(bundle, copy)
    for digest in digests:
        (copy / "blobs/sha256" / digest.removeprefix("sha256:")).unlink()
    return copy
