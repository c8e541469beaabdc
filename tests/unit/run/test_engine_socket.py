from __future__ import annotations

import io

from kit.run.engine_socket import unframed


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_both_streams_of_a_log_come_in_their_order() -> None:
    log = io.BytesIO(frame(1, b"out\n") + frame(2, b"err\n") + frame(1, b"x" * 100_000))
    assert b"".join(unframed(log)) == b"out\nerr\n" + b"x" * 100_000  # type: ignore[arg-type]


def test_a_log_that_is_cut_short_ends() -> None:
    assert b"".join(unframed(io.BytesIO(frame(1, b"whole") + frame(1, b"half")[:-2]))) == b"wholeha"  # type: ignore[arg-type]
    assert list(unframed(io.BytesIO(b"\x01\0"))) == []  # type: ignore[arg-type]


def test_what_a_container_at_a_terminal_wrote_has_no_heads() -> None:
    said = b"Welcome\r\n\nUser: " + b"y" * 70_000
    assert b"".join(unframed(io.BytesIO(said))) == said  # type: ignore[arg-type]
    assert b"".join(unframed(io.BytesIO(b"short"))) == b"short"  # type: ignore[arg-type]
