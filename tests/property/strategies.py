"""Arbitrary bundles."""

from __future__ import annotations

from datetime import datetime

from hypothesis import strategies as st

from kit.bundle.digest import blob_of
from kit.bundle.manifest import Blob, Document, File, FileTree, Image, Layer, Manifest
from kit.bundle.oci_layout import image_manifest, tree_form

sizes = st.integers(min_value=0, max_value=2**63 - 1)
digests = st.binary(min_size=8, max_size=8).map(lambda seed: blob_of(seed).digest)
names = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
path_parts = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1, max_size=10
).filter(lambda part: part not in (".", ".."))
# Files end in a word that no folder has, so that no path is both.
paths = st.lists(path_parts.map(lambda part: "d" + part), max_size=3).map(
    lambda parts: "/".join([*parts, "f"])
)
blobs = st.builds(Blob, digests, sizes)
indexes = st.none() | blobs
layers = st.builds(Layer, digests, sizes, digests, sizes, indexes)
files = st.builds(File, paths, digests, sizes, indexes)
times = st.datetimes(min_value=datetime(1000, 1, 1)).map(lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}")  # noqa: DTZ001
documents = st.builds(
    Document, paths, st.sampled_from(("text/plain", "application/vnd.cyclonedx+json")), blobs
)


@st.composite
def images(draw: st.DrawFn) -> Image:
    """An image whose manifest follows from its layers."""
    config = Blob(draw(digests), draw(st.integers(0, 1 << 20)))
    its_layers = tuple(draw(st.lists(layers, max_size=4)))
    return Image(draw(names), config, blob_of(image_manifest(config, its_layers)), its_layers)


@st.composite
def trees(draw: st.DrawFn) -> FileTree:
    """A model or dataset whose descriptions follow from its files."""
    kind, name, source = draw(st.sampled_from(("model", "dataset"))), draw(names), draw(texts)
    its_files = tuple(draw(st.lists(files, max_size=4, unique_by=lambda file: file.path)))
    form = tree_form(kind, name, source, its_files)
    return FileTree(name, kind, source, blob_of(form.config), blob_of(form.manifest), its_files)


def _one_size_each(manifest: Manifest) -> bool:
    found: dict[str, int] = {}
    return all(found.setdefault(blob.digest, blob.size) == blob.size for blob in manifest.named_blobs)


manifests = st.builds(
    Manifest,
    name=names,
    stack=texts,
    kit_version=texts,
    lock_digest=digests,
    locked=times,
    images=st.lists(images(), max_size=3, unique_by=lambda image: image.name).map(tuple),
    trees=st.lists(trees(), max_size=3, unique_by=lambda tree: (tree.kind, tree.name)).map(tuple),
    documents=st.lists(documents, max_size=2, unique_by=lambda document: document.name).map(tuple),
).filter(_one_size_each)

layer_contents = st.lists(st.binary(max_size=3000), min_size=1, max_size=4)
file_contents = st.dictionaries(paths, st.binary(max_size=3000), min_size=1, max_size=4)
