"""`make bench-pack`: packing and verifying against docker save and zstd, both in one run. Ratios only.

KIT_BENCH_IMAGES="A B" names any images of the engine; without it, stack cpu's train and serve images
are taken, built as `kit bundle` builds them. KIT_BENCH_MODEL_BYTES is the size of the model (1 GB);
KIT_BENCH_ROUNDS (2) packs so often from nothing, in turn with the other way, and takes the best of each.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kit.bundle.check_frames import frames_of
from kit.bundle.frame_index import single_frame
from kit.bundle.manifest import Image, Manifest
from kit.bundle.source import BundleSource, open_bundle
from kit.bundle.verify import VerifyReport, verify_bundle
from kit.images.build_image import build_image
from kit.images.docker_engine import DockerCommand
from kit.images.lock_image import ImageResolver
from kit.progress import NoProgress
from kit.project.model import Mirrors
from tests.bench.changed_image import load_changed
from tests.bench.pack_once import write_wanted
from tests.lab import LabUnavailableError, online_engine

BENCH = Path(
    os.environ.get("KIT_BENCH_FOLDER") or Path(__file__).resolve().parents[2] / "build" / "bench-pack"
)
PACKAGE = os.environ.get("KIT_BENCH_PACKAGE", "yaml")
ROUNDS = int(os.environ.get("KIT_BENCH_ROUNDS", "2"))
PAUSE = 0.2
MB = 1_000_000


@dataclass(frozen=True)
class Ran:
    """A command that ended well."""

    seconds: float
    processor: float
    """Seconds of processor time, the engine's aside."""
    peak_memory: int
    """Bytes of the largest process; packing is one."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    case: str
    kit: str
    against: str
    other: str
    ratio: float | None = None


def run(*argv: str) -> Ran:
    """Run a command with nothing to show, and wait for it."""
    started = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, argv
    return Ran(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def shell(line: str) -> Ran:
    """Run a line of bash."""
    return run("bash", "-o", "pipefail", "-c", line)


def allocated(folder: Path) -> int:
    """Return the bytes that a folder takes on the disk."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.lstat().st_blocks * 512
    return total


@contextmanager
def peak_disk(folder: Path) -> Iterator[list[int]]:
    """Give the most bytes that a folder took while the block ran."""
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(PAUSE):
            peak[0] = max(peak[0], allocated(folder))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def pack(wanted: Path, out: Path) -> Ran:
    """Pack in a process of its own."""
    return run(sys.executable, "-m", "tests.bench.pack_once", str(wanted), str(out))


def bench_images() -> dict[str, str]:
    """Return name -> image of what is packed."""
    named = os.environ.get("KIT_BENCH_IMAGES", "").split()
    if named:
        return {f"image{number}": name for number, name in enumerate(named)}
    engine, mirrors = DockerCommand(), Mirrors()
    resolver = ImageResolver("cpu", mirrors, offline=False)
    found = {}
    for name in ("train", "serve"):
        lock = resolver.lock(name)
        found[name] = build_image(name, "cpu", lock, mirrors, engine, NoProgress()).image_id
    return found


def image_bytes(manifest: Manifest) -> int:
    """Return the stored bytes of all images, each blob once."""
    blobs = {blob.digest: blob.size for image in manifest.images for blob in image.blobs}
    return sum(blobs.values())


def stored_frames(source: BundleSource, image: Image) -> dict[bytes, tuple[int, int]]:
    """Return sha256 of the plain bytes -> plain and stored size of each frame of an image."""
    found = {}
    for layer in image.layers:
        for frame in frames_of(source, layer) or (single_frame(layer),):
            found[frame.plain] = (frame.plain_size, frame.stored_size)
    return found


def save_and_compress(references: str, model: Path, scratch: Path) -> tuple[Ran, int]:
    """Do what one would type; return what it took and the bytes of the images."""
    saved, weights = scratch / "saved.zst", scratch / "model.zst"
    ran = shell(
        f"docker save {references} | zstd -q -T0 -3 -f -o {saved} && "
        f"zstd -q -T0 -3 -f {model} -o {weights} && sync"
    )
    size = saved.stat().st_size
    weights.unlink()
    saved.unlink()
    return ran, size


def pack_from_nothing(wanted: Path, out: Path) -> tuple[Ran, int]:
    """Pack for the first time; return what it took and the most bytes on the disk meanwhile."""
    shutil.rmtree(out, ignore_errors=True)
    with peak_disk(out) as peak:
        ran = pack(wanted, out)
    return ran, peak[0]


def first_rows(images: dict[str, str], model: Path, wanted: Path, scratch: Path) -> list[Row]:
    """Measure packing for the first time, and again when nothing changed; the best of some rounds."""
    references = " ".join(map(shlex.quote, images.values()))
    out = scratch / "bundle"
    floor = shell(f"docker save {references} > /dev/null")  # both ways find the images in memory
    others, kits = [], []
    for _ in range(ROUNDS):  # in turn, so that what else the machine does hits both
        others.append(save_and_compress(references, model, scratch))
        kits.append(pack_from_nothing(wanted, out))
    (other, joint), (kit, disk) = (min(runs, key=lambda each: each[0].seconds) for runs in (others, kits))
    again = pack(wanted, out)
    final, size = allocated(out), image_bytes(open_bundle(out).manifest)
    against = "docker save | zstd -T0 -3"
    return [
        seconds_row("pack images and model", kit, against, other),
        Row(
            "… processor time, the engine's aside",
            f"{kit.processor:.1f} s",
            against,
            f"{other.processor:.1f} s",
            kit.processor / other.processor,
        ),
        Row("(docker save alone)", "", "docker save > /dev/null", f"{floor.seconds:.1f} s"),
        seconds_row("pack again, nothing changed", again, against, other),
        bytes_row("bytes of the images", size, f"one joint {against}", joint),
        Row("peak memory", f"{max(run.peak_memory for run, _ in kits) / MB:.0f} MB", "", ""),
        bytes_row("peak disk while packing", disk, "the bundle", final),
    ]


def seconds_row(case: str, kit: Ran, against: str, other: Ran) -> Row:
    """Return the line of two times."""
    return Row(case, f"{kit.seconds:.2f} s", against, f"{other.seconds:.2f} s", kit.seconds / other.seconds)


def bytes_row(case: str, kit: int, against: str, other: int) -> Row:
    """Return the line of two sizes."""
    return Row(case, f"{kit / MB:,.1f} MB", against, f"{other / MB:,.1f} MB", kit / other)


def changed_rows(images: dict[str, str], model: Path, scratch: Path) -> list[Row]:
    """Measure packing again after one package of the first image changed."""
    out = scratch / "bundle"
    name = next(iter(images))
    source = open_bundle(out)
    image = source.manifest.image(name)
    assert image is not None
    frames = {
        key: value for each in source.manifest.images for key, value in stored_frames(source, each).items()
    }
    tag = load_changed(source, image, PACKAGE, scratch)
    saved = scratch / "changed.zst"
    try:
        other = shell(f"docker save {tag} | zstd -q -T0 -3 -f -o {saved} && sync")
        kit = pack(write_wanted(scratch / "changed.json", {**images, name: tag}, model), out)
        size = saved.stat().st_size
    finally:
        saved.unlink(missing_ok=True)
        shell(f"docker rmi {tag}")
    source = open_bundle(out)
    after = source.manifest.image(name)
    assert after is not None
    new = stored_frames(source, after)
    fresh = {key: sizes for key, sizes in new.items() if key not in frames}
    total, changed = (sum(plain for plain, _ in each.values()) for each in (new, fresh))
    stored = sum(stored for _, stored in fresh.values())
    against = "docker save | zstd of that image"
    return [
        seconds_row(f"pack again, package {PACKAGE} changed", kit, against, other),
        bytes_row("… new bytes", stored, against, size),
        bytes_row("… plain bytes of copied frames", total - changed, "all of that image", total),
    ]


def verify_rows(out: Path) -> list[Row]:
    """Measure verifying, from memory."""
    source = open_bundle(out)

    def timed(*, deep: bool) -> tuple[VerifyReport, float]:
        started = time.monotonic()
        report = verify_bundle(source, NoProgress(), deep=deep)
        return report, time.monotonic() - started

    timed(deep=False)
    report, took = timed(deep=False)
    listed = shell(f"cd {out}/blobs/sha256 && sha256sum * > /dev/null").seconds
    deep, both = timed(deep=True)
    speed = report.size / took / 1e9
    more = (deep.deep_size or 0) / (both - took) / 1e9
    return [
        Row(
            "verify, from memory",
            f"{took:.1f} s, {speed:.2f} GB/s",
            "sha256sum of the same files",
            f"{listed:.1f} s",
            took / listed,
        ),
        Row("verify --deep: decompressing too", f"{both - took:.1f} s, {more:.2f} GB/s plain", "", ""),
    ]


def table(rows: list[Row]) -> Table:
    """Return the ratios as a table."""
    result = Table(title=f"kit's packing against what one would type, {os.cpu_count()} processors")
    for name in ("case", "kit", "against", "it", "ratio"):
        result.add_column(name, justify="left" if name in ("case", "against") else "right")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
        result.add_row(row.case, row.kit, row.against, row.other, ratio)
    return result


def main() -> int:
    """Measure on the engine that DOCKER_HOST names, or else on one raised for it."""
    try:
        os.environ.setdefault("DOCKER_HOST", online_engine())
    except LabUnavailableError as error:
        print(f"make bench-pack: skipped: {error}", file=sys.stderr)
        return 77
    shutil.rmtree(BENCH, ignore_errors=True)
    BENCH.mkdir(parents=True)
    model = BENCH / "w.safetensors"
    with model.open("wb") as file:
        for _ in range(int(os.environ.get("KIT_BENCH_MODEL_BYTES", str(1000 * MB))) // MB):
            file.write(os.urandom(MB))
    images = bench_images()
    wanted = write_wanted(BENCH / "wanted.json", images, model)
    rows = first_rows(images, model, wanted, BENCH)
    rows += verify_rows(BENCH / "bundle")
    rows += changed_rows(images, model, BENCH)
    shutil.rmtree(BENCH)
    Console(width=150).print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
