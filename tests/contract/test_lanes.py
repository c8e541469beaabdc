"""Lanes: the same laws for a shell here, for OpenSSH and for paramiko; and what may stand between."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.errors import TransferError, UnreachableError
from kit.host.connect import connect
from kit.host.fabric_remote import FabricRemote
from kit.host.local_machine import LocalMachine
from kit.host.pipe_lane import PipeLane
from kit.host.port import Host, Lane
from kit.host.talk_lane import TalkLane
from kit.project.model import HostSpec
from tests.lab import Lab, LabUnavailableError

pytestmark = pytest.mark.timeout(120)
MIB = 1 << 20
COUNT = ("sh", "-c", 'echo "ready"; wc -c; echo "over"')


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "lanetest")
        patch.setenv("KIT_LAB_STATE", str(tmp_path_factory.mktemp("lab")))
        try:
            started = Lab.up((("gate", "20.10"), ("inner", "26.1")))
        except LabUnavailableError as error:
            pytest.skip(str(error))
        patch.setenv("KIT_KNOWN_HOSTS", str(started.known_hosts))
        patch.setenv("KIT_SSH_CONFIG", str(started.ssh_config))
        try:
            yield started
        finally:
            started.down(purge=True)


def over_ssh(lab: Lab, name: str = "inner", **spec: object) -> FabricRemote:
    fields: dict[str, Any] = {"address": lab.address(name), "user": "ops", **spec}
    host = connect(name, HostSpec(**fields), Path())
    assert isinstance(host, FabricRemote)
    return host


def without_ssh(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Leave on PATH what the lab needs, but no ssh."""
    for place in os.environ["PATH"].split(os.pathsep):
        for path in Path(place).glob("*") if Path(place).is_dir() else ():
            if path.name != "ssh" and not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)
    patch.setenv("PATH", str(folder))


@pytest.fixture(
    params=[
        "local",
        pytest.param("ssh", marks=pytest.mark.lab),
        pytest.param("paramiko", marks=pytest.mark.lab),
    ]
)
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Host]:
    if request.param == "local":
        yield LocalMachine("here")
        return
    lab = request.getfixturevalue("lab")
    if request.param == "paramiko":
        without_ssh(monkeypatch, tmp_path_factory.mktemp("path"))
    found = over_ssh(lab)
    yield found
    found.close()


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "noise"
    path.write_bytes(os.urandom(5 * MIB + 17))
    return path


def test_bytes_and_parts_of_files_arrive_in_order(host: Host, noise: Path) -> None:
    lane = host.open_lane(("sha256sum",), aes=True)
    data = noise.read_bytes()
    lane.write(data[:1000])
    assert lane.send_file(noise, 1000, 3 * MIB) == 3 * MIB
    assert lane.send_file(noise, 1000 + 3 * MIB, len(data)) == len(data) - 1000 - 3 * MIB
    done: list[bytes] = []
    hearing = threading.Thread(target=lambda: done.append(lane.read_line()))
    hearing.start()
    assert lane.finish().status == 0
    hearing.join()
    assert done[0].split()[0].decode() == hashlib.sha256(data).hexdigest()


def write_on(lane: Lane, count: int) -> None:
    for _ in range(count):
        lane.write(b"x" * MIB)


def test_lines_and_the_status_come_back(host: Host) -> None:
    lane = host.open_lane(("sh", "-c", "echo one; read -r word; echo $word; echo bad >&2; exit 7"))
    assert lane.read_line() == b"one"
    lane.write(b"two\n")
    assert [lane.read_line(), lane.read_line()] == [b"two", b""]
    done = lane.finish()
    assert (done.status, done.stderr.strip()) == (7, b"bad")


def test_several_lanes_run_side_by_side(host: Host, noise: Path) -> None:
    lanes = [host.open_lane(COUNT) for _ in range(4)]
    for lane in lanes:
        assert lane.read_line() == b"ready"
        lane.send_file(noise, 0, MIB)
    for lane in lanes:
        hearing = threading.Thread(target=lane.read_line)
        hearing.start()
        assert lane.finish().status == 0
        hearing.join()


def test_a_lane_that_takes_no_more_says_so(host: Host) -> None:
    lane = host.open_lane(("sh", "-c", "read -r word; echo went away >&2"))
    lane.write(b"word\n")
    with pytest.raises(UnreachableError, match=r"lost|closed"):
        write_on(lane, 64)
    lane.abort()


def test_ending_a_lane_lets_go_of_whoever_writes_and_hears(host: Host) -> None:
    lane = host.open_lane(("sleep", "600"))
    ended: list[str] = []

    def write() -> None:
        try:
            while True:
                lane.write(b"x" * MIB)
        except UnreachableError:
            ended.append("write")

    threads = [threading.Thread(target=write), threading.Thread(target=lane.read_line)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    lane.abort()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert ended == ["write"]


def test_a_line_without_end_is_refused(host: Host) -> None:
    lane = host.open_lane(("cat", "/dev/zero"))
    with pytest.raises(TransferError, match="stopped listening"):
        lane.read_line()
    lane.abort()


def test_closing_the_host_ends_its_lanes(host: Host) -> None:
    lane = host.open_lane(("sleep", "600"))
    threading.Timer(1, host.close).start()
    started = time.monotonic()
    assert lane.read_line() == b""
    assert time.monotonic() - started < 20


def test_a_file_that_is_not_there_is_no_lost_connection(host: Host, tmp_path: Path) -> None:
    lane = host.open_lane(("cat",))
    with pytest.raises(TransferError, match="cannot be read"):
        lane.send_file(tmp_path / "nowhere", 0, 10)
    lane.abort()


# Over SSH alone: who is trusted, what stands between.


def ssh_of(lane: Lane) -> PipeLane:
    assert isinstance(lane, PipeLane)
    return lane


WHERE = ("sh", "-c", "echo $SSH_CONNECTION; cat")
"""Says by which connection it runs."""


@pytest.mark.lab
def test_without_ssh_lanes_are_paramikos_and_it_is_said(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = over_ssh(lab)
    notes: list[str] = []
    with monkeypatch.context() as patch:
        without_ssh(patch, tmp_path)
        lanes = [host.open_lane(WHERE, note=notes.append) for _ in range(2)]
    assert {type(lane) for lane in lanes} == {TalkLane}
    assert len({lane.read_line() for lane in lanes}) == 2
    assert len(notes) == 1
    assert "no OpenSSH" in notes[0]
    host.close()


@pytest.mark.lab
def test_each_lane_is_a_connection_of_its_own(lab: Lab) -> None:
    host = over_ssh(lab)
    lanes = [host.open_lane(WHERE) for _ in range(3)]
    said = {
        host.run(("sh", "-c", "echo $SSH_CONNECTION")).stdout.strip(),
        *(lane.read_line() for lane in lanes),
    }
    assert len(said) == 4
    for lane in lanes:
        ssh_of(lane)
        assert lane.finish().status == 0
    host.close()


@pytest.mark.lab
def test_ssh_trusts_no_other_key_than_the_verified_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from kit.host import lane_opener

    host = over_ssh(lab)
    other = over_ssh(lab, "gate")
    monkeypatch.setattr(
        lane_opener, "known_text", lambda hops: f"kit-hop-0 {other.hops[-1].key.line}\n" * len(hops)
    )
    notes: list[str] = []
    lane = host.open_lane(("cat",), note=notes.append)
    assert isinstance(lane, TalkLane)
    assert "Host key verification failed" in notes[0]
    lane.abort()
    host.close()
    other.close()


@pytest.mark.lab
def test_lanes_go_through_a_gateway_whose_key_only_kit_was_told(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host far\n HostName {lab.address('inner')}\n User ops\n ProxyJump root@{lab.address('gate')}\n"
        f"Host *\n IdentityFile {lab.key}\n UserKnownHostsFile {tmp_path}/none\n StrictHostKeyChecking ask\n"
    )
    monkeypatch.setenv("KIT_SSH_CONFIG", str(config))
    host = over_ssh(lab, address="far", user=None)
    lane = ssh_of(host.open_lane(("sh", "-c", "echo ${SSH_CONNECTION%% *}; wc -c")))
    assert lane.read_line().decode() == lab.address("gate")
    assert lane.send_file(noise, 0, MIB) == MIB
    hearing = threading.Thread(target=lane.read_line)
    hearing.start()
    assert lane.finish().status == 0
    hearing.join()
    assert not (tmp_path / "none").exists()
    host.close()


@pytest.mark.lab
def test_a_proxy_command_another_port_and_a_login_shell_that_talks_are_no_hindrance(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.exec("inner", ("sh", "-c", "/usr/sbin/sshd -p 2222 -o PidFile=/run/sshd2222.pid"))
    lab.exec("inner", ("sh", "-c", "echo 'echo welcome to this host' > .bashrc"), user="ops")
    known, config = tmp_path / "known", tmp_path / "config"
    line = next(line for line in lab.known_hosts.read_text().splitlines() if lab.address("inner") in line)
    known.write_text(f"[{lab.address('inner')}]:2222 {' '.join(line.split()[1:])}\n")
    config.write_text(
        f"Host far\n HostName {lab.address('inner')}\n User ops\n Port 2222\n"
        f" ProxyCommand ssh -F {lab.ssh_config} -W %h:%p gate\nHost *\n IdentityFile {lab.key}\n"
    )
    monkeypatch.setenv("KIT_SSH_CONFIG", str(config))
    monkeypatch.setenv("KIT_KNOWN_HOSTS", str(known))
    try:
        host = over_ssh(lab, address="far", user=None)
        lane = ssh_of(host.open_lane(("sh", "-c", "echo $SSH_CONNECTION")))
        said = lane.read_line().decode().split()
        assert (said[0], said[3]) == (lab.address("gate"), "2222")
        assert lane.finish().status == 0
        host.close()
    finally:
        lab.exec("inner", ("sh", "-c", "kill $(cat /run/sshd2222.pid); rm ~ops/.bashrc"))


@pytest.mark.lab
@pytest.mark.parametrize("way", ["ssh", "paramiko"])
def test_lanes_wait_where_the_host_lets_few_log_in_at_a_time(
    lab: Lab, way: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.exec(
        "inner", ("sh", "-c", "/usr/sbin/sshd -p 2223 -o MaxStartups=2:100:2 -o PidFile=/run/sshd2223.pid")
    )
    monkeypatch.setenv("KIT_KNOWN_HOSTS", str(tmp_path_factory.mktemp("known") / "known"))
    line = next(line for line in lab.known_hosts.read_text().splitlines() if lab.address("inner") in line)
    Path(os.environ["KIT_KNOWN_HOSTS"]).write_text(f"* {' '.join(line.split()[1:])}\n")
    strangers: list[socket.socket] = []
    try:
        host = over_ssh(lab, port=2223)
        strangers = [socket.create_connection((lab.address("inner"), 2223)) for _ in range(2)]
        time.sleep(0.3)
        for stranger in strangers:
            threading.Timer(1.5, stranger.close).start()
        with monkeypatch.context() as patch:
            if way == "paramiko":
                without_ssh(patch, tmp_path_factory.mktemp("path"))
            lanes = [host.open_lane(WHERE) for _ in range(4)]
        assert {type(lane) for lane in lanes} == {PipeLane if way == "ssh" else TalkLane}
        assert len({lane.read_line() for lane in lanes}) == 4
        host.close()
    finally:
        lab.exec("inner", ("sh", "-c", "kill $(cat /run/sshd2223.pid)"))


@pytest.mark.lab
def test_a_host_that_lets_nobody_log_in_again_is_served_by_the_first_connection(lab: Lab) -> None:
    host = over_ssh(lab)
    lab.exec("inner", ("sh", "-c", "mv ~ops/.ssh ~ops/.away"))
    try:
        notes: list[str] = []
        lane = host.open_lane(("echo", "still here"), note=notes.append)
        assert lane.read_line() == b"still here"
        assert "Permission denied" in notes[0]
    finally:
        lab.exec("inner", ("sh", "-c", "mv ~ops/.away ~ops/.ssh"))
        host.close()


@pytest.mark.lab
def test_a_line_that_goes_dead_ends_a_lane(lab: Lab) -> None:
    host = over_ssh(lab)
    lane = host.open_lane(("sh", "-c", "cat >/dev/null"))
    write_on(lane, 4)
    lab.cut("inner")
    started = time.monotonic()
    try:
        with pytest.raises(UnreachableError, match="connection was lost"):
            write_on(lane, 1000)
        assert time.monotonic() - started < 60
    finally:
        lab.restore("inner")
        host.close()
