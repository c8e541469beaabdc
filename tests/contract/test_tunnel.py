"""A tunnel over real sockets of this machine; the way through SSH is in test_hosts.py."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from kit.errors import ConfigError, JobError, UnreachableError
from kit.host.tunnel import HERE, Tunnel

PATIENCE = 10
PAYLOAD = bytes(range(256)) * 40_000


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Yield a port where every connection is answered so."""
    server = socket.create_server((HERE, 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


def echo(connection: socket.socket) -> None:
    """Give everything back once the other side has said all."""
    with connection:
        received = bytearray()
        while data := connection.recv(1 << 16):
            received += data
        connection.sendall(received)


def wait_for_the_end(connection: socket.socket) -> None:
    with connection:
        connection.sendall(b"hello")
        connection.recv(1)


@contextmanager
def tunnel_to(
    dial: Callable[[], socket.socket], **options: int
) -> Iterator[tuple[Tunnel, list[BaseException]]]:
    """Yield a tunnel that is run by a thread, and what `run` failed with."""
    failures: list[BaseException] = []
    tunnel = Tunnel(dial, **options)

    def run() -> None:
        try:
            tunnel.run()
        except BaseException as failure:  # noqa: BLE001 - looked at by the test
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield tunnel, failures
    finally:
        tunnel.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    return socket.create_connection((HERE, port), timeout=PATIENCE)


def read_all(connection: socket.socket) -> bytes:
    received = bytearray()
    while data := connection.recv(1 << 16):
        received += data
    return bytes(received)


def test_bytes_pass_in_both_directions_and_so_does_their_end() -> None:
    with answering(echo) as port, tunnel_to(lambda: connect(port)) as (tunnel, _):
        callers = [connect(tunnel.port) for _ in range(5)]
        for number, caller in enumerate(callers):
            caller.sendall(PAYLOAD[number:])
            caller.shutdown(socket.SHUT_WR)
        for number, caller in enumerate(callers):
            with caller:
                assert read_all(caller) == PAYLOAD[number:]


def test_closing_it_ends_what_is_open() -> None:
    with answering(wait_for_the_end) as port:
        with tunnel_to(lambda: connect(port)) as (tunnel, _):
            caller = connect(tunnel.port)
            assert caller.recv(5) == b"hello"
        with caller, suppress(ConnectionResetError):
            assert caller.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(tunnel.port)
    names = [thread.name for thread in threading.enumerate() if "_serve" in thread.name]
    for thread in threading.enumerate():
        if thread.name in names:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_a_job_that_is_down_for_a_moment_costs_one_connection() -> None:
    down = JobError("nothing answers at port 7860", where="gpu1")
    answers: list[JobError | None] = [down, None]

    with answering(echo) as port:

        def dial() -> socket.socket:
            failure = answers.pop(0)
            if failure is not None:
                raise failure
            return connect(port)

        with tunnel_to(dial) as (tunnel, failures):
            with connect(tunnel.port) as first, suppress(ConnectionResetError):
                assert first.recv(1) == b""
            with connect(tunnel.port) as second:
                second.sendall(b"again")
                second.shutdown(socket.SHUT_WR)
                assert read_all(second) == b"again"
        assert failures == []


def test_a_lost_host_ends_it_with_the_reason() -> None:
    lost = UnreachableError("the connection was lost", where="gpu1")

    def dial() -> socket.socket:
        raise lost

    with tunnel_to(dial) as (tunnel, failures):
        with connect(tunnel.port) as caller, suppress(ConnectionResetError):
            assert caller.recv(1) == b""
        for _ in range(100):
            if failures:
                break
            threading.Event().wait(0.1)
        assert failures == [lost]


def test_only_this_machine_is_listened_to() -> None:
    with closing(Tunnel(lambda: connect(1))) as tunnel, pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", tunnel.port), timeout=PATIENCE)


def test_a_port_that_was_asked_for_is_taken_or_refused() -> None:
    with closing(Tunnel(lambda: connect(1))) as first:
        with pytest.raises(ConfigError, match=f"port {first.port} is taken"):
            Tunnel(lambda: connect(1), first.port)
        with closing(Tunnel(lambda: connect(1), preferred=first.port)) as other:
            assert other.port != first.port
    with closing(Tunnel(lambda: connect(1), preferred=first.port)) as again:
        assert again.port == first.port
