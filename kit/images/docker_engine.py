"""What kit asks of a Docker engine to build images, and the docker command as its adapter.

The engine may be anywhere that `DOCKER_HOST` or the current context points to, and the builder the
classic one or BuildKit (`DOCKER_BUILDKIT`): everything travels in the context.
"""

from __future__ import annotations

import os
import subprocess
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO, TYPE_CHECKING, Protocol

from kit.errors import EngineError, TransferError
from kit.images.context import MTIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

_CHUNK_BYTES = 1 << 20
_LAST_LINES = 30


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """A `docker build` whose context comes as a stream."""

    dockerfile: str
    """Its path in the context."""
    tag: str
    args: tuple[tuple[str, str], ...] = ()


class Engine(Protocol):
    """Makes and finds images. Every method raises EngineError when the engine refuses or fails."""

    def find_image(self, label: str, value: str) -> str | None:
        """Return the ID of an image that bears the label, if the engine has one."""

    def build(
        self, request: BuildRequest, context: Callable[[IO[bytes]], None], on_line: Callable[[str], None]
    ) -> str:
        """Build without a network and return the image's ID. `context` writes the tar into a stream."""

    def import_root(self, chunks: Iterable[bytes], tag: str, changes: tuple[str, ...]) -> str:
        """Make an image of one layer out of a root file system's tar and return its ID."""

    def exported(self, tag: str) -> AbstractContextManager[IO[bytes]]:
        """Give the tar of an image's file system, all layers in one."""

    def pull(self, reference: str, tag: str) -> str:
        """Pull an image by digest, give it a tag, and return its ID. Raises TransferError."""


class DockerCommand:
    """The engine that the `docker` command reaches."""

    def find_image(self, label: str, value: str) -> str | None:
        """Return the ID of an image that bears the label, if the engine has one."""
        listing = self._run("image", "ls", "--no-trunc", "--quiet", "--filter", f"label={label}={value}")
        # The newest comes first. An image that somebody built FROM this one bears its labels, but is younger.
        return listing.rstrip("\n").rpartition("\n")[2] or None

    def build(
        self, request: BuildRequest, context: Callable[[IO[bytes]], None], on_line: Callable[[str], None]
    ) -> str:
        """Build without a network and return the image's ID."""
        with TemporaryDirectory(prefix="kit-build-") as folder:
            written = Path(folder) / "image-id"
            argv = ["build", "--network=none", "--force-rm", f"--iidfile={written}"]
            argv += [f"--file={request.dockerfile}", f"--tag={request.tag}"]
            # BuildKit writes this day into the image; the classic builder warns that nobody asked for it.
            argv += [f"--build-arg=SOURCE_DATE_EPOCH={MTIME}"]
            argv += [f"--build-arg={name}={value}" for name, value in request.args]
            self._feed((*argv, "-"), context, on_line)
            return written.read_text(encoding="ascii").strip()

    def import_root(self, chunks: Iterable[bytes], tag: str, changes: tuple[str, ...]) -> str:
        """Make an image of one layer out of a root file system's tar and return its ID."""

        def write(sink: IO[bytes]) -> None:
            for chunk in chunks:
                sink.write(chunk)

        argv = ("import", *(word for change in changes for word in ("--change", change)), "-", tag)
        return self._feed(argv, write, lambda _: None)

    @contextmanager
    def exported(self, tag: str) -> Iterator[IO[bytes]]:
        """Give the tar of an image's file system, all layers in one; its container never runs."""
        container = self._run("create", tag)
        try:
            argv = ("export", container)
            with subprocess.Popen(("docker", *argv), stdout=subprocess.PIPE) as process:
                assert process.stdout is not None  # noqa: S101
                yield process.stdout
                while process.stdout.read(_CHUNK_BYTES):  # what may follow the end of the tar
                    pass
            if process.returncode:
                raise _failed(argv, ())
        finally:
            self._run("rm", container)

    def pull(self, reference: str, tag: str) -> str:
        """Pull an image by digest, give it a tag, and return its ID. Raises TransferError."""
        try:
            self._run("pull", "--quiet", reference)
        except EngineError as error:
            raise TransferError(
                "the engine cannot pull it",
                where=reference,
                why=error.why,
                fix="set mirrors.registry in kit.yaml to a registry within reach",
            ) from error
        self._run("tag", reference, tag)
        return self._run("image", "inspect", "--format={{.Id}}", tag)

    def _run(self, *argv: str) -> str:
        try:
            done = subprocess.run(("docker", *argv), capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise _no_docker() from error
        if done.returncode:
            raise _failed(argv, done.stderr.splitlines())
        return done.stdout.strip()

    def _feed(
        self, argv: tuple[str, ...], write: Callable[[IO[bytes]], None], on_line: Callable[[str], None]
    ) -> str:
        try:
            process = subprocess.Popen(
                ("docker", *argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Attestations tell when and where an image was built, and make a list of it.
                env={**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"},
            )
        except FileNotFoundError as error:
            raise _no_docker() from error
        failures: list[BaseException] = []
        assert process.stdout is not None  # noqa: S101
        feeder = Thread(target=_write_all, args=(write, process, failures), daemon=True)
        feeder.start()
        last: deque[str] = deque(maxlen=_LAST_LINES)
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            last.append(line)
            on_line(line)
        status = process.wait()
        feeder.join()
        real = [failure for failure in failures if not isinstance(failure, BrokenPipeError)]
        if real:
            raise real[0]
        if status:
            raise _failed(argv, last)
        return last[-1] if last else ""


def _write_all(
    write: Callable[[IO[bytes]], None], process: subprocess.Popen[bytes], failures: list[BaseException]
) -> None:
    assert process.stdin is not None  # noqa: S101
    try:
        with process.stdin as sink:
            try:
                write(sink)
            except BaseException as error:
                failures.append(error)
                if not isinstance(error, BrokenPipeError):
                    # Before its input ends: what came so far must not pass for the whole.
                    process.kill()
                    process.wait()
                raise
    except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
        failures.append(error)


def _no_docker() -> EngineError:
    return EngineError(
        "there is no docker command here",
        where="this machine",
        fix="install Docker (apt-get install docker.io), or run kit bundle on a machine that has it",
    )


def _failed(argv: tuple[str, ...], lines: Iterable[str]) -> EngineError:
    return EngineError(
        f"docker {argv[0]} failed",
        where="docker",
        why="\n" + "\n".join(line for line in lines if line.strip()),
        fix="docker info tells whether the engine works; then run the same command again",
    )
