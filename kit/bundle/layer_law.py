"""What a layer's tar may hold. Pure.

kit never unpacks a layer; an engine does, as root. Packing, `kit verify --deep`, and the host before
its engine gets a layer refuse what an engine's own layers never hold and what has broken unpackers:
names and hard links with `..`, names that go through links of the same layer and lead out, two members
of one name, devices other than those of every container, sparse members, records that readers
understand differently, and bytes that are no member. Symbolic links themselves may point anywhere: a
container's root is `/`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from kit.bundle.tar_form import BLOCK
from kit.bundle.tar_walk import SIZE, TYPE, Head, TarWalk, number, pax_records
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

_NAME = slice(0, 100)
_LINK = slice(157, 257)
_PREFIX = slice(345, 500)
_MAGIC = slice(257, 263)
_MAJOR, _MINOR = slice(329, 337), slice(337, 345)
_USTAR = b"ustar\0"
_FILES = frozenset(b"0\x007")
_HARD_LINK, _SYMLINK, _CHARACTER, _BLOCK_DEVICE, _FOLDER, _PIPE = b"123456"
_ALL = 1 << 62
_PLACES = frozenset((b"path", b"linkpath", b"size"))
MOST_MEMBERS = 2_000_000
"""Far more than any layer has; each is remembered."""
_MOST_LINKS = 40
"""As many as Linux follows in one name."""
_DEVICES = {
    (_CHARACTER, major, minor)
    for major, minor in ((0, 0), (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2))
}
"""null, zero, full, random, urandom, tty, console, ptmx; and 0/0, by which overlayfs hides a file."""


def _refuse(where: str, name: bytes, why: str) -> VerificationError:
    shown = name[:200].decode("utf-8", "backslashreplace").encode("unicode_escape").decode()
    return VerificationError(
        f"a layer holds what no layer should: {shown!r} {why}",
        where=where,
        fix="build the image anew from a base that you trust",
    )


def _text(data: bytes) -> bytes:
    return data.split(b"\0", 1)[0]


class LayerLaw:
    """Judges the members of one layer in the order in which they come."""

    def __init__(self, where: str, most_members: int = MOST_MEMBERS) -> None:
        self._where = where
        self._left = most_members
        self._seen: set[int] = set()
        """Hashes of the names of all but folders, to notice a second of the same name."""
        self._folders = {hash(b"")}
        """Hashes of the names of folders, also of those that a name below them implies."""
        self._parent = b""
        """Folder of the last member; most members stand in that of the one before."""
        self._links: dict[bytes, bytes] = {}
        """Symbolic links by their path, and what they say."""

    def head(self, head: Head) -> None:
        """Judge a member by its head. Raises VerificationError."""
        name, link, size = self._said(head)
        self._left -= 1
        if self._left < 0:
            raise _refuse(self._where, name, "comes after more members than any layer has")
        header = head.blocks[-1]
        kind = header[TYPE]
        if b"\0" in name or b"\0" in link or not name:
            raise _refuse(self._where, name, "is no name")
        path = self._inside(name, name, "leads out of the layer")
        if kind in (_HARD_LINK, _SYMLINK):
            self._link(path, link, kind)
        elif kind in (_CHARACTER, _BLOCK_DEVICE):
            device = (kind, number(header[_MAJOR]), number(header[_MINOR]))
            if device not in _DEVICES:
                raise _refuse(self._where, name, f"is the device {device[1]}/{device[2]}")
        elif kind not in (*_FILES, _FOLDER, _PIPE):
            raise _refuse(self._where, name, f"is a member of type {chr(kind)!r}")
        if kind not in _FILES and size and kind != _FOLDER:
            raise _refuse(self._where, name, f"is no file and has {size} bytes")
        self._stand(path, name, is_folder=kind == _FOLDER or name.endswith(b"/"))

    def _said(self, head: Head) -> tuple[bytes, bytes, int]:
        """Return name, link and size of a member, extensions included."""
        header = head.blocks[-1]
        name, link, size = _text(header[_NAME]), _text(header[_LINK]), number(header[SIZE]) or 0
        if header[_MAGIC] == _USTAR and header[_PREFIX.start]:
            name = _text(header[_PREFIX]) + b"/" + name
        for block in head.blocks[:-1]:
            kind, payload = chr(block[TYPE]), block[BLOCK:]
            if kind == "L":
                name = _text(payload)
            elif kind == "K":
                link = _text(payload)
            else:
                said = self._records(block, name)
                if kind == "g" and said.keys() & _PLACES:
                    raise _refuse(self._where, name, "stands under records for several members")
                name, link = said.get(b"path", name), said.get(b"linkpath", link)
                size = int(said.get(b"size", b"%d" % size))
        return name, link, size

    def _records(self, block: bytes, name: bytes) -> dict[bytes, bytes]:
        records = pax_records(block[BLOCK : BLOCK + (number(block[SIZE]) or 0)])
        if records is None:
            raise _refuse(self._where, name, "has records that cannot be read")
        said = {key: value for _, key, value in records}
        if len(said) != len(records):
            raise _refuse(self._where, name, "has two records of one key")
        if any(key.startswith(b"GNU.sparse") for key in said) or not said.get(b"size", b"0").isdigit():
            raise _refuse(self._where, name, "is sparse, or of no size")
        return said

    def _inside(self, path: bytes, name: bytes, why: str) -> bytes:
        parts = [part for part in path.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise _refuse(self._where, name, why)
        if any(b"/".join(parts[:place]) in self._links for place in range(1, len(parts))):
            return self._through_links(parts, name)
        return b"/".join(parts)

    def _through_links(self, parts: list[bytes], name: bytes) -> bytes:
        """Return where a name leads, one part after the other as a kernel would; its last is not followed."""
        waiting, done, followed = parts[::-1], list[bytes](), 0
        while waiting:
            part = waiting.pop()
            leads_out = part == b".." and not done
            if part == b"..":
                del done[-1:]
            elif part not in (b"", b"."):
                done.append(part)
                target = self._links.get(b"/".join(done)) if waiting else None
                if target is not None:
                    followed += 1
                    leads_out = target.startswith(b"/") or followed > _MOST_LINKS
                    waiting += [*target.split(b"/")[::-1]]
                    del done[-1:]
            if leads_out:
                raise _refuse(self._where, name, "goes through a link of the same layer that leads out")
        return b"/".join(done)

    def _link(self, path: bytes, link: bytes, kind: int) -> None:
        if not link:
            raise _refuse(self._where, path, "is a link to nothing")
        if kind == _HARD_LINK:
            link = self._links.get(
                self._inside(link, path, "is a hard link that leads out of the layer"), b""
            )
        if link:
            # A hard link to a symbolic link is one, too.
            self._links[path] = link

    def _stand(self, path: bytes, name: bytes, *, is_folder: bool) -> None:
        """Refuse a second member of a name, and names that are a folder and something else."""
        known, parent = hash(path), path.rpartition(b"/")[0]
        if known in self._seen or (not is_folder and known in self._folders):
            raise _refuse(self._where, name, "is there twice")
        (self._folders if is_folder else self._seen).add(known)
        if parent == self._parent:
            return
        parts = parent.split(b"/")
        above = {hash(b"/".join(parts[:place])) for place in range(1, len(parts) + 1)}
        if not self._seen.isdisjoint(above):
            raise _refuse(self._where, name, "stands below what is no folder")
        self._folders |= above
        self._parent = parent


def lawful_tar(chunks: Iterable[bytes], where: str) -> Generator[bytes, None, int]:
    """Yield the chunks of a layer's plain tar as they are; the last only when every member may be there.

    So whoever passes them on completes no layer that breaks the law. Returns the number of members.
    Raises VerificationError, and whatever `chunks` raises.
    """
    passing: deque[bytes] = deque()

    def noted() -> Iterator[bytes]:
        for chunk in chunks:
            passing.append(chunk)
            yield chunk

    law, walk, count = LayerLaw(where), TarWalk(noted()), 0
    while isinstance(head := walk.head(), Head):
        law.head(head)
        count += 1
        left = head.payload
        for piece in walk.pieces(head.payload):
            left -= len(piece)
            while len(passing) > 1:
                yield passing.popleft()
        if left:
            raise _refuse(where, head.blocks[-1][_NAME].rstrip(b"\0"), f"lacks {left} of its bytes")
    _only_zeros(head.data, where)
    for piece in walk.pieces(_ALL):
        _only_zeros(piece, where)
        while len(passing) > 1:
            yield passing.popleft()
    yield from passing
    return count


def check_layer_tar(chunks: Iterable[bytes], where: str) -> int:
    """Return the members of a layer's plain tar, read to its end, once each is one that may be there.

    Raises VerificationError, and whatever `chunks` raises.
    """
    passing = lawful_tar(chunks, where)
    try:
        while True:
            next(passing)
    except StopIteration as end:
        return int(end.value)


def _only_zeros(piece: bytes | memoryview, where: str) -> None:
    if piece != bytes(len(piece)):
        raise _refuse(where, b"", "is followed by bytes that are no member")
