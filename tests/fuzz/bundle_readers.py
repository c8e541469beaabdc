"""Readers of a bundle and of what packing is given. As in `targets`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import cast

from kit.bundle.compress_layers import plain_frame, plain_layer
from kit.bundle.cut_frames import cut_tar
from kit.bundle.digest import Hasher, blob_of
from kit.bundle.docker_archive import TakenLayer, read_saved_image
from kit.bundle.engine import EngineImage
from kit.bundle.extent import Extent
from kit.bundle.frame_index import Frame, dump_index, parse_index, parse_piece_index
from kit.bundle.layer_law import check_layer_tar
from kit.bundle.manifest import Blob, Layer, dump_manifest
from kit.bundle.oci_layout import config_diff_ids
from kit.bundle.parse_manifest import parse_manifest
from kit.bundle.source import open_extent, trusted_manifest
from kit.bundle.tar_form import BLOCK
from kit.bundle.tar_walk import CHECKSUM, Head, TarWalk, checksum
from kit.bundle.volumes import dump_volumes, parse_size, parse_volumes
from kit.bundle.watch_layer import LayerWatch
from kit.errors import KitError
from kit.signature.allowed_signers import parse_allowed_signers
from kit.signature.keys import proven_key
from kit.signature.sshsig import parse_signature
from kit.signature.trust import NOTHING_DEMANDED
from tests.fuzz.other_readers import described
from tests.unit.bundle.fake_engine import tar_of


def manifest(data: bytes) -> None:
    """kit.json: what is accepted is dumped to the very same bytes."""
    assert dump_manifest(parse_manifest(data)) == data
    trusted_manifest(data)


@dataclass(frozen=True)
class MemoryExtent:
    """An Extent in memory."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        assert offset >= 0
        assert length >= 0
        yield self.data[offset : offset + length]

    def bytes(self, offset: int, length: int) -> bytes:
        return b"".join(self.read(offset, length))

    def where(self, offset: int) -> str:
        return f"{offset}"


def tar_form(data: bytes) -> None:
    """The tarball form: what is opened lists its blobs, each within the tar."""
    source = open_extent(cast("Extent", MemoryExtent(data)), "tar", NOTHING_DEMANDED.judge)
    for blob in source.manifest.blobs:
        assert sum(map(len, source.read_range(blob.digest, 0))) == blob.size


def frame_index(data: bytes) -> None:
    """A frame index, for whatever sizes it sums up to."""
    records = [data[place : place + 8] for place in range(16, len(data), 72)]
    plain, stored = (sum(int.from_bytes(r[a:b], "big") for r in records) for a, b in ((0, 4), (4, 8)))
    for size in {plain, 0}:
        frames = parse_index(data, Blob("sha256:" + "0" * 64, stored), size)
        assert dump_index(frames) == data
    parse_piece_index(data, Blob("sha256:" + "0" * 64, stored))


def _named_anew(data: bytes) -> bytes:
    """A list of volumes with its own checksum put right."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(document, dict):
        return data
    document.pop("set", None)
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    document["set"] = blob_of(text).digest
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def volumes(data: bytes) -> None:
    """A list of volumes."""
    data = _named_anew(data)
    listing = parse_volumes(data, "list")
    assert dump_volumes(listing) == data
    for share in range(min(len(listing.shares), 600)):
        assert share in listing.group(share)
        assert 0 <= listing.size_of(share) <= listing.form.volume_size


def volume_size(data: bytes) -> None:
    """`--volume-size`."""
    assert parse_size(data.decode("latin-1")) % 512 == 0


def _repaired(data: bytes) -> bytes:
    """A tar whose headers have the right checksums, which chance hardly ever finds."""
    blocks = [bytearray(data[place : place + BLOCK]) for place in range(0, len(data), BLOCK)]
    for block in blocks:
        if block[257:262] == b"ustar" and len(block) == BLOCK:
            block[CHECKSUM] = b"%06o\0 " % checksum(bytes(block))
    return b"".join(blocks)


class _Sink:
    """Takes layers and keeps none of them."""

    def find(self, name: str, size: int) -> TakenLayer | None:
        del name, size
        return None

    def take(self, name: str, size: int, plain: Iterable[bytes]) -> TakenLayer:
        del name, size
        hasher = Hasher()
        for _ in hasher.watch(islice(plain, 64)):
            pass
        return TakenLayer(hasher.digest, Layer(hasher.digest, hasher.size, hasher.digest, hasher.size))


SAVED_LAYER = tar_of({"a": b"x"})


def docker_archive(data: bytes) -> None:
    """What `docker save` writes, behind the 64 digits of an image's ID."""
    image = EngineImage("sha256:" + data[:64].decode("latin-1"), (blob_of(SAVED_LAYER).digest,), 0)
    for archive in (data[64:], _repaired(data[64:])):
        with suppress(KitError):
            saved = read_saved_image((archive,), image, _Sink())
            assert tuple(layer.diff_id for layer in saved.layers) == image.diff_ids


def layer(data: bytes) -> None:
    """A layer's plain tar: the walk gives back every byte, and the law judges every member."""
    for plain in (data, _repaired(data)):
        walk, total = TarWalk((plain,)), 0
        while isinstance(head := walk.head(), Head):
            total += sum(map(len, head.blocks)) + sum(map(len, walk.pieces(head.payload)))
        assert total + len(head.data) + sum(map(len, walk.pieces(1 << 62))) == len(plain)
        with suppress(KitError):
            check_layer_tar((plain,), "layer")


def inventory(data: bytes) -> None:
    """A layer's tar, taken stock of while it is packed: the same members are seen in what is packed."""
    for plain in (data, _repaired(data)):
        with suppress(KitError):
            watch = LayerWatch()
            normalised = b"".join(cut_tar((plain,), normalise=True, watch=watch))
            again = LayerWatch()
            for _ in cut_tar((normalised,), normalise=True, watch=again):
                pass
            assert again.records() == watch.records()
            described(watch.records())


def stored_layer(data: bytes) -> None:
    """A layer as it is stored, zstd of any kind, for a plain size of 4 KiB."""
    known = blob_of(SAVED_LAYER)
    wanted = Layer(blob_of(data).digest, len(data), known.digest, known.size)
    plain = b"".join(plain_layer((data,), wanted, "layer"))
    assert plain == SAVED_LAYER
    frame = Frame(known.size, len(data), hashlib.sha256(SAVED_LAYER).digest(), hashlib.sha256(data).digest())
    plain_frame(frame, data, "layer")


def image_config(data: bytes) -> None:
    """An image's config."""
    config_diff_ids(data)


def signature(data: bytes) -> None:
    """kit.json.sig."""
    parse_signature(data)
    proven_key(b"{}\n", data)


def allowed_signers(data: bytes) -> None:
    """An allowed-signers file."""
    parse_allowed_signers(data.decode("utf-8", "replace"), "signers")
