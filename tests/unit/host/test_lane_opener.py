from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.errors import UnreachableError
from kit.host.known_hosts import HostKey
from kit.host.lane_opener import GREETING, LaneOpener, Reached
from kit.host.lane_refusal import TRIES
from kit.host.openssh_here import OpensshHere
from kit.host.port import Argv, Lane
from kit.host.ssh_way import Hop

KEY = HostKey("ssh-ed25519", b"\0\0\0\x0bssh-ed25519host")
BUSY = "kex_exchange_identification: Connection closed by remote host"
DENIED = "ops@10.0.0.11: Permission denied (publickey,password)."
OPENSSH = OpensshHere("/usr/bin/ssh", (9, 2), ("aes128-gcm@openssh.com",))


class FakeSsh:
    """Says what a list tells, one entry a start: empty gets through."""

    def __init__(self, said: Iterator[str], argv: Argv, env: dict[str, str]) -> None:
        self.errors = next(said)
        self.argv = argv
        self.env = env
        self.known = Path(next(word for word in argv if "UserKnownHosts" in word).split('"')[1])
        self.known_text = self.known.read_text()
        self.aborted = False

    def await_line(self, wanted: bytes, seconds: float) -> bool:
        assert (wanted, seconds > 0) == (GREETING.encode(), True)
        return not self.errors

    def abort(self) -> None:
        self.aborted = True


class FakeParamiko:
    """The other way, which may be closed for the first few times."""

    def __init__(self, *failures: str) -> None:
        self.failures = list(failures)
        self.separate = 0
        self.shared = 0

    def separate_lane(self, argv: Argv) -> Lane:
        del argv
        if self.failures:
            raise UnreachableError("it does not answer over SSH", why=self.failures.pop(0))
        self.separate += 1
        return FakeLane()  # type: ignore[return-value]

    def shared_lane(self, argv: Argv) -> Lane:
        del argv
        self.shared += 1
        return FakeLane()  # type: ignore[return-value]


class FakeLane:
    def abort(self) -> None:
        pass


class Door:
    """A LaneOpener, and what it did."""

    def __init__(
        self,
        *said: str,
        ssh: OpensshHere | None = OPENSSH,
        paramiko: FakeParamiko | None = None,
        typed: bool = False,
    ) -> None:
        self.started: list[FakeSsh] = []
        self.pauses: list[float] = []
        self.notes: list[str] = []
        self.paramiko = paramiko or FakeParamiko()
        self.said = iter(said)
        hops = (Hop("gpu1", "10.0.0.11", 22, "ops", KEY, typed),)
        reached = Reached(
            hops, None, None, own_proxy=False, own_ciphers=False, connect_timeout=9, keepalive=9
        )
        self.opener = LaneOpener(
            "gpu1", lambda: reached, self.paramiko, lambda: ssh, self._start, self.pauses.append
        )

    def _start(self, argv: Argv, where: str, env: dict[str, str]) -> Any:
        assert where == "gpu1"
        self.started.append(FakeSsh(self.said, argv, env))
        return self.started[-1]

    def open(self) -> Lane:
        return self.opener.open(("cat",), aes_there=True, note=self.notes.append)


def test_a_lane_is_an_ssh_that_knows_the_verified_key_alone() -> None:
    door = Door("")
    assert door.open() is door.started[0]  # type: ignore[comparison-overlap]
    assert door.started[0].argv[0] == "/usr/bin/ssh"
    assert door.started[0].known_text.endswith(f" {KEY.line}\n")
    assert door.started[0].known.parent.stat().st_mode & 0o777 == 0o700
    assert (door.notes, door.pauses) == ([], [])
    door.opener.close()
    assert door.started[0].aborted
    assert not door.started[0].known.parent.exists()


def test_a_login_that_took_a_typed_secret_is_left_to_paramiko() -> None:
    door = Door("", typed=True)
    door.open()
    assert (door.started, door.paramiko.separate) == ([], 1)
    assert "typed" in door.notes[0]


def test_what_is_meant_for_kit_alone_ssh_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_SOMETHING", "private")
    monkeypatch.setenv("LANG", "C.UTF-8")
    door = Door("")
    door.open()
    assert "private" not in door.started[0].env.values()
    assert door.started[0].env["LANG"] == "C.UTF-8"


def test_a_busy_host_is_asked_again_after_a_while() -> None:
    door = Door(BUSY, BUSY, "")
    door.open()
    assert len(door.pauses) == 2
    assert door.pauses[0] < door.pauses[1]
    assert [ssh.aborted for ssh in door.started] == [True, True, False]
    assert door.notes == []


def test_a_host_that_stays_busy_ends_the_opening_of_further_lanes_only() -> None:
    door = Door("", *[BUSY] * TRIES)
    door.open()
    with pytest.raises(UnreachableError, match="no further connection") as caught:
        door.open()
    assert "MaxStartups" in caught.value.fix
    assert door.paramiko.separate == 0


def test_a_host_that_is_gone_is_not_asked_again_and_again() -> None:
    door = Door("", "ssh: connect to host 10.0.0.11 port 22: Connection timed out")
    door.open()
    with pytest.raises(UnreachableError, match="does not answer"):
        door.open()
    assert door.pauses == []


def test_a_login_that_ssh_cannot_do_goes_to_paramiko_with_a_note_and_is_not_tried_again() -> None:
    door = Door(DENIED)
    door.open()
    door.open()
    assert (len(door.started), door.paramiko.separate) == (1, 2)
    assert len(door.notes) == 1
    assert "Permission denied" in door.notes[0]
    assert "paramiko" in door.notes[0]


def test_without_ssh_paramiko_carries() -> None:
    door = Door(ssh=None)
    door.open()
    assert (door.started, door.paramiko.separate) == ([], 1)
    assert "no OpenSSH" in door.notes[0]


def test_paramiko_too_is_patient() -> None:
    door = Door(ssh=None, paramiko=FakeParamiko("Error reading SSH protocol banner"))
    door.open()
    assert (len(door.pauses), door.paramiko.separate) == (1, 1)


def test_where_no_second_connection_is_let_in_the_first_one_carries() -> None:
    door = Door(DENIED, paramiko=FakeParamiko("Authentication failed."))
    door.open()
    assert (door.paramiko.separate, door.paramiko.shared) == (0, 1)


def test_beside_a_lane_that_is_open_the_first_connection_carries_none() -> None:
    door = Door(ssh=None, paramiko=FakeParamiko())
    door.open()
    door.paramiko.failures = ["Authentication failed."]
    with pytest.raises(UnreachableError):
        door.open()
    assert door.paramiko.shared == 0


def test_a_lane_that_comes_after_the_end_is_ended_and_waited_for() -> None:
    aborted: list[bool] = []

    class Late(FakeLane):
        def abort(self) -> None:
            aborted.append(True)

    class Slow(FakeParamiko):
        def separate_lane(self, argv: Argv) -> Lane:
            del argv
            closing.start()
            while not door.opener._closed:
                pass
            assert closing.is_alive()
            return Late()  # type: ignore[return-value]

    door = Door(ssh=None, paramiko=Slow())
    closing = threading.Thread(target=door.opener.close)
    with pytest.raises(UnreachableError, match="closed"):
        door.open()
    closing.join(5)
    assert (aborted, closing.is_alive()) == ([True], False)
    with pytest.raises(UnreachableError, match="closed"):
        door.open()
