"""The tarball form of a bundle: which members, in which order, at which offset. Pure.

kit writes exactly one tar for given contents, so reading is comparing: each header must be the
512 bytes that kit would write. Links, devices, `..`, other names, a second member of the same
name or bytes in the padding cannot hide in that. Format: POSIX ustar, with GNU's base-256 size
from 8 GiB on; both are read by GNU tar, bsdtar and Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.oci_layout import OCI_LAYOUT, index_json
from kit.errors import VerificationError

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the tarball."""

    name: str
    size: int
    offset: int
    """Where its header begins."""

    @property
    def data_offset(self) -> int:
        """Where its bytes begin."""
        return self.offset + BLOCK

    @property
    def end(self) -> int:
        """Where the next header begins."""
        return self.data_offset + padded(self.size)


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
    """Return the files that describe the bundle, by name, in the tarball's order."""
    return {
        MANIFEST_NAME: manifest_bytes,
        **({} if signature is None else {SIGNATURE_NAME: signature}),
        INDEX_NAME: index_json(manifest),
        LAYOUT_NAME: OCI_LAYOUT,
        LOCK_NAME: lock_bytes,
    }


def plan_members(
    manifest: Manifest, manifest_size: int, lock_size: int, signature_size: int | None
) -> tuple[Member, ...]:
    """Return every member of the tarball, in order. `signature_size` is None for an unsigned bundle."""
    sizes = [
        (MANIFEST_NAME, manifest_size),
        *([] if signature_size is None else [(SIGNATURE_NAME, signature_size)]),
        (INDEX_NAME, len(index_json(manifest))),
        (LAYOUT_NAME, len(OCI_LAYOUT)),
        (LOCK_NAME, lock_size),
    ]
    sizes += [(blob_name(blob.digest), blob.size) for blob in manifest.blobs]
    members: list[Member] = []
    offset = 0
    for name, size in sizes:
        members.append(Member(name, size, offset))
        offset = members[-1].end
    return tuple(members)


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
