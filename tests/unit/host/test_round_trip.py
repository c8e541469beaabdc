from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import repeat
from typing import cast

import paramiko
import pytest

from kit.host import round_trip as module
from kit.host.round_trip import round_trip


class Answering:
    """A connection whose other end takes so long for each answer."""

    def __init__(self, takes: Iterator[float]) -> None:
        self.takes = takes
        self.asked = 0

    def global_request(self, kind: str, *, wait: bool) -> None:
        assert (kind, wait) == ("keepalive@openssh.com", True)
        self.asked += 1
        time.sleep(next(self.takes))


def asked(answering: Answering) -> float:
    return round_trip(cast("paramiko.Transport", answering))


def test_a_near_host_is_asked_once() -> None:
    answering = Answering(repeat(0.0))
    assert asked(answering) < 0.01
    assert answering.asked == 1


def test_the_quickest_answer_counts() -> None:
    answering = Answering(iter((0.2, 0.05, 0.3)))
    assert 0.05 <= asked(answering) < 0.2
    assert answering.asked == 3


def test_nobody_waits_for_one_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()

    class Silent(Answering):
        def global_request(self, kind: str, *, wait: bool) -> None:
            del kind, wait
            silent.wait(30)

    monkeypatch.setattr(module, "PATIENCE", 0.1)
    started = time.monotonic()
    assert asked(Silent(iter(()))) == 0.1
    assert time.monotonic() - started < 5
    silent.set()


def test_a_lost_connection_is_left_to_whoever_uses_it_next(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(Answering):
        def global_request(self, kind: str, *, wait: bool) -> None:
            del kind, wait
            raise EOFError

    monkeypatch.setattr(module, "PATIENCE", 0.1)
    assert asked(Lost(iter(()))) == 0.1
