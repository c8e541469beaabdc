"""A layer's tar without what differs from one build to the next: times, and names of users. Pure.

Only headers change. Contents, modes, numeric owners, extended attributes and the order of members
stay, so the files that an engine makes of it differ in their times alone. Doing it twice changes
nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.tar_form import BLOCK, padded
from kit.bundle.tar_walk import CHECKSUM, SIZE, TYPE, checksum, pax_records

if TYPE_CHECKING:
    from collections.abc import Iterable

MTIME = 315_619_200
"""1980-01-02, the first day that a zip file can hold in any time zone; as in the images' build contexts."""
_TIME_FIELD = b"%011o\0" % MTIME
_NAMES = bytes(64)
_FORMAT = slice(257, 265)
_USTAR = b"ustar\x0000"
_GNU = b"ustar  \0"
_GNU_TIMES = slice(345, 369)
_PAX = frozenset(b"xg")
_PAX_NAME = b"PaxHeaders.0".ljust(100, b"\0")
"""Writers put the number of their process into it; readers take no notice."""
_PREFIX = slice(345, 500)
_DROPPED = frozenset((b"mtime", b"atime", b"ctime", b"uname", b"gname", b"LIBARCHIVE.creationtime"))


def normalised_head(blocks: Iterable[bytes]) -> bytes:
    """Return a member's head, as `TarWalk` gives it, normalised."""
    return b"".join(_block(block) for block in blocks)


def _block(block: bytes) -> bytes:
    """Return a header with what follows it; nothing for PAX records of which none is left."""
    header, rest = block[:BLOCK], block[BLOCK:]
    if header[TYPE] not in _PAX:
        return _header(header) + rest
    # The walk has seen that the size is a number and that the payload is there.
    records = pax_records(rest)
    if records is None:
        return _header(header) + rest
    kept = b"".join(record for record, key, _ in records if key not in _DROPPED)
    if not kept:
        return b""
    header = _PAX_NAME + header[100:124] + b"%011o\0" % len(kept) + header[SIZE.stop :]
    if header[_FORMAT] == _USTAR:
        header = header[: _PREFIX.start] + bytes(155) + header[_PREFIX.stop :]
    return _header(header) + kept.ljust(padded(len(kept)), b"\0")


def _header(header: bytes) -> bytes:
    kind = header[_FORMAT]
    if kind not in (_USTAR, _GNU):
        changed = header[:136] + _TIME_FIELD + header[148:]
    else:
        changed = header[:136] + _TIME_FIELD + header[148:265] + _NAMES + header[329:]
        if kind == _GNU:
            changed = changed[: _GNU_TIMES.start] + bytes(24) + changed[_GNU_TIMES.stop :]
    if changed == header:
        return header
    return changed[: CHECKSUM.start] + b"%06o\0 " % checksum(changed) + changed[CHECKSUM.stop :]
