from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.errors import TransferError, UnreachableError, VerificationError
from kit.host.port import Completed
from kit.ship.patient_input import named_pipe
from kit.ship.pump import Pump


class PouringHost:
    """Takes what is sent."""

    name = "gpu1"

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.taken = b""
        self.argv: tuple[str, ...] = ()

    def stream(self, argv: tuple[str, ...], chunks: Any = (), on_line: Any = None) -> Completed:
        del on_line
        self.argv = argv
        for chunk in chunks:
            self.taken += chunk
        if self.failure:
            raise self.failure
        return Completed(0, b"", b"")


def pump(host: Any, chunks: Any) -> Pump:
    return Pump(host, "/aisys/kit/partial/pipe-1", chunks)


def fail_beside(started: Pump, failure: Exception) -> None:
    """What an agent does that fails while the pump runs."""
    with started:
        started.start()
        started._thread.join()
        raise failure


def test_chunks_go_into_the_pipe_once_it_is_started() -> None:
    host = PouringHost()
    with pump(host, (b"one", b"two")) as started:
        started.start()
        started.start()
    assert host.taken == b"onetwo"
    assert host.argv[-1] == "/aisys/kit/partial/pipe-1"


def test_a_pump_that_is_never_started_sends_nothing() -> None:
    host = PouringHost()
    with pump(host, (b"one",)):
        pass
    assert host.argv == ()


def test_a_bundle_that_cannot_be_read_is_told_of_rather_than_its_consequence() -> None:
    def unreadable() -> Iterator[bytes]:
        yield b"one"
        raise TransferError("cannot be read", where="bundle")

    with pytest.raises(TransferError, match="cannot be read"):
        fail_beside(pump(PouringHost(), unreadable()), TransferError("the sender went away"))


def test_what_the_agent_says_counts_more_than_a_lost_line() -> None:
    host = PouringHost(UnreachableError("lost"))
    with pytest.raises(VerificationError):
        fail_beside(pump(host, (b"x",)), VerificationError("flipped"))


def test_an_agent_that_succeeded_has_all_that_it_wanted() -> None:
    with pump(PouringHost(UnreachableError("lost")), (b"x",)) as started:
        started.start()


def test_a_bug_in_the_sender_is_not_swallowed() -> None:
    with pytest.raises(KeyError), pump(PouringHost(KeyError("oops")), (b"x",)) as started:
        started.start()


def test_a_named_pipe_gives_what_is_written_into_it_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "pipe-1"

    def write() -> None:
        with path.open("wb") as sink:
            sink.write(b"x" * 300_000)

    with named_pipe(path) as stream:
        assert path.stat().st_mode & 0o777 == 0o600
        writer = threading.Thread(target=write)
        writer.start()
        assert stream.read() == b"x" * 300_000
        writer.join()
    assert not path.exists()


def test_a_sender_that_never_comes_is_given_up(tmp_path: Path) -> None:
    with (
        named_pipe(tmp_path / "pipe-1", silence=0.05) as stream,
        pytest.raises(TransferError, match="silent"),
    ):
        stream.read(1)
