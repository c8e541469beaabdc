"""What a root file system holds beyond another one: the layer between the two. Pure."""

from __future__ import annotations

import hashlib
import tarfile
from io import BytesIO
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Seen(NamedTuple):
    """All of a member that counts; times differ between two roots that were made one after the other."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    content: str
    """The sha256 of a file, what a symbolic link leads to, a device's numbers."""


def write_added(whole: IO[bytes], beneath: IO[bytes], sink: IO[bytes]) -> None:
    """Write the tar of what the root `whole` has beyond `beneath`, or otherwise.

    Both are tars and are read once, forward, `beneath` first; one file at a time is held in memory. A folder
    that is there already comes along only if its mode or owner is another. What `beneath` alone has stays.
    """
    there = {path: seen for path, seen, _, _ in _members(beneath)}
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as added:
        for path, seen, member, data in _members(whole):
            if there.get(path) != seen:
                added.addfile(member, BytesIO(data))


def _members(stream: IO[bytes]) -> Iterator[tuple[str, _Seen, tarfile.TarInfo, bytes]]:
    found: dict[str, _Seen] = {}
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            data = file.read() if file else b""
            path = _path(member.name)
            # A hard link is the file that it names, which came before it.
            same = found.get(_path(member.linkname)) if member.islnk() else None
            found[path] = same or _see(member, data)
            yield path, found[path], member, data


def _path(name: str) -> str:
    """Return a member's path as every tool would write it: `./usr/bin/` and `usr/bin` are one."""
    return name.removeprefix("./").strip("/")


def _see(member: tarfile.TarInfo, data: bytes) -> _Seen:
    if member.isreg():
        content = hashlib.sha256(data).hexdigest()
    else:
        content = f"{member.linkname} {member.devmajor}:{member.devminor}"
    # Engines write the type of a file into its mode, too (c_ISREG and its like of the older tar formats).
    return _Seen(member.type, member.mode & 0o7777, (member.uid, member.gid), content)
