"""One reading of finished volumes that gives their digests and writes their parity."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kit.bundle.blob_store import writing
from kit.bundle.digest import Hasher, blob_of, read_file
from kit.bundle.parity import Code, stripes
from kit.bundle.volumes import PROBE, Volume, VolumeList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from kit.bundle.volumes import VolumeForm
    from kit.progress import Progress

_THREADS = 2
_TASK = "hash volumes"


class VolumeHasher:
    """Takes a volume's bytes in order and tells what its line in the list says."""

    def __init__(self) -> None:
        self._hasher = Hasher()
        self._head = b""
        self._tail = b""

    def update(self, chunk: bytes) -> None:
        """Take more bytes."""
        self._hasher.update(chunk)
        if len(self._head) < PROBE:
            self._head = (self._head + chunk)[:PROBE]
        self._tail = (self._tail + chunk[-PROBE:])[-PROBE:]

    @property
    def size(self) -> int:
        """Bytes seen so far."""
        return self._hasher.size

    @property
    def volume(self) -> Volume:
        """What was seen so far."""
        return Volume(self._hasher.digest, blob_of(self._head).digest, blob_of(self._tail).digest)


def measure_file(path: Path, on_bytes: Callable[[int], None]) -> tuple[Volume, int]:
    """Return what a file is as a volume, and its bytes. Raises TransferError, VerificationError."""
    hasher = VolumeHasher()
    for chunk in read_file(path):
        hasher.update(chunk)
        on_bytes(len(chunk))
    return hasher.volume, hasher.size


def _protect(
    paths: Sequence[Path], targets: Sequence[Path], on_bytes: Callable[[int], None]
) -> tuple[list[Volume], list[Volume]]:
    """Hash the volumes of a group while their parity is written to `targets`; return both."""
    sizes = [path.stat().st_size for path in paths]
    seen = [VolumeHasher() for _ in (*paths, *targets)]
    encode = Code(len(paths), len(targets)).encoder()
    for target in targets:
        with writing(target):
            target.write_bytes(b"")
    with ThreadPoolExecutor(_THREADS) as threads:
        for offset, length in stripes(max(sizes), len(seen)):

            def read(path: Path, offset: int = offset, length: int = length) -> bytes:
                return b"".join(read_file(path, offset, length))

            pieces = list(threads.map(read, paths))
            parity = encode([piece.ljust(length, b"\0") for piece in pieces])
            for target, piece in zip(targets, parity, strict=True):
                _append(target, piece)
            list(threads.map(VolumeHasher.update, seen, (*pieces, *parity)))
            on_bytes(sum(map(len, pieces)))
    found = [hasher.volume for hasher in seen]
    return found[: len(paths)], found[len(paths) :]


def _append(path: Path, data: bytes) -> None:
    with writing(path), path.open("ab", buffering=0) as file:
        file.write(data)


def measure_volumes(
    paths: Sequence[Path],
    form: VolumeForm,
    bundle: str,
    parity_path: Callable[[int], Path],
    progress: Progress,
) -> VolumeList:
    """Return the list of finished volumes, in order; parity volumes are written where `parity_path` says.

    Raises ConfigError when parity needs a library that is missing, UnfitError and TransferError (disk).
    """
    size = sum(path.stat().st_size for path in paths)
    progress.start(_TASK, size)

    def on_bytes(count: int) -> None:
        progress.advance(_TASK, count)

    data: list[Volume] = []
    parity: list[Volume] = []
    if form.parity:
        each = form.group_size(len(paths))
        for first in range(0, len(paths), each):
            targets = [parity_path(len(parity) + number) for number in range(form.parity)]
            found = _protect(paths[first : first + each], targets, on_bytes)
            data.extend(found[0])
            parity.extend(found[1])
    else:
        data = _hash_all(paths, on_bytes)
    progress.finish(_TASK)
    return VolumeList(bundle, size, form, tuple(data), tuple(parity))


def _hash_all(paths: Iterable[Path], on_bytes: Callable[[int], None]) -> list[Volume]:
    with ThreadPoolExecutor(_THREADS) as threads:
        return [volume for volume, _ in threads.map(lambda path: measure_file(path, on_bytes), paths)]
