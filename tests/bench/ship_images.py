"""Shipping the train image, against what one would type: first, again, changed, and what disk it takes."""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from pathlib import Path

import yaml

from kit.bundle.manifest import Image
from kit.bundle.source import open_bundle
from tests.bench.changed_image import load_changed
from tests.bench.disk_on_host import peak_disk_on
from tests.bench.pack_rows import Row
from tests.bench.ship_rows import bytes_row, seconds_row
from tests.bench.ship_scene import (
    ELSEWHERE,
    ROUNDS,
    USER,
    Scene,
    await_settled,
    best_of,
    definition_of,
    said,
)
from tests.bench.zstd_on_host import ensure_zstd

PACKAGE = os.environ.get("KIT_BENCH_PACKAGE", "yaml")
HOST = "bench1"


class ImageBench:
    """A project with stack cpu's train image, and the same image in the ways without kit."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.folder = scene.folder / "image"
        self.saved = scene.folder / "saved.tar"
        self.packed = scene.folder / "saved.zst"

    @cached_property
    def image(self) -> str:
        """The image's ID in the online engine; it is built, locked and bundled once."""
        files = {"model/config.json": b"{}\n", "data/questions.json": _questions()}
        for name, data in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(data)
        text = yaml.safe_dump(definition_of(self.scene.lab, (HOST,)))
        (self.folder / "kit.yaml").write_text(text, encoding="utf-8")
        ensure_zstd(self.scene.lab, HOST)
        said("locking and bundling the train image")
        self.kit("lock")
        self.kit("bundle")
        return "kit.invalid/train:built-cpu"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def kit(self, *words: str) -> float:
        """Run a kit command on the project; return the seconds."""
        return self.scene.kit(*words, "-f", str(self.folder / "kit.yaml"))

    def packed_image(self) -> Image:
        """Return the train image as the bundle has it."""
        assert self.image
        image = self.scene.manifest(self.bundle).image("train")
        assert image is not None
        return image

    def on_host(self, command: str) -> str:
        """Return the ssh command that runs something on the host."""
        return f"ssh {self.scene.ssh} {USER}@{HOST} '{command}'"

    def load_by_pipe(self) -> float:
        """Go the best way that a shell has."""
        save = f"docker save {self.image} | zstd -q -T0"
        return self.scene.bash(f"{save} | {self.on_host('zstd -q -d | docker load -q')}")

    def load_packed(self) -> float:
        """Go the same way from a packed file."""
        return self.scene.bash(f"zstd -q -dc {self.packed} | {self.on_host('docker load -q')}")

    def save_packed(self) -> None:
        """Write that file."""
        self.scene.bash(f"docker save {self.image} | zstd -q -T0 -f -o {self.packed} && sync")

    def load_by_files(self) -> float:
        """Go the how-tos' way."""
        tar, scene = self.saved, self.scene
        try:
            return scene.bash(
                f"docker save -o {tar} {self.image} && gzip -f {tar} && "
                f"scp -q {scene.ssh} {tar}.gz {USER}@{HOST}:{ELSEWHERE}/ && "
                + self.on_host(f"docker load -q -i {ELSEWHERE}/{tar.name}.gz")
            )
        finally:
            tar.with_name(tar.name + ".gz").unlink(missing_ok=True)


def _questions() -> bytes:
    return b'[{"instruction": "one", "input": "", "output": "two"}]\n'


def first_rows(bench: ImageBench) -> list[Row]:
    """Measure a first shipment against three ways without kit, the best of some rounds in turn."""
    scene = bench.scene
    scene.bash(f"docker save {bench.image} > /dev/null")  # every way finds the image in memory
    bench.save_packed()
    await_settled()

    def kit() -> float:
        shutil.rmtree(bench.bundle)
        return bench.kit("bundle", "--ship")

    def apart() -> float:
        shutil.rmtree(bench.bundle)
        bundle = bench.kit("bundle")
        scene.bash("sync")
        ship = bench.kit("ship")
        said(f"  (bundle {bundle:.2f} s, ship {ship:.2f} s)")
        ships.append(ship)
        return bundle + ship

    ships: list[float] = []
    ways = {
        "kit": kit,
        "kit, one after the other": apart,
        "pipe": bench.load_by_pipe,
        "packed": bench.load_packed,
        "files": bench.load_by_files,
    }
    best = best_of(ROUNDS, ways, lambda: scene.renew(HOST))
    bench.kit("ship")
    known = {"kit, its image there": lambda: bench.kit("ship")}
    again = best_of(ROUNDS, known, lambda: scene.renew(HOST, with_kit=True))
    sent = {"kit, nothing to send": lambda: bench.kit("ship")}
    loaded = best_of(ROUNDS, sent, lambda: scene.renew(HOST, with_kit=True, with_blobs=True))
    pipe = "docker save | zstd -T0 | ssh 'zstd -d | docker load'"
    return [
        seconds_row("built train image → ready, kit bundle --ship", best["kit"], pipe, best["pipe"], "≤ 1.0"),
        seconds_row("… kit bundle, then kit ship", best["kit, one after the other"], pipe, best["pipe"]),
        seconds_row(
            "… from what lies packed", min(ships), "zstd -dc FILE | ssh docker load", best["packed"], "≤ 0.8"
        ),
        seconds_row(
            "… kit's own image there",
            min(again.values()),
            "zstd -dc FILE | ssh docker load",
            best["packed"],
        ),
        seconds_row(
            "… and all that is to be sent: the engine alone",
            min(loaded.values()),
            "zstd -dc FILE | ssh docker load",
            best["packed"],
        ),
        seconds_row(
            "built train image → ready, against the how-tos' way",
            best["kit"],
            "docker save, gzip, scp, load",
            best["files"],
            "≤ 0.45",
        ),
    ]


def unchanged_rows(bench: ImageBench) -> list[Row]:
    """Measure shipping what is there already."""
    scene = bench.scene
    _start_from_shipped(bench)
    before = scene.wire(HOST)
    seconds = [bench.kit("ship") for _ in range(ROUNDS)]
    passed = scene.wire(HOST).since(before).both // ROUNDS
    return [
        Row("ship again, nothing changed", f"{min(seconds):.2f} s", wanted="< 2 s"),
        Row("… bytes on the wire, both ways", f"{passed / 1e6:.3f} MB", wanted="< 1 MB"),
    ]


def _start_from_shipped(bench: ImageBench) -> None:
    image = bench.image
    said(f"shipping {image} once")
    bench.kit("ship")


def package_rows(bench: ImageBench) -> list[Row]:
    """Measure shipping the image with one package changed, to a host that has it as it was."""
    scene = bench.scene
    _start_from_shipped(bench)
    full = sum(blob.size for blob in scene.manifest(bench.bundle).blobs)
    tag = load_changed(open_bundle(bench.bundle), bench.packed_image(), PACKAGE, scene.folder)
    try:
        changed = scene.pack("changed", {"config.json": 3}, train=tag)
    finally:
        scene.bash(f"docker rmi {tag}")
    before = scene.wire(HOST)
    seconds = scene.ship(changed, HOST)
    passed = scene.wire(HOST).since(before).both
    scene.drop("changed")
    case = f"train image with package {PACKAGE} changed: bytes on the wire"
    return [
        bytes_row(case, passed, "the full bundle", full, "≤ 0.02"),
        Row("… ready in", f"{seconds:.2f} s"),
    ]


def disk_rows(bench: ImageBench) -> list[Row]:
    """Measure the disk that loading takes at its worst moment, beyond what stays."""
    scene, extra = bench.scene, {}
    ways = {"kit": lambda: bench.kit("ship"), "docker load": bench.load_by_pipe}
    largest = max(layer.plain_size for layer in bench.packed_image().layers)
    for name, way in ways.items():
        scene.empty(HOST)
        with peak_disk_on(HOST) as peak:
            way()
        extra[name] = peak.extra
        said(f"  {name}: at most {peak.most / 1e6:,.0f} MB, of which {peak.stays / 1e6:,.0f} MB stay")
    case = f"extra disk at the worst moment (largest layer {largest / 1e6:,.0f} MB)"
    return [bytes_row(case, extra["kit"], "docker load", extra["docker load"], "≤ 0.5")]
