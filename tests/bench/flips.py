"""One byte flipped anywhere in a bundle: how often it is refused, and when. `make bench` writes the table.

A small signed bundle in its three forms: images with layers of several frames, a model with a file of
several pieces, documents. Each flipped bundle goes the ways that `flip_outcome` knows.
"""

from __future__ import annotations

import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kit.bundle.folder_target import FolderTarget
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import LocalDocument
from kit.bundle.source import open_bundle
from kit.bundle.tar_form import BLOCK, blob_name, padded
from kit.bundle.volumes import VolumeForm
from kit.progress import NoProgress
from kit.sbom.cyclonedx import MEDIA_TYPE
from kit.sbom.tree_document import TreeContents, tree_document
from tests.bench.flip_outcome import Outcome, looked_into, outcome
from tests.unit.bundle.factories import as_tarball, local_tree, pack_request
from tests.unit.bundle.fake_engine import FakeEngine, tar_of
from tests.unit.signature.soft_keys import ed25519_key, sshsig

FLIPS = 1000
VOLUMES = VolumeForm(600_064, 1)


@dataclass(frozen=True)
class Region:
    """Bytes of one kind."""

    form: str
    kind: str
    opened: Path
    """What opens the bundle that they belong to."""
    path: Path
    start: int
    size: int


@dataclass(frozen=True)
class Row:
    """What became of the flips in one kind of bytes."""

    form: str
    kind: str
    flips: int
    opening: int
    """Refused when the bundle was opened."""
    verifying: int
    """Refused when it was verified, and not before."""
    shipping: int
    """Of those, refused by the host that it was shipped to; the others do not travel there."""
    missed: int
    """Neither, or something of it was used."""


def make_bundle(folder: Path) -> Path:
    """Pack the bundle into `folder/bundle`."""
    chance = random.Random(0)
    engine = FakeEngine()
    layers = [tar_of({f"{n}/{m}": chance.randbytes(600_000) for m in range(2)}) for n in range(3)]
    files = {"config.json": b'{"hidden_size": 64}', "w.safetensors": chance.randbytes(4_200_000)}
    bill = tree_document(TreeContents("model", "tiny", "folder:m", "sha256:" + "0" * 64, (), ("MIT",)), "1")
    request = pack_request(
        engine,
        folder,
        images=(("kit", engine.add(*layers[:2])), ("train", engine.add(layers[0], layers[2]))),
        trees=(local_tree(folder / "model", files),),
        documents=(LocalDocument("sbom/models/tiny.cdx.json", MEDIA_TYPE, bill),),
    )
    key = ed25519_key()
    target = FolderTarget(folder / "bundle")
    pack_bundle(request, engine, target, NoProgress(), lambda message: sshsig(key, message))
    return folder / "bundle"


def blob_kinds(bundle: Path) -> dict[str, str]:
    """Return what each blob is, by its digest."""
    manifest = open_bundle(bundle).manifest
    kinds = {document.blob.digest: "document" for document in manifest.documents}
    for image in manifest.images:
        kinds |= {image.config.digest: "image config", image.manifest.digest: "image manifest"}
        for layer in image.layers:
            kinds[layer.digest] = "layer"
            if layer.index:
                kinds[layer.index.digest] = "frame index of a layer"
    for tree in manifest.trees:
        kinds |= {tree.config.digest: "model config", tree.manifest.digest: "model manifest"}
        for file in tree.files:
            kinds[file.digest] = "model file"
            if file.index:
                kinds[file.index.digest] = "frame index of a file"
    return kinds


def folder_regions(bundle: Path) -> list[Region]:
    """Return every file of the folder form."""
    kinds = {blob_name(digest): kind for digest, kind in blob_kinds(bundle).items()}
    found = []
    for path in sorted(bundle.rglob("*")):
        name = str(path.relative_to(bundle))
        if path.is_file() and not name.startswith("partial/"):
            found.append(Region("folder", kinds.get(name, name), bundle, path, 0, path.stat().st_size))
    return found


def tarball_regions(bundle: Path, path: Path) -> list[Region]:
    """Return headers, contents and paddings of the tarball, and its end."""
    kinds = {blob_name(digest): kind for digest, kind in blob_kinds(bundle).items()}
    data = path.read_bytes()
    found, place = [], 0
    while data[place]:
        header = data[place : place + BLOCK]
        name = header[:100].rstrip(b"\0").decode()
        size = int(header[124:135], 8)
        end = place + BLOCK + size
        for kind, start, length in (
            ("header", place, BLOCK),
            (kinds.get(name, name), place + BLOCK, size),
            ("padding", end, padded(size) - size),
        ):
            if length:
                found.append(Region("tarball", kind, path, path, start, length))
        place += BLOCK + padded(size)
    return [*found, Region("tarball", "end of the tar", path, path, place, len(data) - place)]


def volume_regions(listing: Path) -> list[Region]:
    """Return every volume, parity volume and the list."""
    found = []
    for path in sorted(listing.parent.iterdir()):
        if path.is_file():
            kind = "list" if path == listing else "parity volume" if ".p0" in path.name else "volume"
            found.append(Region("volumes", kind, listing, path, 0, path.stat().st_size))
    return found


def regions(folder: Path) -> list[Region]:
    """Make the bundle in all its forms; return every byte of it."""
    bundle = make_bundle(folder)
    source = open_bundle(bundle)
    (folder / "tar").mkdir()
    (folder / "volumes").mkdir()
    tarball = as_tarball(source, folder / "tar" / "b.tar")
    listing = as_tarball(source, folder / "volumes" / "b.tar", VOLUMES)
    return [*folder_regions(bundle), *tarball_regions(bundle, tarball), *volume_regions(listing)]


def flip(region: Region, chance: random.Random, right: object, folder: Path) -> Outcome:
    """Flip one bit at one random place of the region for as long as it takes to see what comes of it."""
    place, mask = region.start + chance.randrange(region.size), 1 << chance.randrange(8)
    region.path.chmod(0o644)
    with region.path.open("r+b", buffering=0) as file:
        file.seek(place)
        before = file.read(1)
        file.seek(place)
        file.write(bytes([before[0] ^ mask]))
        try:
            return outcome(region.opened, right, folder)
        finally:
            file.seek(place)
            file.write(before)


def flip_table(folder: Path, flips: int, seed: int = 0) -> list[Row]:
    """Return what became of so many flips, spread evenly over the kinds, at random within each."""
    chance = random.Random(seed)
    kinds: dict[tuple[str, str], list[Region]] = {}
    for region in regions(folder):
        kinds.setdefault((region.form, region.kind), []).append(region)
    right = looked_into(open_bundle(folder / "bundle"))
    found: dict[tuple[str, str], list[Outcome]] = {key: [] for key in kinds}
    for number in range(flips):
        key = list(kinds)[number % len(kinds)]
        (region,) = chance.choices(kinds[key], [region.size for region in kinds[key]])
        found[key].append(flip(region, chance, right, folder / "host"))
    return [_row(key, outcomes) for key, outcomes in found.items()]


def _row(key: tuple[str, str], outcomes: list[Outcome]) -> Row:
    return Row(
        *key,
        flips=len(outcomes),
        opening=sum(one.refused_by == "opening" for one in outcomes),
        verifying=sum(one.refused_by == "verifying" for one in outcomes),
        shipping=sum(one.ship_refused for one in outcomes),
        missed=sum(not one.refused_by or bool(one.used) for one in outcomes),
    )


INTRODUCTION = """\
# One flipped bit, anywhere in a bundle

A small signed bundle in its three forms: one bit flipped at a random place, spread evenly over the
kinds of bytes, and the bundle taken every way that there is; then the bit put back. What is not
refused when the bundle is opened (every command does that first) is refused by `kit verify`; and
before that, `kit inspect --tree` showed nothing else than of the right bundle or refused it, and a
bare host that it was shipped to refused it or, where the bytes do not travel there, had nothing of
them. *Used* counts flips after which a reader, an engine or a folder that something reads on the host
had anything of the wrong bytes, and those that nothing refused.

Written by `make bench` (`tests/bench/flips.py`).

| form | bytes of | flips | refused by opening | refused by verifying | of these, by the host | used |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
"""


def page(rows: list[Row]) -> str:
    """Return the table as Markdown."""
    counts = [(row.flips, row.opening, row.verifying, row.shipping, row.missed) for row in rows]
    everything = Row("all", "", *map(sum, zip(*counts, strict=True)))
    return INTRODUCTION + "".join(
        f"| {r.form} | {r.kind} | {r.flips} | {r.opening} | {r.verifying} | {r.shipping} | {r.missed} |\n"
        for r in (*sorted(rows, key=lambda row: (row.form, row.kind)), everything)
    )


def main() -> None:
    """Write the table to the file that is named, or to standard output."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        text = page(flip_table(Path(folder), FLIPS))
    if sys.argv[1:]:
        Path(sys.argv[1]).parent.mkdir(parents=True, exist_ok=True)
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
