"""A tarball or volumes, killed while written: the old ones stay, and the next run completes them."""

from __future__ import annotations

import multiprocessing
import random
import time
from pathlib import Path

import pytest

from kit.bundle.pack import pack_bundle
from kit.bundle.source import open_bundle
from kit.bundle.tar_target import TarTarget
from kit.bundle.verify import verify_bundle
from kit.bundle.verify_volumes import verify_parity
from kit.bundle.volumes import VolumeForm
from kit.progress import NoProgress
from tests.unit.bundle.factories import local_tree, pack_request
from tests.unit.bundle.fake_engine import FakeEngine, tar_of

pytestmark = pytest.mark.slow
KILLS = 10
SIZE = 400_000


def _pack(folder: Path, form: VolumeForm | None, seed: str) -> None:
    same, own = random.Random("same"), random.Random(seed)
    layers = [tar_of({"file": (own if place % 2 else same).randbytes(SIZE)}) for place in range(4)]
    files = {"a.safetensors": own.randbytes(SIZE), "b.safetensors": same.randbytes(SIZE)}
    engine = FakeEngine("20.10")
    images = (("train", engine.add(*layers)),)
    request = pack_request(engine, folder, images=images, trees=(local_tree(folder / seed, files),))
    pack_bundle(request, engine, TarTarget(folder / "b.tar", form, NoProgress()), NoProgress())


def _start(*arguments: object) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_pack, args=arguments)
    process.start()
    return process


def _packed(folder: Path, form: VolumeForm | None) -> bytes:
    path = folder / ("b.tar.volumes.json" if form else "b.tar")
    source = open_bundle(path)
    verify_bundle(source, NoProgress())
    verify_parity(path, NoProgress())
    return source.manifest_bytes


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("form", [None, VolumeForm(200_192, 1)], ids=["tarball", "volumes"])
def test_a_killed_pack_is_completed_by_the_next(tmp_path: Path, form: VolumeForm | None) -> None:
    bundles = {}
    for seed in ("one", "two"):
        began = time.monotonic()
        _start(tmp_path, form, seed).join()
        took = time.monotonic() - began
        bundles[seed] = _packed(tmp_path, form)
    chance, interrupted = random.Random(0), 0
    for count in range(KILLS):
        seed = ("one", "two")[count % 2]
        process = _start(tmp_path, form, seed)
        time.sleep(chance.random() * took)
        process.kill()
        process.join()
        interrupted += process.exitcode != 0
        if form is None:
            assert _packed(tmp_path, form) in bundles.values()
        _start(tmp_path, form, seed).join()
        assert _packed(tmp_path, form) == bundles[seed]
    assert interrupted
