"""Shipping model files, against scp: to one host, over a bad line, and to four hosts at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.bench.pack_rows import MB, Row
from tests.bench.ship_rows import bytes_row, seconds_row
from tests.bench.ship_scene import ELSEWHERE, ROUNDS, TINY, USER, Scene, best_of, said

HOST = "bench1"
HOSTS = ("bench1", "bench2", "bench3", "bench4")
MODEL_BYTES = int(os.environ.get("KIT_BENCH_MODEL_BYTES", str(4000 * MB)))
LINE_BYTES = 200 * MB
FAN_BYTES = 500 * MB
LINE = {"rate": "1gbit", "delay": "88ms", "loss": "0.1%"}
"""Cubic is pinned and offloads are off on both ends of a line that loses (tests/lab/shaping.py)."""
FAN_RATE = "200mbit"


def _shards(size: int, count: int) -> dict[str, int]:
    return {"config.json": 40} | {f"model-{number}.safetensors": size // count for number in range(count)}


def _by_hand(scene: Scene, bundle: Path) -> tuple[str, Path]:
    """Return the folder of the same files under their own names, and the list of their sums."""
    model = scene.manifest(bundle).tree("model", "tiny")
    assert model is not None
    folder = bundle.parent / "by-hand"
    folder.mkdir(exist_ok=True)
    sums = []
    for file in model.files:
        place = folder / file.path
        place.unlink(missing_ok=True)
        place.hardlink_to(bundle / "blobs" / "sha256" / file.digest[7:])
        sums.append(f"{file.digest[7:]}  {file.path}\n")
    listing = bundle.parent / "SHA256SUMS"
    listing.write_text("".join(sums), encoding="ascii")
    return str(folder), listing


def _scp(scene: Scene, bundle: Path) -> Callable[[], float]:
    folder, _ = _by_hand(scene, bundle)
    return lambda: scene.bash(f"scp -q -r {scene.ssh} {folder} {USER}@{HOST}:{ELSEWHERE}/")


def _scp_and_check(scene: Scene, bundle: Path) -> Callable[[], float]:
    folder, listing = _by_hand(scene, bundle)
    check = f"ssh {scene.ssh} {USER}@{HOST} 'cd {ELSEWHERE}/by-hand && sha256sum -c --quiet -' < {listing}"
    return lambda: scene.bash(f"scp -q -r {scene.ssh} {folder} {USER}@{HOST}:{ELSEWHERE}/ && {check}")


def files_rows(scene: Scene) -> list[Row]:
    """Measure a large model to an empty host, verified there."""
    bundle = scene.pack("files", _shards(MODEL_BYTES, 4))
    kit = lambda: scene.ship(bundle, HOST)  # noqa: E731 - a way, as the others are
    scene.empty(HOST)
    scene.ship(scene.pack("small", TINY), HOST)
    ways = {"kit": kit, "scp": _scp(scene, bundle), "scp, sha256sum": _scp_and_check(scene, bundle)}
    best = best_of(ROUNDS, ways, lambda: scene.forget(bundle, HOST))
    first = best_of(ROUNDS, {"kit, to a host that never saw it": kit}, lambda: scene.empty(HOST))
    scene.drop("files")
    scene.empty(HOST)
    case = f"{MODEL_BYTES / 1e9:g} GB of model files to a host, verified there"
    checked = "scp, then sha256sum -c there"
    return [
        seconds_row(case, best["kit"], checked, best["scp, sha256sum"], "≤ 0.7"),
        seconds_row("…", best["kit"], "scp, nothing verified", best["scp"], "≤ 1.3"),
        seconds_row("… and kit's own image with them", min(first.values()), checked, best["scp, sha256sum"]),
    ]


def line_rows(scene: Scene) -> list[Row]:
    """Measure a model over a long line that loses packets; the host has kit's image already."""
    bundle = scene.pack("line", _shards(LINE_BYTES, 1), seed=2)
    scene.empty(HOST)
    scene.ship(scene.pack("small", TINY), HOST)
    scene.lab.slow(HOST, **LINE)
    ways = {"kit": lambda: scene.ship(bundle, HOST), "scp": _scp(scene, bundle)}
    try:
        best = best_of(1, ways, lambda: scene.forget(bundle, HOST))
    finally:
        scene.lab.restore(HOST)
    scene.drop("line")
    case = f"{LINE_BYTES / MB:.0f} MB over 1 Gbit/s, 88 ms, 0.1 % lost"
    return [seconds_row(case, best["kit"], "scp", best["scp"], "≤ 0.25")]


def fan_rows(scene: Scene) -> list[Row]:
    """Measure a model to four hosts over links held low, against one; all have kit's image already."""
    bundle = scene.pack("fan", _shards(FAN_BYTES, 1), seed=3)
    small = scene.pack("small", TINY)
    scene.empty(*HOSTS)
    scene.ship(small, *HOSTS)
    passed: dict[int, int] = {}

    def to(*hosts: str) -> Callable[[], float]:
        def way() -> float:
            before = scene.uplink()
            seconds = scene.ship(bundle, *hosts)
            passed[len(hosts)] = scene.uplink() - before
            return seconds

        return way

    for host in HOSTS:
        scene.lab.slow(host, rate=FAN_RATE)
    try:
        ways = {"one host": to(HOST), "four hosts": to(*HOSTS)}
        best = best_of(ROUNDS, ways, lambda: scene.forget(bundle, *HOSTS))
    finally:
        for host in HOSTS:
            scene.lab.restore(host)
    scene.drop("fan")
    said(f"  bytes out of the source: {passed}")
    case = f"{FAN_BYTES / MB:.0f} MB to 4 hosts, each link held to 200 Mbit/s, verified there"
    return [
        seconds_row(case, best["four hosts"], "to 1 host", best["one host"], "≤ 1.3"),
        bytes_row("… bytes out of the source", passed[4], "to 1 host", passed[1], "≤ 1.2"),
    ]
