"""A host in memory and a temporary folder: answers the commands that shipping gives, with kit's own agent."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.bundle.manifest import Manifest
from kit.errors import KitError, UnreachableError
from kit.host import gather
from kit.host.agent import error_document
from kit.host.port import Argv, Completed
from kit.ship import have
from kit.ship.agent_order import parse_order
from kit.ship.agent_ship import carry_out
from kit.ship.identity import SeenImage
from tests.unit.host.test_gather import ANSWER
from tests.unit.ship.fake_image_engine import FakeImageEngine


class _ChunkReader(io.RawIOBase):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


@dataclass
class FakeHost:
    """Holds its root in a folder, and its images in a FakeImageEngine."""

    folder: Path
    manifest: Manifest
    name: str = "gpu1"
    engine: FakeImageEngine = field(default_factory=FakeImageEngine)
    facts: dict[str, str] = field(default_factory=dict)
    """Answers that differ from the usual ones."""
    commands: list[Argv] = field(default_factory=list)
    received: int = 0
    """Bytes that came on standard input of kit's image and of the agent."""
    cut_after: int | None = None
    """Bytes of blobs after which the connection is lost."""
    garble_archive: bool = False

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def close(self) -> None:
        pass

    def files(self) -> set[str]:
        """Return the paths of all files under the root, records apart."""
        found = (path for path in self.root.rglob("*") if path.is_file())
        names = {str(path.relative_to(self.root)) for path in found}
        return {
            name
            for name in names
            if not name.startswith("receipts/") and name not in ("lock", "partial/verified.jsonl")
        }

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        del timeout
        return self.stream(argv, (stdin,))

    def receive(self, argv: Argv, sink: Callable[[bytes], None], *, stdin: bytes = b"") -> Completed:
        raise AssertionError((argv, sink, stdin))

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        self.commands.append(argv)
        answer = self._answer(argv, iter(chunks))
        if on_line is None:
            return answer
        for line in answer.stdout.splitlines():
            on_line(line)
        return Completed(answer.status, b"", answer.stderr)

    def _answer(self, argv: Argv, chunks: Iterator[bytes]) -> Completed:  # noqa: PLR0911
        if argv[:2] == ("sh", "-s"):
            return self._script(b"".join(chunks).decode())
        if argv[:2] == ("sh", "-c") and "sha256sum" in argv[2]:
            return self._take(Path(argv[-1]), chunks)
        if argv[:2] == ("sh", "-c"):
            (self.root / "partial").mkdir(parents=True, exist_ok=True)
            return Completed(0, b"", b"")
        if argv[0] == "rm":
            Path(argv[-1]).unlink(missing_ok=True)
            return Completed(0, b"", b"")
        if argv[:2] == ("docker", "load"):
            return self._load(Path(argv[-1]))
        if argv[:3] == ("docker", "image", "inspect"):
            return self._inspect(argv[-1])
        assert argv[:2] == ("docker", "run"), argv
        return self._agent(argv, chunks)

    def _script(self, script: str) -> Completed:
        if script == gather.SCRIPT:
            changes = {"image": "", "store": "", "engine_device": "", **self.facts}
            kept = [
                line for line in ANSWER.splitlines() if line.removeprefix("kit:").split(" ")[0] not in changes
            ]
            lines = kept[:-1] + [f"kit:{key} {value}" for key, value in changes.items() if value] + kept[-1:]
            return Completed(0, "\n".join(lines).encode(), b"")
        assert script == have.SCRIPT
        lines = [f"kit:{kind} {path.stat().st_size} ./{path.name}" for kind, path in self._blobs()]
        lines += [_image_line(image) for image in self.engine.images.values()]
        return Completed(0, "\n".join([*lines, "kit:end\n"]).encode(), b"")

    def _blobs(self) -> Iterator[tuple[str, Path]]:
        for kind, folder in (("blob", "blobs/sha256"), ("partial", "partial")):
            for path in sorted((self.root / folder).glob("*")):
                yield kind, path

    def _take(self, path: Path, chunks: Iterator[bytes]) -> Completed:
        data = b"".join(chunks)
        self.received += len(data)
        if self.garble_archive:
            data = data[:-1] + b"!"
        path.write_bytes(data)
        return Completed(0, f"{hashlib.sha256(data).hexdigest()}  {path}\n".encode(), b"")

    def _load(self, path: Path) -> Completed:
        with tarfile.open(path) as tar:
            (entry,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        for image in self.manifest.images:
            if entry["RepoTags"] == [image.identity_tag]:
                self.engine.bear(image)
        return Completed(0, b"", b"")

    def _inspect(self, tag: str) -> Completed:
        found = self.engine.inspect(tag)
        return (
            Completed(0, _image_line(found).encode(), b"") if found else Completed(1, b"", b"No such image")
        )

    def _agent(self, argv: Argv, chunks: Iterator[bytes]) -> Completed:
        stdin = io.BufferedReader(_ChunkReader(self._counted(chunks)))
        request = json.loads(stdin.readline()) | {"root": str(self.root)}
        assert argv[-4:] == ("agent", "ship", "--root", str(self.root))
        events: list[dict[str, Any]] = []
        try:
            result: dict[str, Any] = {
                "result": carry_out(parse_order(request), self.engine, stdin, events.append)
            }
        except UnreachableError:
            raise
        except KitError as error:
            result = {"error": error_document(error)}
        return Completed(0, "\n".join(json.dumps(line) for line in [*events, result]).encode(), b"")

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        yield next(chunks)
        came = 0
        for chunk in chunks:
            came += len(chunk)
            self.received += len(chunk)
            yield chunk
            if self.cut_after is not None and came >= self.cut_after:
                raise UnreachableError("the connection was lost", where=self.name)


def _image_line(image: SeenImage) -> str:
    tags, layers = (json.dumps(values, separators=(",", ":")) for values in (image.tags, image.layers))
    return f"kit:image {image.id} {tags} {layers}"
