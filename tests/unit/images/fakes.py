"""In-memory stand-ins for the ports of kit.images; each records what it was asked."""

from __future__ import annotations

import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

from kit.errors import ConfigError, EngineError, TransferError
from kit.images.registry_client import ResolvedImage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kit.images.docker_engine import BuildRequest
    from kit.images.stacks import Debootstrap
    from kit.images.uv_command import UvCommand

DIGEST = "sha256:" + "ab" * 32
NOTHING = bytes(1024)
"""A tar without members."""


@dataclass
class FakeEngine:
    """An engine that knows images by label and remembers builds."""

    labels: dict[tuple[str, str], str] = field(default_factory=dict)
    builds: list[tuple[BuildRequest, tuple[str, ...]]] = field(default_factory=list)
    imported: list[tuple[bytes, str, tuple[str, ...]]] = field(default_factory=list)
    pulled: list[tuple[str, str]] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    bases: list[tuple[BuildRequest, bytes]] = field(default_factory=list)
    """Builds of roots in two layers, each with its context."""
    holds: bytes = NOTHING
    """The tar of every image's file system."""
    broken: bool = False

    def find_image(self, label: str, value: str) -> str | None:
        return self.labels.get((label, value))

    def build(
        self,
        request: BuildRequest,
        context: Callable[[IO[bytes]], None],
        on_line: Callable[[str], None],
    ) -> str:
        if self.broken:
            raise EngineError("docker build failed")
        sink = BytesIO()
        context(sink)
        if "INPUTS" not in dict(request.args):
            self.bases.append((request, sink.getvalue()))
            return "sha256:base"
        with tarfile.open(fileobj=BytesIO(sink.getvalue())) as tar:
            self.builds.append((request, tuple(tar.getnames())))
        on_line("Step 1/1 : FROM x")
        image_id = f"sha256:{len(self.builds):064d}"
        self.labels["kit.inputs", dict(request.args)["INPUTS"]] = image_id
        return image_id

    def import_root(self, chunks: Iterable[bytes], tag: str, changes: tuple[str, ...]) -> str:
        self.imported.append((b"".join(chunks), tag, changes))
        return "sha256:root"

    @contextmanager
    def exported(self, tag: str) -> Iterator[IO[bytes]]:
        self.exports.append(tag)
        yield BytesIO(self.holds)

    def pull(self, reference: str, tag: str) -> str:
        self.pulled.append((reference, tag))
        return "sha256:pulled"


@dataclass
class FakeRegistry:
    """Registries that know digests by reference; others do not answer."""

    digests: dict[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    def resolve(self, reference: str) -> ResolvedImage:
        self.asked.append(reference)
        if reference in self.refused:
            raise ConfigError("the registry has no such image", where=reference)
        if reference not in self.digests:
            raise TransferError("does not answer", where=reference, why="no such host")
        return ResolvedImage(self.digests[reference], "linux/amd64", None)


@dataclass
class FakeInstaller:
    """uv without a network: prints `printed`, installs `files` into the target."""

    printed: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    wheels: tuple[str, ...] = ()
    out_of_reach: bool = False
    commands: list[UvCommand] = field(default_factory=list)
    requirements: list[str] = field(default_factory=list)
    preferred: list[str] = field(default_factory=list)
    """What stood in the files that locks were written to."""
    failure: TransferError | None = None

    def run(self, command: UvCommand) -> str:
        self.commands.append(command)
        if self.failure is not None:
            raise self.failure
        if self.out_of_reach:
            raise TransferError("packages cannot be had")
        self.requirements.append(Path(command.argv[-1]).read_text(encoding="utf-8"))
        if "--target" in command.argv:
            target = Path(command.argv[command.argv.index("--target") + 1])
            for name, data in self.files.items():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_bytes(data)
        if "--output-file" in command.argv:
            written = Path(command.argv[command.argv.index("--output-file") + 1])
            self.preferred.append(written.read_text(encoding="utf-8"))
            written.write_text(self.printed, encoding="utf-8")
            return ""
        return self.printed

    def wheel_files(self) -> tuple[str, ...]:
        return self.wheels


@dataclass
class FakeArchives:
    """Mirrors of Debian that know one state; without it they do not answer."""

    state: str | None = "sha256:" + "de" * 32
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def release(self, suite: str, mirror: str | None) -> str:
        self.asked.append((suite, mirror))
        if self.state is None:
            raise TransferError("does not answer", where="deb.debian.org", why="no such host")
        return self.state


@dataclass
class FakeRoots:
    """Makes a root of one chunk."""

    root: bytes = NOTHING
    made: list[tuple[Debootstrap, str | None]] = field(default_factory=list)

    def make(self, spec: Debootstrap, apt_mirror: str | None) -> Iterator[bytes]:
        self.made.append((spec, apt_mirror))
        yield self.root
