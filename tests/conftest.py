from __future__ import annotations

import itertools
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whatever runs in a shell's background ignores Ctrl-C, and so would the programs that tests press it for.
    signal.signal(signal.SIGINT, signal.default_int_handler)

COUNT = itertools.count()
REAL = ("lab", "e2e", "cu126")
"""Marks of tests that build real images, out of the packages that this machine keeps."""


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What whoever runs the tests trusts, has seen and keeps is none of theirs."""
    if any(request.node.get_closest_marker(mark) for mark in REAL):
        return
    # Only named: whoever writes there makes it, and mktemp would read the names of all tests before this one.
    own = tmp_path_factory.getbasetemp() / "xdg" / f"{next(COUNT)}"
    monkeypatch.delenv("KIT_TRUST", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(own / "config"))
    monkeypatch.delenv("KIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(own / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(own / "state"))


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """The address of the online machine's engine, which keeps its images from one run to the next."""
    from tests.lab import LabUnavailableError, online_engine, stop_online_engine
    from tests.lab.engine import answers
    from tests.lab.state import lab_folders

    was_up = answers(lab_folders().engine_socket)
    try:
        yield online_engine()
    except LabUnavailableError as error:
        pytest.skip(str(error))
    if not was_up:
        stop_online_engine()
