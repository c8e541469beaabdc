"""Hosts, engines and kit's agent in memory; files on a scratch folder."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.errors import KitError, UnreachableError
from kit.host.port import Argv, Completed
from kit.run.agent_work import FED, WORK
from kit.run.container import ContainerState
from tests.unit.host.deaf_host import DeafHost


def running() -> ContainerState:
    return ContainerState(
        "running", running=True, exit_code=None, out_of_memory=False, finished=None, error=""
    )


def exited(code: int = 0, *, at: float = 1000.0, out_of_memory: bool = False) -> ContainerState:
    return ContainerState(
        "exited", running=False, exit_code=code, out_of_memory=out_of_memory, finished=at, error=""
    )


@dataclass
class FakeEngine:
    """Containers by name, and what they wrote."""

    containers: dict[str, ContainerState] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)

    def state(self, container: str) -> ContainerState | None:
        return self.containers.get(container)

    def logs(self, container: str, tail: int) -> Iterator[bytes]:
        lines = self.written.get(container, "").splitlines(keepends=True)[-tail:]
        yield "".join(lines).encode()


@dataclass
class FakeHost(DeafHost):
    """A host whose commands are understood just so far as kit gives them."""

    name: str
    root: Path
    engine: FakeEngine = field(default_factory=FakeEngine)
    ran: list[Argv] = field(default_factory=list)
    on_up: Callable[[FakeHost, str, Path], None] | None = None
    """What a container does once it was started: (host, container, run folder)."""
    compose_fails: str = ""
    lost: bool = False
    closed: bool = False
    dialled: list[tuple[str, int]] = field(default_factory=list)
    joined: list[Argv] = field(default_factory=list)
    undialled: KitError | None = None
    """What connecting to a port fails with."""
    on_look: Callable[[FakeHost], None] | None = None

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        del stdin, timeout
        if self.lost:
            raise UnreachableError("the connection is lost", where=self.name)
        self.ran.append(argv)
        if argv[0] == "mkdir":
            for path in argv[argv.index("--") + 1 :]:
                Path(path).mkdir(parents=True, exist_ok=True)
            return done()
        if argv[0] == "sh" and "logs" in argv:
            return done(self.engine.written.get(argv[-1], "").encode())
        return self._answer(argv)

    def _answer(self, argv: Argv) -> Completed:
        if argv[:3] == ("docker", "container", "inspect"):
            return self._inspect(argv[-1])
        if "-p" in argv:
            return self._compose(argv)
        if argv[:2] == ("docker", "stop"):
            return self._stop(argv[-1])
        if argv[:2] == ("docker", "rm"):
            self.engine.containers.pop(argv[-1], None)
            return done()
        if argv[0] in ("cat", "tail"):
            return self._file(argv)
        return Completed(127, b"", b"not found")

    def _inspect(self, container: str) -> Completed:
        if self.on_look:
            self.on_look(self)
        state = self.engine.state(container)
        if state is None:
            return Completed(1, b"", b"No such container")
        document = {"Status": state.status, "Running": state.running, "ExitCode": state.exit_code or 0}
        document |= {"OOMKilled": state.out_of_memory, "FinishedAt": "2026-01-01T00:00:00Z"}
        return done(json.dumps(document).encode())

    def _compose(self, argv: Argv) -> Completed:
        container = argv[argv.index("-p") + 1]
        if "down" in argv:
            self.engine.containers.pop(container, None)
            return done()
        if self.compose_fails:
            return Completed(1, b"", self.compose_fails.encode())
        self.engine.containers[container] = running()
        if self.on_up:
            self.on_up(self, container, Path(argv[argv.index("-f") + 1]).parent)
        return done()

    def _stop(self, container: str) -> Completed:
        state = self.engine.state(container)
        if state is not None and state.running:
            self.engine.containers[container] = exited(143)
        return done()

    def _file(self, argv: Argv) -> Completed:
        path = Path(argv[-1])
        if not path.is_file():
            return Completed(1, b"", b"No such file")
        data = path.read_bytes()
        if argv[1] == "-c":
            return done(data[int(argv[2]) - 1 :])
        return done(data if argv[0] == "cat" else data.splitlines(keepends=True)[-1])

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        del chunks
        self.ran.append(argv)
        text = self.engine.written.get(argv[-1], "") if "logs" in argv else self._answer(argv).text
        for line in text.splitlines():
            assert on_line is not None
            on_line(line.encode())
        return done()

    def receive(self, argv: Argv, sink: Callable[[bytes], None], *, stdin: bytes = b"") -> Completed:
        del stdin
        found = self.run(argv)
        for start in range(0, len(found.stdout), 7):
            sink(found.stdout[start : start + 7])
        return Completed(found.status, b"", found.stderr)

    def dial(self, address: str, port: int) -> socket.socket:
        self.dialled.append((address, port))
        if self.undialled is not None:
            raise self.undialled
        near, _ = socket.socketpair()
        return near

    def join(self, argv: Argv) -> int:
        self.joined.append(argv)
        return 0

    def close(self) -> None:
        self.closed = True

    def started(self) -> list[str]:
        """Return the containers that compose was asked to start."""
        return [argv[argv.index("-p") + 1] for argv in self.ran if "up" in argv]


def done(stdout: bytes = b"") -> Completed:
    return Completed(0, stdout, b"")


@dataclass
class FakeAgent:
    """Does the verbs in this process, with the host's fake engine; `answers` stand in for some."""

    host: FakeHost
    answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    called: list[str] = field(default_factory=list)

    def call(
        self,
        verb: str,
        request: dict[str, Any],
        on_event: Callable[[dict[str, Any]], None] | None = None,
        chunks: Iterable[bytes] = (),
    ) -> dict[str, Any]:
        self.called.append(verb)
        request = json.loads(json.dumps(request))
        if verb in self.answers:
            return self.answers[verb](request)
        if verb in FED:
            return FED[verb](request, io.BytesIO(b"".join(chunks)))
        result = WORK[verb](request, self.host.engine, on_event or _ignore)
        answer: dict[str, Any] = json.loads(json.dumps(result))
        return answer


def _ignore(event: dict[str, Any]) -> None:
    assert "event" in event


@dataclass
class FakeClock:
    """Time that passes only by sleeping."""

    now: float = 1_760_000_000.0
    on_sleep: Callable[[], None] | None = None

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.now += seconds
        if self.on_sleep:
            self.on_sleep()


class Notes:
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.reports: list[str] = []
        self.notes: list[str] = []
        self.finished: list[str] = []

    def start(self, task: str, total: int | None = None) -> None:
        del task, total

    def advance(self, task: str, amount: int) -> None:
        del task, amount

    def report(self, task: str, text: str, fraction: float | None = None) -> None:
        del task, fraction
        self.reports.append(text)

    def finish(self, task: str) -> None:
        self.finished.append(task)

    def note(self, text: str) -> None:
        self.notes.append(text)
