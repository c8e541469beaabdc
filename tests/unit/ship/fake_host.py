"""A host in memory and a temporary folder: answers the commands that shipping gives, with kit's own agent."""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.bundle.manifest import Manifest
from kit.errors import KitError, UnreachableError
from kit.host import facts_script
from kit.host.agent import error_document
from kit.host.port import Argv, Completed, ignore
from kit.ship import have
from kit.ship.agent.order import Order
from kit.ship.agent.sender_feed import SenderFeed
from kit.ship.agent.ship import carry_out
from kit.ship.agent.trust import trusted_order
from kit.ship.engine.identity import SeenImage
from kit.ship.kit_image import DIGEST
from kit.ship.lanes.script import lane_argv
from tests.unit.host.deaf_host import DeafHost
from tests.unit.host.test_gather import ANSWER
from tests.unit.ship.fake_image_engine import FakeImageEngine


@dataclass
class FakeHost(DeafHost):
    """Holds its root in a folder, and its images in a FakeImageEngine."""

    folder: Path
    manifest: Manifest
    name: str = "gpu1"
    engine: FakeImageEngine = field(default_factory=FakeImageEngine)
    facts: dict[str, str] = field(default_factory=dict)
    """Answers that differ from the usual ones."""
    commands: list[Argv] = field(default_factory=list)
    blob_bytes: int = 0
    """Bytes of blobs that came over lanes."""
    received: int = 0
    """Bytes that came on standard input of kit's image and of the agent."""
    cut_after: int | None = None
    """Bytes of blobs after which the connection is lost."""
    lost: bool = False
    garble_archive: bool = False

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def files(self) -> set[str]:
        """Return the paths of all files under the root, records apart."""
        found = (path for path in self.root.rglob("*") if path.is_file())
        names = {str(path.relative_to(self.root)) for path in found}
        return {
            name
            for name in names
            if not name.startswith("receipts") and name not in ("lock", "partial/verified.jsonl")
        }

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        del timeout
        return self.stream(argv, (stdin,))

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        self.commands.append(argv)
        if argv[:2] == ("docker", "run"):
            assert on_line is not None
            return self._agent(argv, chunks, on_line)
        answer = self._answer(argv, iter(chunks))
        if on_line is None:
            return answer
        for line in answer.stdout.splitlines():
            on_line(line)
        return Completed(answer.status, b"", answer.stderr)

    def _answer(self, argv: Argv, chunks: Iterator[bytes]) -> Completed:
        if argv[:2] == ("sh", "-s"):
            return self._script(b"".join(chunks).decode())
        if "sha256sum" in "".join(argv[:3]):
            return self._digests_of(argv)
        if argv[:2] == ("sh", "-c"):
            (self.root / "partial").mkdir(parents=True, exist_ok=True)
            return Completed(0, b"", b"")
        if argv[0] == "rm":
            Path(argv[-1]).unlink(missing_ok=True)
            return Completed(0, b"", b"")
        if argv[:2] == ("docker", "load"):
            return self._load(Path(argv[-1]))
        assert argv[:3] == ("docker", "image", "inspect"), argv
        return self._inspect(argv[-1])

    def _script(self, script: str) -> Completed:
        *facts, end = self._facts() if facts_script.MACHINE in script else ["kit:end 1"]
        lists = list(self._lists()) if have.LISTS in script else []
        lists += self._indexes() if have.INDEXES in script else []
        return Completed(0, "\n".join([*facts, *lists, end, ""]).encode(), b"")

    def _facts(self) -> list[str]:
        changes = {"image": "", "store": "", "engine_device": "", **self.facts}
        kept = [
            line for line in ANSWER.splitlines() if line.removeprefix("kit:").split(" ")[0] not in changes
        ]
        return [*kept[:-1], *(f"kit:{key} {value}" for key, value in changes.items() if value), kept[-1]]

    def _lists(self) -> Iterator[str]:
        for kind, path in self._blobs():
            status = path.stat()
            yield f"kit:{kind} {status.st_size} {status.st_blocks} 512 ./{path.name}"
        if (self.root / have.POLICY).exists():
            yield "kit:policy 1"
        yield from (_image_line(image) for image in self.engine.images.values())

    def _indexes(self) -> list[str]:
        found = sorted((self.root / "frames").glob("*"))
        return [f"kit:frames {path.name} {base64.b64encode(path.read_bytes()).decode()}" for path in found]

    def _blobs(self) -> Iterator[tuple[str, Path]]:
        for kind, folder in (("blob", "blobs/sha256"), ("partial", "partial")):
            for path in sorted((self.root / folder).glob("*")):
                yield kind, path

    def _digests_of(self, argv: Argv) -> Completed:
        if argv[2] != DIGEST:
            return self._pieces_of(Path(argv[4]), int(argv[5]))
        return self._digest_of(Path(argv[-1]))

    def _pieces_of(self, path: Path, size: int) -> Completed:
        data = path.read_bytes() if path.exists() else b""
        found = [hashlib.sha256(data[at : at + size]).hexdigest() for at in range(0, len(data), size)]
        return Completed(0, "\n".join(found).encode(), b"")

    def _digest_of(self, path: Path) -> Completed:
        if not path.exists():
            return Completed(1, b"", b"No such file or directory")
        data = path.read_bytes()
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

    def round_trip(self) -> float:
        """Return 0."""
        return 0.0

    def open_lane(self, argv: Argv, *, aes: bool = False, note: Callable[[str], None] = ignore) -> FakeLane:
        """Return what takes in records as the shell on a host does."""
        del aes, note
        assert argv == lane_argv(str(self.root))
        return FakeLane(self)

    def _agent(self, argv: Argv, chunks: Iterable[bytes], on_line: Callable[[bytes], None]) -> Completed:
        assert argv[-4:] == ("agent", "ship", "--root", str(self.root))
        lines = iter(chunks)
        request = json.loads(next(lines)) | {"root": str(self.root)}

        def emit(document: dict[str, Any]) -> None:
            on_line(json.dumps(document).encode())

        try:
            order = trusted_order(request, self.root)
            emit({"result": self.carry_out(order, emit, FakeInput(lines))})
        except KitError as error:
            if self.lost:
                raise UnreachableError("the connection was lost", where=self.name) from error
            emit({"error": error_document(error)})
        return Completed(0, b"", b"")

    def carry_out(
        self, order: Order, emit: Callable[[dict[str, Any]], None], lines: FakeInput
    ) -> dict[str, Any]:
        """Do what the agent does."""
        feed = SenderFeed(lines, emit)
        try:
            return carry_out(order, self.engine, emit, feed, feed.linger)
        finally:
            feed.close()


class FakeInput:
    """The control lines, as the agent reads them."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines

    def readline(self, size: int, /) -> bytes:
        del size
        return next(self._lines, b"")


class FakeLane:
    """Takes in records as `lane_script.SCRIPT` does, until the line is cut."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self._said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._header = b""
        self._left = 0
        self._place: tuple[Path, int] = (host.root, 0)

    def write(self, data: bytes) -> None:
        """Take in a header, or bytes of the record that it announced."""
        host = self._host
        if host.lost:
            raise UnreachableError("the connection was lost", where=host.name)
        if not self._left:
            name, at, length = data.decode().split()
            self._header, self._left = data, int(length)
            self._place = (host.root / "partial" / name, int(at))
            return
        path, offset = self._place
        if path.name.startswith("kit-image"):
            host.received += len(data)
        else:
            data = self._counted(data)
        with path.open("r+b" if path.exists() else "wb") as file:
            file.seek(offset)
            file.write(data)
        self._place, self._left = (path, offset + len(data)), self._left - len(data)
        if host.lost:
            raise UnreachableError("the connection was lost", where=host.name)
        if not self._left:
            self._said.put(self._header.rstrip(b"\n"))

    def _counted(self, data: bytes) -> bytes:
        host = self._host
        if host.cut_after is not None and host.blob_bytes + len(data) > host.cut_after:
            host.lost, data = True, data[: host.cut_after - host.blob_bytes]
        host.received += len(data)
        host.blob_bytes += len(data)
        return data

    def send_file(self, path: Path, offset: int, length: int) -> int:
        data = path.read_bytes()[offset : offset + length]
        self.write(data)
        return len(data)

    def read_line(self) -> bytes:
        return self._said.get()

    def finish(self) -> Completed:
        self._said.put(b"")
        return Completed(0, b"", b"")

    def abort(self) -> None:
        self._said.put(b"")


def _image_line(image: SeenImage) -> str:
    tags, layers = (json.dumps(values, separators=(",", ":")) for values in (image.tags, image.layers))
    return f"kit:stored {image.id} {tags} {layers}"
