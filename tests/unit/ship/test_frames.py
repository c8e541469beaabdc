from __future__ import annotations

import io
import struct

import pytest

from kit.errors import TransferError
from kit.ship.frames import FRAME_LIMIT, frames, read_frames


def stream(data: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]


def test_blobs_come_out_as_they_went_in() -> None:
    data = b"".join(frames([b"one", b"", b"two" * 100_000])) + b"".join(frames([])) + b"".join(frames([b"x"]))
    source = stream(data)
    assert b"".join(read_frames(source)) == b"one" + b"two" * 100_000
    assert b"".join(read_frames(source)) == b""
    assert b"".join(read_frames(source)) == b"x"


@pytest.mark.parametrize("cut", [0, 2, 4, 5, 7, 8, 10])
def test_a_stream_that_breaks_off_is_noticed_wherever_it_does(cut: int) -> None:
    data = b"".join(frames([b"abc"]))
    assert len(data) == 11
    with pytest.raises(TransferError, match="went away"):
        list(read_frames(stream(data[:cut])))


def test_an_absurd_frame_is_refused_before_it_is_read() -> None:
    with pytest.raises(TransferError, match="a frame of"):
        list(read_frames(stream(struct.pack(">I", FRAME_LIMIT + 1) + b"x" * 100)))
