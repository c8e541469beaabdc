from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from kit.errors import TransferError, UnreachableError, VerificationError
from kit.host.exchange import exchange, run_talk, stream_talk
from tests.unit.host.fake_talk import EchoTalk, SilentTalk


def test_a_command_that_answers_while_it_is_fed_never_blocks() -> None:
    heard = bytearray()
    chunks = [bytes([i]) * 1000 for i in range(200)]
    status, errors = exchange(EchoTalk(status=3, errors=b"oh"), chunks, heard.extend)
    assert (status, errors, bytes(heard)) == (3, b"oh", b"".join(chunks))


def test_what_the_chunks_raise_ends_the_command() -> None:
    def damaged() -> Iterator[bytes]:
        yield b"good"
        raise VerificationError("a flipped byte")

    talk = EchoTalk()
    with pytest.raises(VerificationError, match="flipped"):
        exchange(talk, damaged(), lambda _: None)
    assert talk.aborted.is_set()


def test_what_the_sink_raises_ends_the_command() -> None:
    def refuse(_: bytes) -> None:
        raise TransferError("too much")

    talk = EchoTalk()
    with pytest.raises(TransferError, match="too much"):
        exchange(talk, (b"x" for _ in range(100_000)), refuse)
    assert talk.aborted.is_set()
    assert len(talk.written) < 100_000


def test_a_command_that_stops_reading_is_not_an_error() -> None:
    talk = EchoTalk(status=1, takes=3)
    assert exchange(talk, [b"x"] * 50, lambda _: None)[0] == 1
    assert len(talk.written) == 3


def test_a_lost_connection_is_raised() -> None:
    with pytest.raises(UnreachableError):
        exchange(EchoTalk(lost=True), (), lambda _: None)


def test_run_returns_output_status_and_errors() -> None:
    done = run_talk("gpu1", EchoTalk(status=2, errors=b"bad"), b"hello\n", None)
    assert (done.status, done.text, done.stderr) == (2, "hello", b"bad")


def test_run_gives_up_after_its_timeout() -> None:
    with pytest.raises(UnreachableError, match=r"no answer within 0\.1 s"):
        run_talk("gpu1", SilentTalk(), b"", 0.1)


def test_stream_hands_on_lines_and_keeps_none() -> None:
    lines: list[bytes] = []
    done = stream_talk("gpu1", EchoTalk(), (b"one\nt", b"wo"), lines.append)
    assert lines == [b"one", b"two"]
    assert done.stdout == b""


def test_stream_keeps_output_when_nobody_listens() -> None:
    assert stream_talk("gpu1", EchoTalk(), (b"one\n",), None).text == "one"


class DeadTalk(EchoTalk):
    """A command that ended without a word; nobody has noticed yet."""

    def read(self, *, errors: bool) -> bytes:
        del errors
        return b""


def test_a_command_that_says_no_more_is_fed_no_longer() -> None:
    over = threading.Event()

    def patient() -> Iterator[bytes]:
        if not over.wait(5):
            yield b"still there?"

    talk = DeadTalk(status=137)
    assert exchange(talk, patient(), lambda _: None, over.set)[0] == 137
    assert talk.written == []


def test_whoever_hears_lines_hears_of_their_end() -> None:
    class Hearing:
        def __init__(self) -> None:
            self.over = threading.Event()

        def __call__(self, line: bytes) -> None:
            raise AssertionError(line)

        def ended(self) -> None:
            self.over.set()

    hearing = Hearing()
    done = stream_talk(
        "gpu1", DeadTalk(status=1), (b"" for _ in range(1) if not hearing.over.wait(5)), hearing
    )
    assert done.status == 1
    assert hearing.over.is_set()
