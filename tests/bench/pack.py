"""`make bench-pack`: packing and verifying against docker save and zstd, both in one run.

KIT_BENCH_IMAGES="A B" names any images of the engine; without it, stack cpu's train and serve images
are taken, built as `kit bundle` builds them. KIT_BENCH_MODEL_BYTES is the size of the model (1 GB);
KIT_BENCH_ROUNDS (2) packs so often from nothing, in turn with the other way, and takes the best of each.
The table goes to standard output and, as Markdown, to the file that is named.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console

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
from tests.bench.pack_rows import (
    MB,
    Circumstances,
    Ran,
    Row,
    bytes_row,
    page,
    processor_row,
    seconds_row,
    table,
)
from tests.lab import LabUnavailableError, online_engine

BENCH = Path(
    os.environ.get("KIT_BENCH_FOLDER") or Path(__file__).resolve().parents[2] / "build" / "bench-pack"
)
PACKAGE = os.environ.get("KIT_BENCH_PACKAGE", "yaml")
ROUNDS = int(os.environ.get("KIT_BENCH_ROUNDS", "2"))
PAUSE = 0.2


def run(*argv: str) -> Ran:
    """Run a command with nothing to show, and wait for it; its memory is at least this process's own."""
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
        return {re.sub(r".*/|:.*", "", name): name for name in named}
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
        seconds_row("pack images and model", kit, against, other, "≤ 1.0"),
        processor_row(kit, against, other),
        Row("(docker save alone)", "", "docker save > /dev/null", f"{floor.seconds:.1f} s"),
        seconds_row("pack again, nothing changed", again, against, other, "≤ 0.05"),
        bytes_row("bytes of the images", size, f"one joint {against}", joint, "≤ 1.03"),
        Row("peak memory", f"{max(ran.peak_memory for ran, _ in kits) / MB:.0f} MB", wanted="< 300 MB"),
        bytes_row("peak disk while packing", disk, "the bundle", final, "≤ 1.05"),
    ]


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
    """Measure verifying, from memory; the best of some rounds."""
    source = open_bundle(out)

    def timed(*, deep: bool) -> tuple[float, VerifyReport]:
        started = time.monotonic()
        report = verify_bundle(source, NoProgress(), deep=deep)
        return time.monotonic() - started, report

    def best(*, deep: bool) -> tuple[float, VerifyReport]:
        return min((timed(deep=deep) for _ in range(ROUNDS)), key=lambda each: each[0])

    listing = f"cd {out}/blobs/sha256 && sha256sum * > /dev/null"
    shell(listing)
    took, report = best(deep=False)
    listed = min(shell(listing).seconds for _ in range(ROUNDS))
    both, deep = best(deep=True)
    speed, more = report.size / took / 1e9, (deep.deep_size or 0) / (both - took) / 1e9
    against = "sha256sum of the same files"
    return [
        Row("verify, from memory", f"{took:.2f} s", against, f"{listed:.2f} s", took / listed),
        Row("… speed", f"{speed:.2f} GB/s", wanted="≥ 1 GB/s"),
        Row("verify --deep takes, besides", f"{both - took:.1f} s"),
        Row("… speed", f"{more:.2f} GB/s of plain bytes"),
    ]


def circumstances(images: dict[str, str], model: Path) -> Circumstances:
    """Return what is measured, and where."""
    version = subprocess.run(
        ("docker", "version", "--format", "docker {{.Server.Version}}"),
        check=True,
        capture_output=True,
        text=True,
    )
    named = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return Circumstances(
        images=f"The images {' and '.join(images)}",
        model=model.stat().st_size,
        rounds=ROUNDS,
        engine=version.stdout.strip(),
        processor=named[1] if named else "unknown",
        load=f"{os.getloadavg()[0]:.1f}",
    )


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
    where = circumstances(images, model)
    rows = first_rows(images, model, wanted, BENCH)
    rows += verify_rows(BENCH / "bundle")
    rows += changed_rows(images, model, BENCH)
    shutil.rmtree(BENCH)
    Console(width=160).print(table(rows))
    if sys.argv[1:]:
        Path(sys.argv[1]).parent.mkdir(parents=True, exist_ok=True)
        Path(sys.argv[1]).write_text(page(rows, where), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
