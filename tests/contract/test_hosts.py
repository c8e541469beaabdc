"""One contract for every Host: this machine by subprocess, and the lab's machines over SSH."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kit.errors import JobError, KitError, TransferError, UnfitError, UnreachableError, VerificationError
from kit.host.connect import connect
from kit.host.fabric_remote import FabricRemote
from kit.host.gather import gather_facts
from kit.host.local_machine import LocalMachine
from kit.host.port import Argv, Host
from kit.project.model import HostSpec

if TYPE_CHECKING:
    from tests.lab import Lab

MIB = 1 << 20
NAMES = ("old", "mid", "new")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    from tests.lab import Lab, LabUnavailableError

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "hoststest")
        patch.setenv("KIT_LAB_STATE", str(tmp_path_factory.mktemp("lab")))
        try:
            started = Lab.up((("old", "20.10"), ("mid", "26.1"), ("new", "28.5")))
        except LabUnavailableError as error:
            pytest.skip(str(error))
        patch.setenv("KIT_KNOWN_HOSTS", str(started.known_hosts))
        patch.setenv("KIT_SSH_CONFIG", str(started.ssh_config))
        try:
            yield started
        finally:
            started.down(purge=True)


def over_ssh(lab: Lab, name: str, user: str = "ops", **spec: Any) -> Host:
    return connect(name, HostSpec(address=lab.address(name), user=user, **spec), Path())


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.lab)])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    if request.param == "local":
        yield LocalMachine("here")
        return
    found = over_ssh(request.getfixturevalue("lab"), "old")
    yield found
    found.close()


def test_output_errors_and_status_come_back(host: Host) -> None:
    done = host.run(("sh", "-c", "echo out; echo err >&2; exit 7"))
    assert (done.status, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


@pytest.mark.parametrize(
    "word", ["two words", "a'b", 'a"b', "$HOME", "`id`", "back\\slash", "*", "", "new\nline", "é"]
)
def test_words_arrive_as_they_are(host: Host, word: str) -> None:
    assert host.run(("printf", "%s|", word, "end")).stdout.decode() == f"{word}|end|"


def test_a_program_that_is_missing_answers_127(host: Host) -> None:
    assert host.run(("no-such-program", "x")).status == 127


def test_standard_input_is_fed_and_ended(host: Host) -> None:
    assert host.run(("sort",), stdin=b"b\na\n").stdout == b"a\nb\n"


def test_a_command_without_input_sees_its_end(host: Host) -> None:
    assert host.run(("cat",), timeout=20).stdout == b""


def test_much_input_and_much_output_at_once_do_not_block_each_other(host: Host) -> None:
    block = bytes(range(256)) * 4096
    done = host.stream(("cat",), (block for _ in range(48)))
    assert done.stdout == block * 48


def test_lines_are_heard_as_they_come(host: Host) -> None:
    heard: list[tuple[float, bytes]] = []
    host.stream(
        ("sh", "-c", "echo one; sleep 1; printf two"), (), lambda line: heard.append((time.monotonic(), line))
    )
    assert [line for _, line in heard] == [b"one", b"two"]
    assert heard[1][0] - heard[0][0] > 0.5


def test_raw_output_comes_whole(host: Host) -> None:
    data = bytearray()
    done = host.receive(("sh", "-c", "head -c 20000000 /dev/zero; cat"), data.extend, stdin=b"end")
    assert done.status == 0
    assert len(data) == 20_000_003
    assert data.endswith(b"\0end")


def test_a_command_that_stops_reading_ends_the_feeding(host: Host) -> None:
    fed = 0

    def chunks() -> Iterator[bytes]:
        nonlocal fed
        for _ in range(4000):
            fed += 1
            yield b"x" * MIB

    assert host.stream(("sh", "-c", "head -c 10 >/dev/null; exit 3"), chunks()).status == 3
    assert fed < 4000


def test_what_the_feeding_raises_ends_the_command_and_leaves_the_host_usable(
    host: Host, tmp_path: Path
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * MIB
        raise VerificationError("flipped")

    mark = f"kit-test-{os.getpid()}-{tmp_path.name}"
    with pytest.raises(VerificationError):
        host.stream(("sh", "-c", f"cat >/dev/null; : {mark}"), chunks())
    deadline = time.monotonic() + 10
    look = f"ps ax -o args | grep -v grep | grep -v 'ps ax' | grep -c '[c]at >/dev/null; : {mark}'"
    while host.run(("sh", "-c", look)).text != "0" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert host.run(("sh", "-c", look)).text == "0"


@pytest.mark.parametrize("argv", [("yes",), ("cat", "/dev/zero")])
def test_endless_output_is_refused_and_leaves_the_host_usable(host: Host, argv: Argv) -> None:
    with pytest.raises(TransferError, match="stopped listening"):
        host.run(argv)
    with pytest.raises(TransferError, match="stopped listening"):
        host.stream(("cat", "/dev/zero"), (), lambda _: None)
    assert host.run(("echo", "fine")).text == "fine"


def test_a_command_that_hangs_is_given_up(host: Host) -> None:
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="no answer within 1 s"):
        host.run(("sleep", "60"), timeout=1)
    assert time.monotonic() - started < 20
    assert host.run(("echo", "fine")).text == "fine"


def test_closing_ends_what_still_runs(host: Host) -> None:
    threading.Timer(1, host.close).start()
    started = time.monotonic()
    with suppress(UnreachableError):
        assert host.run(("sleep", "60")).status != 0
    assert time.monotonic() - started < 30


def test_facts_are_gathered(host: Host) -> None:
    facts = gather_facts(host, HostSpec(address="local", root="/aisys/kit-nowhere"))
    assert facts.host == host.name
    assert facts.cores >= 1
    assert facts.memory_bytes > 100 * MIB
    assert facts.free_bytes > 0
    assert facts.architecture
    assert abs(facts.clock_offset) < 2
    assert facts.uid == int(host.run(("id", "-u")).text)
    assert facts.engine_version or facts.engine_error


# Over SSH: who may be trusted, and what happens to a line that goes dead.


@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_facts_of_every_engine(lab: Lab, name: str) -> None:
    host = over_ssh(lab, name)
    facts = gather_facts(host, HostSpec(address="local", root="/aisys/kit"))
    host.close()
    assert facts.engine_version is not None
    assert facts.engine_version.startswith({"old": "20.10", "mid": "26.1", "new": "28.5"}[name])
    assert facts.containerd_store == (name == "new")
    assert facts.compose == (("docker-compose",) if name == "old" else ("docker", "compose"))
    assert (facts.user, facts.root_writable) == ("ops", True)
    assert ("eth0", lab.address(name)) in facts.interfaces
    assert 22 in facts.listening
    assert host.name == name


def known_line(lab: Lab, name: str) -> str:
    """The host's key as `kind base64`."""
    for line in lab.known_hosts.read_text().splitlines():
        if lab.address(name) in line.split()[0]:
            return " ".join(line.split()[1:3])
    raise AssertionError(name)


def refusal(lab: Lab, name: str, **spec: str) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        over_ssh(lab, name, **spec)
    return caught.value


def fingerprint(lab: Lab, name: str) -> str:
    said = lab.exec(name, ("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub | ssh-keygen -lf -"))
    return said.split()[1]


def plain_configuration(lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a configuration without names for hosts and their keys."""
    (folder / "config").write_text(f"Host *\n IdentityFile {lab.key}\n")
    monkeypatch.setenv("KIT_SSH_CONFIG", str(folder / "config"))


@pytest.mark.lab
def test_an_unknown_key_is_refused_and_nothing_is_added(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("")
    monkeypatch.setenv("KIT_KNOWN_HOSTS", str(known))
    plain_configuration(lab, tmp_path, monkeypatch)
    error = refusal(lab, "old")
    kind, key = known_line(lab, "old").split()
    assert "unknown" in error.what
    assert kind in error.what
    assert "SHA256:" in error.what
    assert f"echo '{lab.address('old')} {kind} {key}' >> {known}" in error.fix
    assert known.read_text() == ""


@pytest.mark.lab
def test_the_fingerprint_is_the_one_that_the_host_itself_shows(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIT_KNOWN_HOSTS", str(tmp_path / "none"))
    assert fingerprint(lab, "old") in refusal(lab, "old").what


@pytest.mark.lab
def test_a_changed_key_is_refused_with_both_fingerprints(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"{lab.address('old')} {known_line(lab, 'mid')}\n")
    monkeypatch.setenv("KIT_KNOWN_HOSTS", str(known))
    plain_configuration(lab, tmp_path, monkeypatch)
    error = refusal(lab, "old")
    assert "CHANGED" in error.what
    assert fingerprint(lab, "old") in error.what
    assert fingerprint(lab, "mid") in error.what


@pytest.mark.lab
def test_a_key_in_kit_yaml_decides_alone(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hosts.old.host_key" in refusal(lab, "old", host_key=known_line(lab, "mid")).what
    monkeypatch.setenv("KIT_KNOWN_HOSTS", str(tmp_path / "none"))
    host = over_ssh(lab, "old", host_key=known_line(lab, "old"))
    assert host.run(("echo", "trusted")).text == "trusted"
    host.close()


def put_host_key(lab: Lab, name: str, kind: str) -> str:
    """Give a host another key beside the one it has; return its fingerprint."""
    path = f"/etc/ssh/ssh_host_{kind}_key"
    script = f"test -f {path} || ssh-keygen -q -t {kind} -N '' -f {path}; ssh-keygen -lf {path}.pub"
    shown = lab.exec(name, ("sh", "-c", script)).split()[1]
    lab.put(name, "/etc/ssh/sshd_config.d/another-key.conf", f"HostKey {path}\n".encode())
    lab.exec(name, ("sh", "-c", "pkill -HUP -o sshd; sleep 1"))
    return shown


@pytest.mark.lab
def test_a_fingerprint_in_kit_yaml_decides_alone(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIT_KNOWN_HOSTS", str(tmp_path / "none"))
    host = over_ssh(lab, "old", host_key=fingerprint(lab, "old"))
    assert isinstance(host, FabricRemote)
    assert host.hops[-1].key.line == known_line(lab, "old")
    host.close()
    error = refusal(lab, "old", host_key=fingerprint(lab, "mid"))
    assert "CHANGED" in error.what
    assert "hosts.old.host_key" in error.what
    assert fingerprint(lab, "old") in error.fix


@pytest.mark.lab
def test_a_fingerprint_may_be_of_any_of_a_hosts_keys(lab: Lab) -> None:
    shown = put_host_key(lab, "mid", "rsa")
    host = over_ssh(lab, "mid", host_key=shown)
    assert isinstance(host, FabricRemote)
    assert (host.hops[-1].key.kind, host.hops[-1].key.fingerprint) == ("ssh-rsa", shown)
    host.close()
    assert "CHANGED" in refusal(lab, "mid", host_key=fingerprint(lab, "old")).what


@pytest.mark.lab
def test_a_hashed_known_hosts_file_is_understood(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"{lab.address('old')} {known_line(lab, 'old')}\n")
    assert LocalMachine("here").run(("ssh-keygen", "-q", "-H", "-f", str(known))).status == 0
    assert lab.address("old") not in known.read_text()
    monkeypatch.setenv("KIT_KNOWN_HOSTS", str(known))
    plain_configuration(lab, tmp_path, monkeypatch)
    over_ssh(lab, "old").close()


@pytest.mark.lab
def test_a_gateway_is_judged_like_any_host(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host inner\n HostName {lab.address('mid')}\n User ops\n IdentityFile {lab.key}\n"
        f" ProxyJump root@{lab.address('old')}\n"
        f"Host *\n IdentityFile {lab.key}\n"
    )
    monkeypatch.setenv("KIT_SSH_CONFIG", str(config))
    host = connect("mid", HostSpec(address="inner"), tmp_path)
    assert host.run(("hostname",)).text == "mid"
    assert lab.address("old") in host.run(("sh", "-c", "echo $SSH_CONNECTION")).text.split()[0]
    assert isinstance(host, FabricRemote)
    assert [(hop.address, hop.port, hop.user, hop.key.line) for hop in host.hops] == [
        (lab.address("old"), 22, "root", known_line(lab, "old")),
        (lab.address("mid"), 22, "ops", known_line(lab, "mid")),
    ]
    assert host.hops[-1].key.line == known_line(lab, "mid")
    host.close()
    known = tmp_path / "known_hosts"
    known.write_text(f"{lab.address('mid')} {known_line(lab, 'mid')}\n")
    monkeypatch.setenv("KIT_KNOWN_HOSTS", str(known))
    with pytest.raises(UnreachableError, match="unknown") as caught:
        connect("mid", HostSpec(address="inner"), tmp_path)
    assert lab.address("old") in caught.value.where


@pytest.mark.lab
def test_a_name_and_an_alias_in_the_ssh_configuration_count(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, known = tmp_path / "config", tmp_path / "known_hosts"
    config.write_text(
        f"Host node\n HostName {lab.address('old')}\n HostKeyAlias rack-7\n"
        f" User ops\n IdentityFile {lab.key}\n"
    )
    known.write_text(f"rack-7 {known_line(lab, 'old')}\n")
    monkeypatch.setenv("KIT_SSH_CONFIG", str(config))
    monkeypatch.setenv("KIT_KNOWN_HOSTS", str(known))
    host = connect("gpu1", HostSpec(address="node"), tmp_path)
    assert host.run(("id", "-un")).text == "ops"
    host.close()


@pytest.mark.lab
def test_a_login_that_is_refused_says_so(lab: Lab) -> None:
    error = refusal(lab, "old", user="nobody-of-that-name")
    assert "was refused" in error.what
    assert "it takes publickey" in error.why


@pytest.mark.lab
@pytest.mark.parametrize(("address", "port"), [("{}", 2222), ("no-such-name.invalid", 22)])
def test_a_host_that_does_not_answer_is_named(lab: Lab, address: str, port: int) -> None:
    spec = HostSpec(address=address.format(lab.address("old")), user="ops", port=port)
    with pytest.raises(UnreachableError) as caught:
        connect("gpu9", spec, Path())
    assert "gpu9" in caught.value.where


@pytest.mark.lab
def test_a_host_without_power_is_given_up_after_ten_seconds(lab: Lab) -> None:
    lab.cut("mid")
    started = time.monotonic()
    try:
        error = refusal(lab, "mid")
    finally:
        lab.restore("mid")
    assert "does not answer" in error.what
    assert time.monotonic() - started < 15


@pytest.mark.lab
def test_a_line_that_goes_dead_in_the_middle_is_noticed(lab: Lab) -> None:
    host = over_ssh(lab, "mid")

    def chunks() -> Iterator[bytes]:
        yield b"x" * MIB
        lab.cut("mid")
        while True:
            yield b"x" * MIB

    started = time.monotonic()
    try:
        with pytest.raises(KitError, match="connection was lost"):
            host.stream(("sh", "-c", "cat >/dev/null"), chunks())
        assert time.monotonic() - started < 90
    finally:
        lab.restore("mid")
        host.close()


def _listening(host: Host) -> tuple[int, threading.Thread]:
    """Have something answer once at a port of the host's loopback."""
    ports: list[int] = []
    heard = threading.Event()

    def hear(line: bytes) -> None:
        ports.append(int(line))
        heard.set()

    # Hosts have no Python; Debian's smallest root has Perl.
    script = (
        '$| = 1; $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1) or die; '
        'print $s->sockport, "\\n"; $c = $s->accept; '
        "sysread $c, $b, 99; syswrite $c, uc $b; sysread $c, $b, 1"
    )
    argv = ("perl", "-MIO::Socket::INET", "-e", script)
    thread = threading.Thread(target=host.stream, args=(argv, (), hear), daemon=True)
    thread.start()
    assert heard.wait(10)
    return ports[0], thread


def test_a_port_of_the_hosts_loopback_is_dialled(host: Host) -> None:
    port, thread = _listening(host)
    passage = host.dial("127.0.0.1", port)
    passage.sendall(b"who is there?")
    assert passage.recv(99) == b"WHO IS THERE?"
    passage.close()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(JobError, match=f"nothing answers at port {port}"):
        host.dial("127.0.0.1", port)


def test_what_broke_on_the_way_is_told_apart(host: Host) -> None:
    with pytest.raises(JobError) as refused:
        host.dial("127.0.0.1", 9)
    assert refused.value.exit_code == 8


@pytest.mark.lab
def test_a_port_is_dialled_through_a_gateway(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host inner\n HostName {lab.address('new')}\n User ops\n ProxyJump root@{lab.address('mid')}\n"
        f"Host *\n IdentityFile {lab.key}\n"
    )
    monkeypatch.setenv("KIT_SSH_CONFIG", str(config))
    found = connect("new", HostSpec(address="inner"), tmp_path)
    try:
        assert isinstance(found, FabricRemote)
        assert len(found.hops) == 2
        port, thread = _listening(found)
        passage = found.dial("127.0.0.1", port)
        passage.sendall(b"far away")
        assert passage.recv(99) == b"FAR AWAY"
        passage.close()
        thread.join(10)
    finally:
        found.close()


@pytest.mark.lab
def test_an_sshd_that_lets_nobody_through_is_named_with_the_remedy(lab: Lab) -> None:
    place = "/etc/ssh/sshd_config.d/a-forwarding.conf"
    reread = "pkill -HUP -o sshd; sleep 1"
    lab.exec("old", ("sh", "-c", f"echo 'AllowTcpForwarding no' >{place}; {reread}"))
    try:
        found = over_ssh(lab, "old")
        with pytest.raises(UnfitError, match="lets nobody through") as refused:
            found.dial("127.0.0.1", 22)
        assert "AllowTcpForwarding local" in refused.value.fix
        # The connection itself is none the worse.
        assert found.run(("true",)).status == 0
        found.close()
    finally:
        lab.exec("old", ("sh", "-c", f"rm {place}; {reread}"))
