"""Bundles, plans and what hosts have, for tests of shipping."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kit.bundle.manifest import Manifest
from kit.bundle.source import BundleSource, open_bundle
from kit.host.facts import HostFacts
from kit.ship.have import Have
from kit.ship.plan import HostPlan, plan_host
from kit.ship.wanted import Wanted
from tests.unit.bundle.factories import BASE_LAYER, TOP_LAYER, packed_bundle
from tests.unit.bundle.fake_engine import FakeEngine, tar_of
from tests.unit.host.factories import host_facts

WANTED = Wanted(("kit", "train"), (("model", "tiny"),))
KIT_LAYER = tar_of({"opt/kit/main.py": b"print('kit')\n" * 100})


KIT_BASE_LAYER = tar_of({"bin/sh": b"ash" * 4000})


def ship_bundle_source(folder: Path, kit_base: bytes = KIT_BASE_LAYER, **overrides: Any) -> BundleSource:
    """A bundle with kit's image, a train image on another base, and a model of two files."""
    if overrides:
        return _pack(folder, kit_base, **overrides)
    # Hundreds of tests begin with this one: it is packed once, and written again for each.
    for path, (mode, data) in _packed_files(kit_base).items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(mode)
    return open_bundle(folder / "bundle")


@cache
def _packed_files(kit_base: bytes) -> dict[str, tuple[int, bytes]]:
    """What packing leaves in a folder: path → (mode, bytes)."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        _pack(folder, kit_base)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes()) for path in files}


def _pack(folder: Path, kit_base: bytes, **overrides: Any) -> BundleSource:
    engine = FakeEngine()
    images = (
        ("kit", engine.add(kit_base, KIT_LAYER, tag="kit")),
        ("train", engine.add(BASE_LAYER, TOP_LAYER, tag="train")),
    )
    return packed_bundle(folder, engine, images=images, **overrides)


def host_plan(
    manifest: Manifest, *, facts: HostFacts | None = None, have: Have | None = None, **more: Any
) -> HostPlan:
    """The plan for a host that has nothing, unless told otherwise."""
    wanted, frames_of = more.get("wanted", WANTED), more.get("frames_of")
    facts, have, first = facts or host_facts(), have or Have(), more.get("kit_first", True)
    return plan_host(manifest, wanted, facts, have, frames_of, kit_first=first)
