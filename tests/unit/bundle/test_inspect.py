from __future__ import annotations

from kit.bundle.digest import blob_of
from kit.bundle.inspect import summarize
from kit.bundle.manifest import dump_manifest
from tests.unit.bundle.test_oci_layout import manifest


def test_a_summary_says_what_a_bundle_holds() -> None:
    summary = summarize(manifest())
    image, tree = summary.parts
    assert summary.digest == blob_of(dump_manifest(manifest())).digest
    assert (image.kind, image.name, image.pieces) == ("image", "train", 1)
    assert image.reference == manifest().images[0].identity_tag
    assert (tree.kind, tree.reference, tree.pieces) == ("model", "folder:model", 2)
    assert summary.size == image.size + tree.size
    assert summary.blobs == len(manifest().blobs)
