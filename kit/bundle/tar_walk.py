"""Walking a tar as it streams by, member by member, without changing a byte of it.

What is taken for a header is what Go's archive/tar takes for one, since that is what engines read
layers with: a checksum, ustar, GNU or v7 fields, PAX records and GNU long names. Where the bytes
are no header any more, the rest is passed on as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from kit.bundle.tar_form import BLOCK, padded
from kit.byte_stream import ChunkReader

ZERO_BLOCK = bytes(BLOCK)
EXTENSIONS = frozenset(b"xgLK")
"""Types of members that describe the next one: PAX records, GNU long names."""
_WITHOUT_PAYLOAD = frozenset(b"123456")
_SPARSE = ord("S")
_MORE_SPARSE = 482
_MORE_SPARSE_IN_EXTENSION = 504
_HEAD_LIMIT = 2 << 20
"""Most bytes of the headers of one member; names and extended attributes are far shorter."""
CHECKSUM = slice(148, 156)
SIZE = slice(124, 136)
TYPE = 156


@dataclass(frozen=True, slots=True)
class Head:
    """Everything of a member that stands before its payload."""

    blocks: tuple[bytes, ...]
    """A header, or an extension's header and payload, each in whole blocks; the member's own comes last."""
    payload: int
    """Bytes that follow, padding included."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Bytes that are no member: the end of a tar, or what is no tar at all."""

    data: bytes


def number(field: bytes) -> int | None:
    """Return the value of a numeric header field: octal, or GNU's base 256; None when it has none."""
    if field[:1] and field[0] & 0x80:
        # GNU: a set first bit, then a big-endian number; negative ones mean nothing here.
        return None if field[0] & 0x40 else int.from_bytes(bytes([field[0] & 0x3F]) + field[1:], "big")
    text = field.strip(b" \0")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        return None


def checksum(block: bytes) -> int:
    """Return what a header's checksum field should say: the sum of all bytes, its own as spaces."""
    return sum(block) - sum(block[CHECKSUM]) + 8 * 0x20


def pax_records(payload: bytes) -> tuple[tuple[bytes, bytes, bytes], ...] | None:
    """Return (record, key, value) of PAX records, `<length> <key>=<value>` and a line feed each.

    None when the payload holds anything else.
    """
    records = []
    place = 0
    while place < len(payload) and payload[place]:
        space = payload.find(b" ", place, place + 12)
        digits = payload[place:space] if space > place else b""
        end = place + int(digits) if digits.isdigit() else 0
        record = payload[place:end]
        key, equals, value = record[len(digits) + 1 :].partition(b"=")
        if not equals or not key or not record.endswith(b"\n") or end > len(payload):
            return None
        records.append((record, key, value[:-1]))
        place = end
    return tuple(records)


class TarWalk(ChunkReader):
    """Reads heads and payloads in turn; whatever is read is exactly what came."""

    def head(self) -> Head | Rest:
        """Return the next member's head; its payload must be read before the next call.

        A Rest holds the bytes that turned out to be none; what follows it is no member either.
        """
        blocks: list[bytes] = []
        pax_size: int | None = None
        while True:
            block = self.read(BLOCK)
            size = _header_size(block)
            if size is None:
                return Rest(b"".join(blocks) + block)
            if block[TYPE] not in EXTENSIONS:
                blocks.append(self._with_sparse_map(block))
                known = size if pax_size is None else pax_size
                return Head(tuple(blocks), padded(known) if has_payload(block) else 0)
            payload = self.read(padded(size)) if size <= _HEAD_LIMIT else b""
            blocks.append(block + payload)
            if len(payload) != padded(size) or sum(map(len, blocks)) > _HEAD_LIMIT:
                return Rest(b"".join(blocks))
            if block[TYPE] == ord("x"):
                pax_size = _pax_size(payload[:size], pax_size)

    def _with_sparse_map(self, block: bytes) -> bytes:
        more = block[TYPE] == _SPARSE and block[_MORE_SPARSE]
        while more:
            extension = self.read(BLOCK)
            block += extension
            more = len(extension) == BLOCK and extension[_MORE_SPARSE_IN_EXTENSION]
        return block


def has_payload(block: bytes) -> bool:
    """Tell whether bytes follow this header: not after links, devices and folders."""
    return block[TYPE] not in _WITHOUT_PAYLOAD


def _header_size(block: bytes) -> int | None:
    """Return the size that a header gives; None when the block is no header."""
    if len(block) < BLOCK or block == ZERO_BLOCK or number(block[CHECKSUM]) != checksum(block):
        return None
    return number(block[SIZE])


def _pax_size(payload: bytes, before: int | None) -> int | None:
    for _, key, value in pax_records(payload) or ():
        if key == b"size" and value.isdigit():
            before = int(value)
    return before
