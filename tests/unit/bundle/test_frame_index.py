from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest

from kit.bundle.frame_index import (
    PIECE,
    STORED_LIMIT,
    Frame,
    dump_index,
    index_size,
    parse_index,
    parse_piece_index,
    piece_of,
)
from kit.bundle.manifest import Blob
from kit.errors import VerificationError

FRAMES = (Frame(10, 5, b"a" * 32, b"b" * 32), Frame(PIECE, STORED_LIMIT, b"c" * 32, b"d" * 32))
BLOB = Blob("sha256:" + "0" * 64, 5 + STORED_LIMIT)
PLAIN = 10 + PIECE
DATA = dump_index(FRAMES)


def test_dumping_and_parsing_is_identity() -> None:
    assert parse_index(DATA, BLOB, PLAIN) == FRAMES
    assert len(DATA) == index_size(2) == 16 + 2 * 72


def with_record(**changes: Any) -> bytes:
    return dump_index((replace(FRAMES[0], **changes), FRAMES[1]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        DATA[:15],
        DATA[:-1],
        DATA + b"\0",
        b"kitfram3" + DATA[8:],
        DATA[:8] + struct.pack(">I", 2) + DATA[12:],
        DATA[:12] + struct.pack(">I", 1) + DATA[16:],
        DATA[:12] + struct.pack(">I", 2**32 - 1) + DATA[16:],
        dump_index(FRAMES[:1]),
        dump_index((*FRAMES, FRAMES[0])),
        with_record(plain_size=0),
        with_record(stored_size=0),
        with_record(plain_size=11),
        with_record(stored_size=6),
        with_record(plain_size=PIECE + 1),
        with_record(stored_size=STORED_LIMIT + 1),
        with_record(plain_size=2**32 - 1),
    ],
)
def test_anything_but_the_index_of_that_blob_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError, match=BLOB.digest):
        parse_index(data, BLOB, PLAIN)


def test_sums_that_are_right_do_not_excuse_frames_that_are_too_large() -> None:
    frame = Frame(PIECE + 1, 5, b"a" * 32, b"b" * 32)
    with pytest.raises(VerificationError, match="a frame of"):
        parse_index(dump_index((frame,)), Blob(BLOB.digest, 5), PIECE + 1)


def test_pieces_of_a_file_have_one_form_and_one_size() -> None:
    whole, last = piece_of(bytes(PIECE)), piece_of(b"end")
    blob = Blob(BLOB.digest, PIECE + 3)
    assert parse_piece_index(dump_index((whole, last)), blob) == (whole, last)
    with pytest.raises(VerificationError, match="has not"):
        parse_piece_index(dump_index((last, whole)), blob)
    with pytest.raises(VerificationError, match="two forms"):
        parse_piece_index(dump_index((whole, replace(last, stored=whole.stored))), blob)
