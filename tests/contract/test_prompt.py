"""Prompts on a real terminal: what is typed is not shown, and the terminal comes back as it was."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.terminal import Terminal

ASK = """
import sys, threading
from kit.cli.logins import Prompt
prompt = Prompt()
try:
    ask = lambda: print("answer", repr(prompt("gpu1: pass\\x1b[2Jword: ")))
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join()
except KeyboardInterrupt:
    sys.exit(130)
finally:
    prompt.close()
"""
WHO_ASKS = """
from kit.cli.logins import asking_connect
with asking_connect() as connect:
    print("nobody", connect.keywords["secrets"].nobody)
"""


@contextmanager
def terminal(script: str) -> Iterator[Terminal]:
    made = Terminal((sys.executable, "-c", script), os.environ)
    try:
        yield made
    finally:
        made.close()


def test_what_is_typed_is_returned_and_not_shown() -> None:
    with terminal(ASK) as there:
        there.expect("gpu1: pass\\u001b[2Jword: ")
        there.type("s3cret")
        assert there.end() == 0
        assert there.shown.count("s3cret") == 1
        assert "answer 's3cret'" in there.shown
        assert there.echoes


@pytest.mark.parametrize(("key", "status"), [(b"\x04", 0), (b"\x03", 130)], ids=["ctrl-d", "ctrl-c"])
def test_whoever_types_nothing_gets_the_terminal_back(key: bytes, status: int) -> None:
    with terminal(ASK) as there:
        there.expect("word: ")
        hidden = threading.Event()
        while there.echoes and not hidden.wait(0.02):
            pass
        there.press(key)
        assert there.end() == status
        assert there.echoes
        assert ("answer None" in there.shown) == (status == 0)


def test_people_are_asked_where_there_is_a_terminal_and_only_there() -> None:
    with terminal(WHO_ASKS) as there:
        assert there.end() == 0
        assert "nobody False" in there.shown
    assert os.popen(f"{sys.executable} -c '{WHO_ASKS}' </dev/null").read() == "nobody True\n"
