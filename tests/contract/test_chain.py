"""Chains of real relays over loopback: what arrives, what the sender gives, and who is believed."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest

from kit.ship.chain.certificates import Authority, Credentials
from kit.ship.chain.relay_give import reach
from kit.ship.chain.tls import LinkLostError, TlsLink, contexts
from kit.ship.chain.wire import frame_message, hello, read_kind
from tests.contract.chain_stand import Content, Stand, StandHost

HOSTS = ("a", "b", "c", "d")


def content(*frames: int) -> Content:
    made = Content()
    for seed, count in enumerate(frames):
        made.add(seed, count)
    return made


def wait_for(host: StandHost, frames: int) -> None:
    deadline = time.monotonic() + 20
    while sum(map(len, host.intake.frames.values())) < frames and time.monotonic() < deadline:
        time.sleep(0.002)


def test_the_sender_gives_each_byte_once_to_four_hosts() -> None:
    with Stand(content(300, 1, 40), HOSTS) as stand:
        for name in HOSTS:
            stand.add(name)
        stand.run()
        stand.wait()
        assert stand.fed < 1.05 * stand.content.size
        assert not stand.notes


def test_hosts_with_different_needs_get_each_byte_from_the_sender_at_most_once() -> None:
    made = content(100, 100, 60, 30)
    x, y, z, w = made.blobs
    with Stand(made, HOSTS) as stand:
        stand.add("a", (x, y), {x: ((0, 50),)})
        stand.add("b", (x, z), {x: ((30, 100),), z: ((0, 60),)})
        stand.add("c", (x, y, w))
        stand.add("d", (y, z, w), {y: ((0, 100),)})
        stand.run()
        stand.wait()
        # All of y and z stand on a host already; of x the sender must give what the first one lacks.
        most = max(made.blobs[x].blob.size, 0) + made.blobs[w].blob.size
        assert stand.fed <= 1.05 * most
        for host in stand.hosts.values():
            for digest, frames in host.intake.frames.items():
                assert frames == dict(enumerate(made.pieces[digest]))


def test_a_host_that_holds_everything_gives_it_without_the_sender() -> None:
    made = content(50)
    digest = next(iter(made.blobs))
    with Stand(made, ("a", "b")) as stand:
        stand.add("a", has={digest: ((0, 50),)}).join()
        stand.add("b").start()
        stand.wait()
        assert stand.fed == 0


@pytest.mark.parametrize("victim", [0, 1, 3])
def test_a_host_that_dies_on_the_way_is_passed_by(victim: int) -> None:
    with Stand(content(400), HOSTS, pause=0.003) as stand:
        for name in HOSTS:
            stand.add(name).join()
        host = stand.hosts[HOSTS[victim]]
        wait_for(host, 100)
        host.die()
        time.sleep(0.3)
        host.lost()
        stand.wait(host.name)
        assert stand.fed < 1.6 * stand.content.size


def test_hosts_that_cannot_reach_each_other_are_fed_by_the_sender() -> None:
    with Stand(content(60), HOSTS) as stand:
        for place, name in enumerate(HOSTS):
            # They listen where nobody connects to: a connection is refused.
            stand.add(name, listens_at=f"127.0.0.{10 + place}")
        stand.run()
        stand.wait()
        assert stand.fed == pytest.approx(4 * stand.content.size, rel=0.1)
        assert any("this machine" in note and "cannot be reached" in note for note in stand.notes)


def test_a_host_that_cannot_listen_still_gives() -> None:
    with Stand(content(60), ("a", "b")) as stand:
        stand.add("a", listens_at="192.0.2.1").join()
        stand.add("b").start()
        stand.wait()
        assert stand.fed < 1.2 * stand.content.size


def test_a_host_that_joins_late_gets_it_from_the_others() -> None:
    with Stand(content(60), ("a", "b")) as stand:
        first = stand.add("a")
        first.start()
        assert first.intake.wait_until_whole()
        assert not first.released.wait(0.3)
        stand.add("b").start()
        stand.wait()
        assert stand.hosts["b"].fed == 0


def test_wrong_bytes_are_taken_from_nobody_and_asked_of_another() -> None:
    made = content(40)
    digest = next(iter(made.blobs))
    with Stand(made, ("a", "b")) as stand:
        liar = stand.add("a", has={digest: ((0, 40),)})
        liar.intake.frames[digest] = dict.fromkeys(range(40), b"")
        for number in range(40):
            liar.intake.frames[digest][number] = bytes(len(made.pieces[digest][number]))
        liar.join()
        honest = stand.add("b")
        honest.start()
        stand.wait("a")
        assert honest.intake.frames[digest] == dict(enumerate(made.pieces[digest]))
        assert [event["why"] for event in honest.events if event["event"] == "predecessor_lost"] == [
            "it gave wrong bytes 8 times"
        ]
        assert len(stand.notes) == 1


@pytest.fixture
def authority() -> Authority:
    return Authority((time.time(),))


def _joined(stand: Stand, authority: Authority) -> int:
    """Have a host listen without a sender; return its port."""
    host = stand.add("b")
    told = {"b": authority.issue("b")}["b"]
    host.relay.join({"do": "join", "addresses": ["127.0.0.1"], **told.document()})
    return int(next(event for event in host.events if event["event"] == "listening")["port"])


def _believes(credentials: Credentials, port: int, stand: Stand) -> bool:
    """Connect as a giver; tell whether the host asks for something."""
    stand.hosts["b"].relay.set_sources({"hosts": {"a": list(stand.content.blobs)}})
    try:
        link = reach("b", ("127.0.0.1",), port, contexts(credentials).client)
        link.write(hello())
        return read_kind(link)[0] == b"w"
    except LinkLostError:
        return False


def test_only_the_very_host_that_was_told_of_is_believed(authority: Authority) -> None:
    with Stand(content(3), ()) as stand:
        port = _joined(stand, authority)
        assert _believes(authority.issue("a"), port, stand)
        assert not _believes(authority.issue("c"), port, stand)
        assert not _believes(Authority((time.time(),)).issue("a"), port, stand)


def test_a_host_that_is_another_than_expected_gets_nothing(authority: Authority) -> None:
    with Stand(content(3), ()) as stand:
        port = _joined(stand, authority)
        with pytest.raises(LinkLostError, match="cannot be reached"):
            reach("c", ("127.0.0.1",), port, contexts(authority.issue("a")).client)


def test_nothing_but_tls_13_with_a_certificate_is_spoken_to(authority: Authority) -> None:
    with Stand(content(3), ()) as stand:
        port = _joined(stand, authority)
        bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
        old = contexts(authority.issue("a")).client
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        for context in (bare, old):
            assert _first_byte(context, port) == b""
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
            raw.settimeout(10)
            while raw.recv(1000):
                pass
        assert _believes(authority.issue("a"), port, stand)


def _first_byte(context: ssl.SSLContext, port: int) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port)) as raw:
            return context.wrap_socket(raw).recv(1)
    except OSError:
        return b""


@pytest.mark.parametrize("attack", ["endless frame", "unasked blob", "garbage", "second hello"])
def test_a_hostile_giver_harms_nothing(authority: Authority, attack: str) -> None:
    made = content(3)
    digest = next(iter(made.blobs))
    other = Content()
    said = {
        "endless frame": frame_message(digest, 0, 1 << 31)[:45],
        "unasked blob": frame_message(other.add(99, 1), 0, 1000),
        "garbage": b"\xff" * 1000,
        "second hello": hello(),
    }[attack]
    with Stand(made, ()) as stand:
        port = _joined(stand, authority)
        stand.hosts["b"].relay.set_sources({"hosts": {"a": [digest]}})
        link = reach("b", ("127.0.0.1",), port, contexts(authority.issue("a")).client)
        link.write(hello() + said)
        with pytest.raises(LinkLostError):
            link.read(1 << 20)
        assert not stand.hosts["b"].intake.frames[digest]
        assert _believes(authority.issue("a"), port, stand)


def test_two_threads_read_and_write_at_once(authority: Authority) -> None:
    left, right = socket.socketpair()
    shaken: list[TlsLink] = []
    server = contexts(authority.issue("b")).server
    answering = threading.Thread(target=lambda: shaken.append(TlsLink(right, server, None)))
    answering.start()
    client = TlsLink(left, contexts(authority.issue("a")).client, "b")
    answering.join()
    data = bytes(range(256)) * 40_000
    got: dict[str, bytes] = {}

    def read(name: str, link: TlsLink) -> None:
        got[name] = link.read(len(data))

    threads = [
        threading.Thread(target=work)
        for work in (
            lambda: client.write(data),
            lambda: shaken[0].write(data),
            lambda: read("client", client),
            lambda: read("server", shaken[0]),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert got == {"client": data, "server": data}
    client.close()
    with pytest.raises(LinkLostError):
        shaken[0].read(1)
