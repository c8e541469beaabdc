"""The list of a set of volumes, `NAME.tar.volumes.json`: how to tell them apart and find damage. Pure.

The volumes `NAME.tar.0001`, … are the tarball, cut at equal distances, and nothing else, so that
`cat` joins them. The list gives each one's sha256, and that of its first and last 4 KiB, by which
an exchanged volume is noticed when the set is opened. It carries a sha256 of itself, which is the
set's name. Nothing is trusted because the list says so: kit.json decides what the blobs are.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from kit.bundle.digest import blob_of
from kit.bundle.manifest import DIGEST
from kit.bundle.tar_form import BLOCK
from kit.errors import ConfigError, VerificationError

FORMAT = 1
LIST_SUFFIX = ".volumes.json"
MOST_SHARES = 256
"""Volumes of a group, parity included: a Reed–Solomon code over bytes has no more."""
MOST_VOLUMES = 100_000
PROBE = 4096
"""Bytes at either end of a volume that are compared when a set is opened."""
_VOLUME = re.compile(r"^(?P<name>.+)\.(?P<parity>p?)(?P<number>[0-9]{4,6})\Z")
_FIX = "copy the list again from where the bundle was made"


@dataclass(frozen=True, slots=True)
class Volume:
    """What a volume must be."""

    sha256: str
    head: str
    """sha256 of its first 4 KiB."""
    tail: str
    """sha256 of its last 4 KiB."""


@dataclass(frozen=True, slots=True)
class VolumeForm:
    """How a tarball is cut."""

    volume_size: int
    """Bytes of every volume but the last; whole blocks of 512."""
    parity: int
    """Volumes of a group that may be lost."""

    def group_size(self, count: int) -> int:
        """Return the most data volumes of a group when there are `count` in all."""
        groups = -(-count // (MOST_SHARES - self.parity))
        return -(-count // groups)


@dataclass(frozen=True, slots=True)
class VolumeList:
    """A set of volumes."""

    bundle: str
    """sha256 of the kit.json inside."""
    size: int
    """Bytes of the tarball."""
    form: VolumeForm
    volumes: tuple[Volume, ...]
    parity_volumes: tuple[Volume, ...]
    """`parity` for each group, group after group."""

    @property
    def shares(self) -> tuple[Volume, ...]:
        """Data volumes, then parity volumes."""
        return (*self.volumes, *self.parity_volumes)

    def size_of(self, share: int) -> int:
        """Return the bytes of a data or parity volume, numbered from 0 through `shares`."""
        count = len(self.volumes)
        if share >= count:
            return self.size_of(self.group(share)[0])
        return min(self.form.volume_size, self.size - share * self.form.volume_size)

    def suffix(self, share: int) -> str:
        """Return what a volume's name ends in, e.g. `.0001` or `.p0001`."""
        count = len(self.volumes)
        width = max(4, len(str(len(self.shares))))
        return f".{share + 1:0{width}}" if share < count else f".p{share - count + 1:0{width}}"

    def group(self, share: int) -> tuple[int, ...]:
        """Return the group that a volume belongs to: its data volumes, then its parity volumes."""
        count = len(self.volumes)
        each = self.form.group_size(count)
        number = share // each if share < count else (share - count) // self.form.parity
        data = range(number * each, min((number + 1) * each, count))
        first = count + number * self.form.parity
        return (*data, *range(first, first + self.form.parity))

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Every group."""
        each = self.form.group_size(len(self.volumes))
        return tuple(self.group(first) for first in range(0, len(self.volumes), each))


def volume_number(name: str) -> tuple[str, str] | None:
    """Return the tarball's name and the suffix when a file is named like a volume."""
    found = _VOLUME.match(name)
    return (found["name"], name[len(found["name"]) :]) if found else None


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def dump_volumes(volumes: VolumeList) -> bytes:
    """Return the canonical bytes of a list; `set` in it is the sha256 of the rest."""
    document = {"kit_volumes": FORMAT, **asdict(volumes)}
    return _canonical({**document, "set": blob_of(_canonical(document)).digest})


def _fail(where: str, why: str) -> VerificationError:
    return VerificationError("not a list of volumes as kit writes it", where=where, why=why, fix=_FIX)


def _volume(item: Any) -> Volume:
    found = Volume(**item)
    if not all(isinstance(value, str) and DIGEST.match(value) for value in asdict(found).values()):
        raise ValueError("not a sha256 digest")
    return found


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("not a count")
    return value


def parse_volumes(data: bytes, where: str) -> VolumeList:
    """Return the list that canonical bytes describe. Raises VerificationError."""
    try:
        document = json.loads(data)
        form = VolumeForm(_count(document["form"]["volume_size"]), _count(document["form"]["parity"]))
        found = VolumeList(
            str(document["bundle"]),
            _count(document["size"]),
            form,
            tuple(_volume(item) for item in document["volumes"]),
            tuple(_volume(item) for item in document["parity_volumes"]),
        )
        _check_counts(found)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _fail(where, str(error)[:200]) from error
    if dump_volumes(found) != data:
        raise _fail(where, "bytes that are not canonical, or changed since")
    return found


def _check_counts(found: VolumeList) -> None:
    size, parity, count = found.form.volume_size, found.form.parity, len(found.volumes)
    if not DIGEST.match(found.bundle):
        raise ValueError("not a sha256 digest")
    if not size >= BLOCK or size % BLOCK or not 0 <= parity < MOST_SHARES:
        raise ValueError("a volume size or parity that kit does not write")
    if not 0 < count <= MOST_VOLUMES or -(-found.size // size) != count:
        raise ValueError("another number of volumes than its size gives")
    if len(found.parity_volumes) != len(found.groups) * parity:
        raise ValueError("another number of parity volumes than its groups have")


_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_UNITS |= {unit + "ib": size for unit, size in _UNITS.items() if unit}
_UNITS |= {unit + "b": 1000**power for power, unit in enumerate("kmgt", start=1)}
_SIZE = re.compile(r"^([0-9]{1,18}(?:\.[0-9]{1,6})?) ?([a-z]*)\Z")
MEDIA = {
    "fat32": (1 << 32) - 1,
    "cd": 700_000_000,
    "dvd": 4_680_000_000,
    "dvd-dl": 8_500_000_000,
    "bd": 25_000_000_000,
    "bd-dl": 50_000_000_000,
}
"""Bytes of a file that fills a medium: FAT32's largest file, and discs less room for a file system."""


def parse_size(text: str) -> int:
    """Return the bytes that `4G`, `4GiB`, `4GB` (10^9), `700MB` or a medium's name mean, in whole blocks.

    Raises ConfigError.
    """
    wanted = text.strip().lower()
    found = _SIZE.match(wanted)
    size = MEDIA.get(wanted, 0)
    if found and found[2] in _UNITS:
        whole, _, rest = found[1].partition(".")
        size = int(whole) * _UNITS[found[2]] + int(rest or 0) * _UNITS[found[2]] // 10 ** len(rest)
    size = size // BLOCK * BLOCK
    if not PROBE <= size < 1 << 62:
        fix = f"a number with K, M, G, MB, GB, MiB or GiB, at least 4K, or one of {', '.join(MEDIA)}"
        raise ConfigError(f"no volume size: {text!r}", where="--volume-size", fix=fix)
    return size
