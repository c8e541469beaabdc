"""A set of volumes in a folder: finding it, and telling what is wrong with it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.digest import blob_of, read_file
from kit.bundle.extent import Extent
from kit.bundle.measure_volumes import measure_file
from kit.bundle.volumes import LIST_SUFFIX, PROBE, Volume, VolumeList, parse_volumes, volume_number
from kit.errors import ConfigError, KitError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kit.progress import Progress

_LIST_LIMIT = 64 << 20
_THREADS = 2
_TASK = "hash volumes"
MISSING = "is missing"
"""What is said of a volume that is not there."""
_LONG_RUN = 4
"""Missing volumes in a row that are named by the first and the last."""


@dataclass(frozen=True, slots=True)
class VolumeSet:
    """Volumes that lie beside their list."""

    listing: VolumeList
    list_path: Path

    @property
    def name(self) -> str:
        """Name of the tarball that was cut, e.g. `crossing.tar`."""
        return self.list_path.name.removesuffix(LIST_SUFFIX)

    @property
    def folder(self) -> Path:
        """Where the volumes lie."""
        return self.list_path.parent

    def path(self, share: int) -> Path:
        """Return where a data or parity volume, numbered from 0, belongs."""
        return self.folder / (self.name + self.listing.suffix(share))

    @property
    def extent(self) -> Extent:
        """The tarball, to be read in place."""
        paths = tuple(self.path(share) for share in range(len(self.listing.volumes)))
        return Extent(paths, self.listing.form.volume_size, self.listing.size)

    @property
    def strangers(self) -> tuple[Path, ...]:
        """Files named like volumes of this set that it does not have."""
        own = {self.path(share).name for share in range(len(self.listing.shares))}
        return tuple(path for path in self.candidates if path.name not in own and _is_volume(self.name, path))

    @property
    def candidates(self) -> tuple[Path, ...]:
        """Plain files that could be volumes of this set, under whatever suffix."""
        found = sorted(self.folder.glob("*"))
        return tuple(
            path
            for path in found
            if path.name.startswith(self.name + ".")
            and path != self.list_path
            and path.is_file()
            and not path.is_symlink()
        )


def _is_volume(name: str, path: Path) -> bool:
    found = volume_number(path.name)
    return found is not None and found[0] == name


def find_set(path: Path) -> VolumeSet | None:
    """Return the set that a path names: its list, one of its volumes, its folder, or the tarball's name.

    None when the path names something else. Raises VerificationError when the list is missing or
    not right, ConfigError when a folder holds several bundles, TransferError.
    """
    found = _list_of(path)
    if found is None:
        return None
    data = b"".join(read_file(found, 0, _LIST_LIMIT + 1))
    if len(data) > _LIST_LIMIT:
        raise VerificationError(f"larger than {_LIST_LIMIT} bytes", where=str(found))
    return VolumeSet(parse_volumes(data, str(found)), found)


def _list_of(path: Path) -> Path | None:
    if path.name.endswith(LIST_SUFFIX):
        return path
    if path.is_dir():
        return _list_in(path)
    cut = volume_number(path.name)
    named = path.with_name((cut[0] if cut else path.name) + LIST_SUFFIX)
    if named.is_file() and (cut or not path.exists()):
        return named
    if cut and path.exists():
        raise _no_list(path.with_name(cut[0]))
    if not path.exists() and any(_is_volume(path.name, other) for other in path.parent.glob("*")):
        raise _no_list(path)
    return None


def _list_in(folder: Path) -> Path | None:
    lists = sorted(folder.glob("*" + LIST_SUFFIX))
    # A tarball beside a set may be an older form of it, or newer: whoever asks says which one is meant.
    bundles = [*lists, *sorted(folder.glob("*.tar"))] if lists else []
    if len(bundles) > 1:
        why = ", ".join(path.name for path in bundles)
        fix = f"name one, e.g. -b {bundles[0]}"
        raise ConfigError("several bundles", where=str(folder), why=why, fix=fix)
    if lists:
        return lists[0]
    cut = (volume_number(path.name) for path in sorted(folder.glob("*.tar.*")))
    name = next((found[0] for found in cut if found), None)
    if name is not None:
        raise _no_list(folder / name)
    return None


def _no_list(tarball: Path) -> VerificationError:
    return VerificationError(
        "the list of the volumes is missing",
        where=f"{tarball}{LIST_SUFFIX}",
        fix=f"copy it from where the bundle was made, or join the volumes: cat {tarball}.[0-9]* > {tarball}",
    )


@dataclass(frozen=True, slots=True)
class Wrong:
    """A volume that cannot be used as it is."""

    share: int | None
    """Its number from 0, None for a file that has no place in the set."""
    name: str
    text: str
    """What is wrong, e.g. `is missing`."""
    holds: int | None = None
    """The other volume of the set whose bytes these are, as far as its ends tell."""

    def __str__(self) -> str:
        return f"{self.name} {self.text}"


def _ends(path: Path, size: int) -> tuple[str, str]:
    head = b"".join(read_file(path, 0, PROBE))
    tail = b"".join(read_file(path, max(size - PROBE, 0), PROBE))
    return blob_of(head).digest, blob_of(tail).digest


def _judge(found: VolumeSet, share: int) -> Wrong | None:
    """Return what is wrong with a volume, as far as its size and ends tell."""
    path, listing = found.path(share), found.listing
    if not path.is_file() or path.is_symlink():
        text = "is no plain file" if path.exists() or path.is_symlink() else MISSING
        return Wrong(share, path.name, text)
    size, wanted = path.stat().st_size, listing.shares[share]
    ends = _ends(path, size)
    if size == listing.size_of(share) and ends == (wanted.head, wanted.tail):
        return None
    for other, volume in enumerate(listing.shares):
        if other != share and size == listing.size_of(other) and ends == (volume.head, volume.tail):
            return Wrong(share, path.name, f"is {found.path(other).name} of this set, renamed", other)
    if wanted.head not in ends and wanted.tail not in ends:
        return Wrong(share, path.name, "is of another set, or damaged at both ends")
    if size != listing.size_of(share):
        return Wrong(share, path.name, f"is damaged: {size} bytes in place of {listing.size_of(share)}")
    return Wrong(share, path.name, "is damaged")


def _strange(found: VolumeSet) -> tuple[Wrong, ...]:
    count = len(found.listing.volumes)
    return tuple(
        Wrong(None, path.name, f"is of another set: this one has {count} volumes") for path in found.strangers
    )


def look(found: VolumeSet) -> tuple[Wrong, ...]:
    """Return every volume that is missing, of another size or with other ends. Reads 8 KiB of each."""
    return _judged(found, range(len(found.listing.volumes))) + _strange(found)


def _judged(found: VolumeSet, shares: range) -> tuple[Wrong, ...]:
    return tuple(wrong for share in shares if (wrong := _judge(found, share)))


@dataclass(frozen=True, slots=True)
class Examined:
    """What hashing every volume showed."""

    wrong: tuple[Wrong, ...]
    places: dict[int, Path]
    """Where the right bytes of a volume were found, under whatever name."""

    def lost(self, listing: VolumeList) -> tuple[int, ...]:
        """Return the volumes whose bytes are nowhere."""
        return tuple(share for share in range(len(listing.shares)) if share not in self.places)


def examine(found: VolumeSet, progress: Progress) -> Examined:
    """Hash every file that could be a volume of the set. Raises TransferError."""
    paths = found.candidates
    progress.start(_TASK, sum(path.stat().st_size for path in paths))
    with ThreadPoolExecutor(_THREADS) as threads:
        measured = list(threads.map(lambda path: _measured(path, progress), paths))
    progress.finish(_TASK)
    places = _assign(found, dict(zip(paths, measured, strict=True)))
    wrong = []
    for share in range(len(found.listing.shares)):
        if places.get(share) != found.path(share):
            judged = _judge(found, share) or Wrong(share, found.path(share).name, "is damaged")
            wrong.append(judged)
    return Examined((*wrong, *_strange(found)), places)


def _measured(path: Path, progress: Progress) -> tuple[Volume, int] | None:
    try:
        return measure_file(path, lambda count: progress.advance(_TASK, count))
    except KitError:
        # A file that cannot be read to its end, on a scratched disc, is a lost volume.
        return None


def _assign(found: VolumeSet, measured: dict[Path, tuple[Volume, int] | None]) -> dict[int, Path]:
    """Return where each volume's bytes are; its own name first, since volumes may be alike."""
    listing = found.listing
    wanted = {share: (volume, listing.size_of(share)) for share, volume in enumerate(listing.shares)}
    own = {share: found.path(share) for share in wanted}
    places = {share: path for share, path in own.items() if measured.get(path) == wanted[share]}
    free = [path for path in measured if path not in places.values()]
    for share, what in wanted.items():
        if share not in places:
            path = next((path for path in free if measured[path] == what), None)
            if path is not None:
                places[share] = path
                free.remove(path)
    return places


def overdrawn(listing: VolumeList, lost: tuple[int, ...]) -> tuple[int, ...]:
    """Return the lost volumes that parity cannot bring back. Pure."""
    gone = set(lost)
    counts = Counter(listing.group(share)[0] for share in lost)
    return tuple(share for share in sorted(gone) if counts[listing.group(share)[0]] > listing.form.parity)


def _lost(found: VolumeSet, wrong: tuple[Wrong, ...]) -> tuple[int, ...]:
    """Return the volumes that seem to be nowhere, as far as their ends tell, parity included."""
    parity = range(len(found.listing.volumes), len(found.listing.shares))
    seen = {item.share: item for item in (*wrong, *_judged(found, parity)) if item.share is not None}
    elsewhere = {item.holds for item in seen.values()}
    return tuple(share for share in sorted(seen) if share not in elsewhere)


def _runs(shares: Iterable[int]) -> list[list[int]]:
    """Return runs of numbers that follow each other."""
    runs: list[list[int]] = []
    for share in shares:
        if runs and runs[-1][-1] == share - 1:
            runs[-1].append(share)
        else:
            runs.append([share])
    return runs


def _named(found: VolumeSet, run: list[int]) -> str:
    names = [found.path(share).name for share in run]
    return ", ".join(names) if len(run) < _LONG_RUN else f"{names[0]} to {names[-1]}"


def _sentences(found: VolumeSet, wrong: tuple[Wrong, ...]) -> list[str]:
    """Return what is wrong, with many missing volumes in a row as one."""
    missing = [item.share for item in wrong if item.text == MISSING and item.share is not None]
    long = [run for run in _runs(missing) if len(run) >= _LONG_RUN]
    spoken = {share for run in long for share in run}
    rest = [str(item) for item in wrong if item.share not in spoken]
    return [f"{_named(found, run)} are missing" for run in long] + rest


def unusable(found: VolumeSet, wrong: tuple[Wrong, ...], examined: Examined | None) -> VerificationError:
    """Return the error that names every volume that cannot be used, and what mends it."""
    listing = found.listing
    lost = examined.lost(listing) if examined else _lost(found, wrong)
    gone = overdrawn(listing, lost)
    fix = f"kit recover -b {found.list_path}"
    if gone and listing.form.parity:
        why = f"{len(gone)} lost, parity brings back {listing.form.parity} of a group"
    elif gone:
        why = f"{len(gone)} lost, and the set was made without parity"
    else:
        why = "nothing is lost" if not lost else f"parity brings back all {len(lost)} that are lost"
    if gone:
        fix = "copy these again: " + ", ".join(_named(found, run) for run in _runs(gone))
    own = [item.share for item in wrong if item.share is not None]
    count = len(listing.volumes) if max(own, default=0) < len(listing.volumes) else len(listing.shares)
    what = f"{len(own)} of {count} volumes cannot be used" if own else "there are foreign volumes"
    return VerificationError(
        f"{what}: " + "; ".join(_sentences(found, wrong)), where=str(found.list_path), why=why, fix=fix
    )
