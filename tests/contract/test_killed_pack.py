"""Packing killed at any moment leaves a whole bundle, the old one or the new one."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from kit.bundle.folder_target import FolderTarget
from kit.bundle.frame_index import PIECE
from kit.bundle.pack import pack_bundle
from kit.bundle.source import open_bundle
from kit.bundle.verify import verify_bundle
from kit.progress import NoProgress
from tests.unit.bundle.factories import local_tree, pack_request
from tests.unit.bundle.fake_engine import FakeEngine, tar_of
from tests.unit.signature.soft_keys import ed25519_key, sshsig

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("KIT_KILLS", "10"))
SIZE = 400_000
KEY = ed25519_key()
LARGE = PIECE + 300_000
"""Bytes of a file that has an index."""


def _pack(folder: Path, seed: str) -> None:
    """Pack an image and a model, half of it different for each seed; one of them is signed."""
    same, own = random.Random("same"), random.Random(seed)
    layers = [tar_of({"file": (own if place % 2 else same).randbytes(SIZE)}) for place in range(6)]
    files = {"a.safetensors": own.randbytes(LARGE), "b.safetensors": same.randbytes(SIZE)}
    engine = FakeEngine("20.10")
    request = pack_request(
        engine,
        folder,
        images=(("train", engine.add(*layers)),),
        trees=(local_tree(folder / seed, files),),
    )
    sign = (lambda message: sshsig(KEY, message)) if seed == "one" else None
    pack_bundle(request, engine, FolderTarget(folder / "bundle"), NoProgress(), sign)


def _start(folder: Path, seed: str) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_pack, args=(folder, seed))
    process.start()
    return process


def _packed(folder: Path) -> bytes:
    source = open_bundle(folder / "bundle")
    verify_bundle(source, NoProgress())
    # A signature that outlived its kit.json would have been refused by opening.
    return source.manifest_bytes


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_killed_pack_leaves_the_old_bundle_or_the_new_one(tmp_path: Path) -> None:
    bundles = {}
    for seed in ("one", "two"):
        began = time.monotonic()
        _start(tmp_path, seed).join()
        took = time.monotonic() - began
        bundles[seed] = _packed(tmp_path)
    chance = random.Random(0)
    interrupted = 0
    for number in range(KILLS):
        wanted = ("one", "two")[number % 2]
        process = _start(tmp_path, wanted)
        time.sleep(chance.random() * took)
        process.kill()
        process.join()
        interrupted += process.exitcode != 0
        found = _packed(tmp_path)
        assert found in bundles.values()
        current = next(seed for seed, data in bundles.items() if data == found)
        status = open_bundle(tmp_path / "bundle").signature.status
        assert status == ("unknown" if current == "one" else "unsigned")
        _start(tmp_path, wanted).join()
        assert _packed(tmp_path) == bundles[wanted]
    assert interrupted
