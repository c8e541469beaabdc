"""What becomes of a bundle that is not what it was: who refuses it, and whether anything of it was used.

It goes every way that there is: it is opened, verified, looked into (`kit inspect --tree`) and shipped
to a bare host. Used is what a reader was shown, what an engine was given, and whatever lies on the
host under a name that something reads.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from kit.bundle.digest import blob_of
from kit.bundle.inspect import summarize
from kit.bundle.source import BundleSource, open_bundle
from kit.bundle.verify import verify_bundle
from kit.bundle.verify_volumes import verify_parity
from kit.errors import KitError, VerificationError
from kit.progress import NoProgress
from kit.ship.ship import ship_bundle
from kit.workflow.bundle_contents import bundle_contents
from tests.unit.host.factories import host_spec
from tests.unit.ship.factories import WANTED
from tests.unit.ship.fake_host import FakeHost


@dataclass(frozen=True)
class Outcome:
    """What became of one flip."""

    refused_by: str
    """`opening`, `verifying`, or nothing."""
    ship_refused: bool = False
    used: str = ""
    """What used it all the same; empty as it must be."""


def outcome(opened: Path, right: object, folder: Path) -> Outcome:
    """Return what becomes of the bundle at `opened`; `right` is what looking into the right one shows."""
    try:
        source = open_bundle(opened)
    except VerificationError:
        return Outcome("opening")
    try:
        verify_bundle(source, NoProgress())
        verify_parity(opened, NoProgress())
    except VerificationError:
        refused_by = "verifying"
    else:
        refused_by = ""
    host = FakeHost(folder, source.manifest)
    try:
        refused, used = _shipped(source, host)
    finally:
        shutil.rmtree(host.root, ignore_errors=True)
    return Outcome(refused_by, refused, used or _shown(source, right))


def looked_into(source: BundleSource) -> object:
    """Return all that `kit inspect --tree` shows."""
    return summarize(source.manifest), bundle_contents(source)


def _shown(source: BundleSource, right: object) -> str:
    try:
        return "" if looked_into(source) == right else "inspect"
    except VerificationError:
        return ""


def _is_right(source: BundleSource, digest: str) -> bool:
    try:
        for _ in source.read(digest):
            pass
    except VerificationError:
        return False
    return True


def _shipped(source: BundleSource, host: FakeHost) -> tuple[bool, str]:
    """Ship to a bare host; return whether that was refused, and what the host uses of wrong blobs."""
    for image in source.manifest.images:
        host.engine.offer(image)
    spec = host_spec(root=str(host.root))
    try:
        ship_bundle(source, {host.name: host}, {host.name: spec}, {host.name: WANTED}, NoProgress())
        refused = False
    except KitError:
        refused = True
    known = {blob.digest for blob in source.manifest.blobs}
    digests: dict[int, str] = {}
    for path in sorted(host.root.rglob("*")):
        place = path.relative_to(host.root)
        if not path.is_file() or place.parts[0] not in ("blobs", "models", "datasets"):
            continue
        # Models are links to blobs: read once.
        inode = path.stat().st_ino
        if inode not in digests:
            digests[inode] = blob_of(path.read_bytes()).digest
        if digests[inode] not in known or (place.parts[0] == "blobs" and path.name != digests[inode][7:]):
            return refused, f"host: {place}"
    for image in source.manifest.images:
        given = (image.config.digest, *(layer.digest for layer in image.layers))
        if image.identity_tag in host.engine.images and not all(_is_right(source, one) for one in given):
            return refused, f"engine: {image.name}"
    current = host.root / "bundles" / "current.json"
    return refused, "host: current.json" if refused and current.exists() else ""
