"""Files whose sha256 was seen once and that have not been written since.

An existing file is never trusted by its name. It is trusted without hashing only when size, time
of change and inode are those it had when it was hashed; otherwise it is hashed again.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kit.bundle.digest import sha256_of_file
from kit.bundle.manifest import Blob

if TYPE_CHECKING:
    import os

_SETTLED_NS = 2_000_000_000
"""A file changed more recently than this could change again within its clock's tick."""

_Stamp = tuple[int, int, int]


def _key(path: Path) -> str:
    return str(path.absolute())


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino


@dataclass(slots=True)
class KnownFiles:
    """A record of hashed files, one JSON line each, appended to the file `record`."""

    record: Path
    _seen: dict[str, tuple[_Stamp, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, record: Path) -> KnownFiles:
        """Return what `record` tells. A torn or foreign line is ignored."""
        known = cls(record)
        try:
            lines = record.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return known
        for line in lines:
            try:
                path, size, changed, inode, digest = json.loads(line)
            except (ValueError, TypeError, RecursionError):
                continue
            known._seen[path] = ((size, changed, inode), digest)
        return known

    def blob_of(self, path: Path) -> Blob:
        """Return digest and size of a file, hashing it only when it changed since it was recorded.

        Raises TransferError when it cannot be read.
        """
        try:
            before = path.stat()
        except OSError:
            return sha256_of_file(path)
        stamp, digest = self._seen.get(_key(path), (None, ""))
        if stamp == _stamp(before):
            return Blob(digest, before.st_size)
        blob = sha256_of_file(path)
        settled = time.time_ns() - before.st_mtime_ns > _SETTLED_NS
        if settled and _stamp(path.stat()) == _stamp(before):
            self._append(path, _stamp(before), blob.digest)
        return blob

    def remember(self, path: Path, digest: str) -> None:
        """Record the sha256 of a file that was hashed while it was written and is not open any more."""
        self._append(path, _stamp(path.stat()), digest)

    def _append(self, path: Path, stamp: _Stamp, digest: str) -> None:
        self._seen[_key(path)] = (stamp, digest)
        line = json.dumps([_key(path), *stamp, digest]) + "\n"
        # A record that cannot be written costs a hash next time, nothing else.
        with suppress(OSError):
            self.record.parent.mkdir(parents=True, exist_ok=True)
            with self.record.open("a", encoding="utf-8") as file:
                file.write(line)

    def compact(self) -> None:
        """Rewrite the record without files that are gone."""
        here = {path: seen for path, seen in self._seen.items() if Path(path).is_file()}
        lines = [json.dumps([path, *stamp, digest]) + "\n" for path, (stamp, digest) in here.items()]
        self._seen = here
        self.record.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.record.with_name(self.record.name + ".new")
        temporary.write_text("".join(lines), encoding="utf-8")
        temporary.replace(self.record)
