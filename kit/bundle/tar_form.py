"""The tarball form of a bundle. Pure.

Blobs come first, in the order in which packing finished them, then the files that describe the
bundle, which are known only at the end, then `kit.end` of fixed size: it says where kit.json
begins. Apart from the order of the blobs there is exactly one tar for given contents, so reading
is comparing: each header must be the 512 bytes that kit would write. Links, devices, `..`, other
names, a second member of the same name or bytes in the padding cannot hide in that. Format: POSIX
ustar, with GNU's base-256 size from 8 GiB on; both are read by GNU tar, bsdtar and Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.oci_layout import OCI_LAYOUT, index_json
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.bundle.manifest import Manifest

BLOCK = 512
END = b"\0" * (2 * BLOCK)
"""Two empty blocks end a tar."""
_OCTAL_LIMIT = 8**11
_SIZE_FIELD = slice(124, 136)
MANIFEST_NAME = "kit.json"
SIGNATURE_NAME = "kit.json.sig"
"""Optional, right after kit.json, whose bytes it covers; kit.json does not know of it."""
INDEX_NAME = "index.json"
LAYOUT_NAME = "oci-layout"
LOCK_NAME = "kit.lock"
FIXED_NAMES = (MANIFEST_NAME, INDEX_NAME, LAYOUT_NAME, LOCK_NAME)
"""The describing files that every bundle has."""
TAIL_ORDER = (INDEX_NAME, LAYOUT_NAME, LOCK_NAME, MANIFEST_NAME, SIGNATURE_NAME)
"""The order of the describing files in a tarball, after the blobs."""
END_NAME = "kit.end"


def padded(size: int) -> int:
    """Return the size rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def _size_field(size: int) -> bytes:
    if size < _OCTAL_LIMIT:
        return b"%011o\0" % size
    return b"\x80" + size.to_bytes(11, "big")


def tar_header(name: str, size: int) -> bytes:
    """Return the one header kit writes: a regular file, mode 0444, owner 0, time 0."""
    fields = (
        name.encode("ascii").ljust(100, b"\0"),
        b"0000444\0" + b"0000000\0" * 2,
        _size_field(size),
        b"00000000000\0",
        b" " * 8 + b"0" + b"\0" * 100,
        b"ustar\x0000" + b"\0" * 64 + b"0000000\0" * 2,
    )
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def blob_name(digest: str) -> str:
    """Return a blob's member name, which is also its path in the directory form."""
    return "blobs/" + digest.replace(":", "/")


def fixed_files(
    manifest: Manifest, manifest_bytes: bytes, lock_bytes: bytes, signature: bytes | None
) -> dict[str, bytes]:
    """Return the files that describe the bundle, by name."""
    return {
        MANIFEST_NAME: manifest_bytes,
        **({} if signature is None else {SIGNATURE_NAME: signature}),
        INDEX_NAME: index_json(manifest),
        LAYOUT_NAME: OCI_LAYOUT,
        LOCK_NAME: lock_bytes,
    }


def tail_chunks(files: dict[str, bytes], start: int) -> Iterator[bytes]:
    """Yield all that follows the blobs of a tarball: the describing files, then `kit.end`.

    `files` is what `fixed_files` gives; the first byte comes at offset `start`.
    """
    offset = start
    for name in TAIL_ORDER:
        if name not in files:
            continue
        if name == MANIFEST_NAME:
            place = offset
        size = len(files[name])
        yield tar_header(name, size)
        yield files[name].ljust(padded(size), b"\0")
        offset += BLOCK + padded(size)
    yield trailer(place)


def trailer(place: int) -> bytes:
    """Return what ends a tarball: the member `kit.end`, which says where kit.json's header is."""
    content = b"%020d\n" % place
    return tar_header(END_NAME, len(content)) + content.ljust(BLOCK, b"\0") + END


TRAILER = len(trailer(0))
"""Bytes of every trailer."""


def read_trailer(data: bytes, where: str) -> int:
    """Return the place that a trailer names. Raises VerificationError unless it is one as kit writes it."""
    digits = data[BLOCK : BLOCK + 20]
    place = int(digits) if digits.isdigit() else -1
    if place < 0 or place % BLOCK or data != trailer(place):
        raise not_a_bundle(where, f"no member {END_NAME!r} at its end")
    return place


def blobs_size(manifest: Manifest) -> int:
    """Return the bytes of all blob members, which come first, in any order."""
    return sum(BLOCK + padded(blob.size) for blob in manifest.blobs)


def lock_place(manifest: Manifest) -> int:
    """Return where the header of kit.lock is."""
    before = (len(index_json(manifest)), len(OCI_LAYOUT))
    return blobs_size(manifest) + sum(BLOCK + padded(size) for size in before)


def is_signature(header: bytes) -> bool:
    """Tell whether the member after kit.json calls itself its signature; `read_size` checks the rest."""
    return header.startswith(SIGNATURE_NAME.encode() + b"\0")


def read_size(header: bytes, name: str, limit: int, where: str) -> int:
    """Return the size that a header gives the member `name`, at most `limit`.

    Raises VerificationError unless the header is, byte for byte, the one kit writes.
    """
    field = header[_SIZE_FIELD]
    try:
        size = int(field[:11], 8)
    except ValueError:
        size = limit + 1
    if not 0 <= size <= limit or header != tar_header(name, size):
        raise not_a_bundle(where, f"no member {name!r} of at most {limit} bytes where it must begin")
    return size


def not_a_bundle(where: str, why: str) -> VerificationError:
    """Return the error for a tar that kit did not write, or that changed since."""
    return VerificationError(
        "not a tarball as kit writes it",
        where=where,
        why=why,
        fix="fetch it again, or make it with: kit bundle -o NAME.tar",
    )
