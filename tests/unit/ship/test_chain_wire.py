from __future__ import annotations

import struct

import pytest

from kit.ship.chain.tls import LinkLostError
from kit.ship.chain.wire import (
    FRAME,
    WANT,
    WANT_LIMIT,
    Want,
    alive,
    checked_ranges,
    frame_message,
    hello,
    read_frame_head,
    read_kind,
    read_want,
    want_message,
)
from tests.unit.ship.memory_intake import noise_blob

BLOB, PIECES = noise_blob(1, 10)
DIGEST = BLOB.blob.digest
BLOBS = {DIGEST: BLOB}


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int) -> bytes:
        if size > len(self.data):
            raise LinkLostError("the end")
        found, self.data = self.data[:size], self.data[size:]
        return found


def test_a_request_comes_as_it_was_sent() -> None:
    want = Want({DIGEST: ((0, 3), (5, 10))}, {DIGEST: ((5, 6),)})
    link = Bytes(want_message(want))
    kind, length = read_kind(link)
    assert kind == WANT
    assert read_want(link, length, BLOBS) == want


def test_a_frame_comes_as_it_was_sent() -> None:
    link = Bytes(frame_message(DIGEST, 3, len(PIECES[3])) + PIECES[3])
    kind, length = read_kind(link)
    assert kind == FRAME
    head = read_frame_head(link, length, BLOBS)
    assert (head.digest, head.frame) == (DIGEST, 3)
    assert link.read(head.length) == PIECES[3]


def test_small_messages_have_no_content() -> None:
    assert read_kind(Bytes(hello())) == (b"h", 0)
    assert read_kind(Bytes(alive())) == (b"a", 0)


@pytest.mark.parametrize(
    "head",
    [(b"x", 0), (b"h", 1), (b"a", 1), (WANT, WANT_LIMIT + 1), (FRAME, (1 << 32) - 1)],
)
def test_a_message_that_is_none_is_refused_before_it_is_read(head: tuple[bytes, int]) -> None:
    with pytest.raises(LinkLostError):
        read_kind(Bytes(struct.pack(">cI", *head)))


@pytest.mark.parametrize(
    "message",
    [
        frame_message("sha256:" + "0" * 64, 0, 1000),
        frame_message(DIGEST, 10, 1000),
        frame_message(DIGEST, 0, 999),
        frame_message(DIGEST, 0, 1 << 20),
        struct.pack(">cI", FRAME, 3) + b"abc",
    ],
)
def test_a_frame_that_is_none_is_refused_before_its_bytes_are_read(message: bytes) -> None:
    link = Bytes(message)
    _, length = read_kind(link)
    with pytest.raises(LinkLostError):
        read_frame_head(link, length, BLOBS)


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b"{}",
        b"nonsense",
        b"[" * 100_000,
        b'{"blobs": [], "again": {}}',
        b'{"blobs": {"../etc": [[0, 1]]}, "again": {}}',
        b'{"blobs": {"sha256:%s": [[0, 1]]}, "again": {}}' % (b"0" * 64),
        b'{"blobs": {"%s": [[0, 11]]}, "again": {}}' % DIGEST.encode(),
        b'{"blobs": {"%s": 7}, "again": {}}' % DIGEST.encode(),
    ],
)
def test_a_request_that_is_none_is_refused(document: bytes) -> None:
    with pytest.raises(LinkLostError):
        read_want(Bytes(document), len(document), BLOBS)


@pytest.mark.parametrize(
    "ranges", [[[1, 1]], [[2, 1]], [[-1, 1]], [[0, 1.0]], [[True, 2]], [[0, 2], [1, 3]], [[0, 4]], [[0]], 5]
)
def test_ranges_that_are_none_are_refused(ranges: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        checked_ranges(ranges, 3)
