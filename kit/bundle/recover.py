"""Bringing back lost volumes from parity, and renamed ones under their names.

Nothing changes its name before every lost volume was rebuilt and has the sha256 that the list
gives; a kill at any moment leaves what is needed to do it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.digest import read_file
from kit.bundle.measure_volumes import VolumeHasher
from kit.bundle.parity import Code, stripes
from kit.bundle.space import sync_file
from kit.bundle.volume_set import Examined, VolumeSet, examine, find_set, overdrawn, unusable
from kit.errors import ConfigError, VerificationError

if TYPE_CHECKING:
    from pathlib import Path

    from kit.progress import Progress

_TASK = "rebuild volumes"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was brought back."""

    path: str
    """The list of the set, to be used with `-b`."""
    volumes: int
    rebuilt: tuple[str, ...]
    renamed: tuple[str, ...]
    """Volumes that lay under another name."""
    set_aside: tuple[str, ...]
    """Files that stood under a volume's name and are none of it, now with `.aside` at the end."""
    dry_run: bool


def recover_volumes(path: Path, progress: Progress, *, dry_run: bool = False) -> Recovered:
    """Rebuild and rename until every volume is right; return what was done.

    Raises ConfigError when `path` names no volumes or the library is missing, VerificationError when
    more is lost than parity brings back, UnfitError and TransferError (disk).
    """
    found = find_set(path)
    if found is None:
        raise ConfigError("no volumes here", where=str(path), fix="name one of them, or their list, with -b")
    examined = examine(found, progress)
    lost = examined.lost(found.listing)
    if overdrawn(found.listing, lost):
        raise unusable(found, examined.wrong, examined)
    if not dry_run:
        _rebuild(found, examined, lost, progress)
    moved = [share for share, place in examined.places.items() if place != found.path(share)]
    aside = [path.name for path in _in_the_way(found, examined)]
    if not dry_run:
        _put_in_place(found, examined, lost)
    return Recovered(
        str(found.list_path),
        len(found.listing.shares),
        tuple(found.path(share).name for share in lost),
        tuple(found.path(share).name for share in sorted(moved)),
        tuple(aside),
        dry_run,
    )


def _new(found: VolumeSet, share: int) -> Path:
    return found.folder / f"{found.name}.new{found.listing.suffix(share)}"


def _rebuild(found: VolumeSet, examined: Examined, lost: tuple[int, ...], progress: Progress) -> None:
    progress.start(_TASK, sum(found.listing.size_of(share) for share in lost))
    for group in found.listing.groups:
        wanted = [share for share in group if share in lost]
        if wanted:
            _rebuild_group(found, examined, group, wanted, progress)
    progress.finish(_TASK)


def _rebuild_group(
    found: VolumeSet, examined: Examined, group: tuple[int, ...], lost: list[int], progress: Progress
) -> None:
    listing = found.listing
    code = Code(len(group) - listing.form.parity, listing.form.parity)
    decode = code.decoder([group.index(share) for share in lost])
    here = [share for share in group if share not in lost][: code.data]
    seen = {share: VolumeHasher() for share in lost}
    for share in lost:
        with writing(found.folder):
            _new(found, share).write_bytes(b"")
    for offset, length in stripes(listing.size_of(group[0]), len(group)):
        pieces = {group.index(share): _piece(examined.places[share], offset, length) for share in here}
        for number, piece in decode(pieces).items():
            share = group[number]
            kept = piece[: max(listing.size_of(share) - offset, 0)]
            with writing(found.folder), _new(found, share).open("ab", buffering=0) as file:
                file.write(kept)
            seen[share].update(kept)
            progress.advance(_TASK, len(kept))
    for share in lost:
        _check_rebuilt(found, share, seen[share])


def _piece(path: Path, offset: int, length: int) -> bytes:
    return b"".join(read_file(path, offset, length)).ljust(length, b"\0")


def _check_rebuilt(found: VolumeSet, share: int, seen: VolumeHasher) -> None:
    if seen.volume != found.listing.shares[share]:
        _new(found, share).unlink()
        raise VerificationError(
            f"{found.path(share).name} was rebuilt and is not what the list says",
            where=str(found.list_path),
            fix=f"copy {found.path(share).name} again from where the bundle was made",
        )
    sync_file(_new(found, share))


def _in_the_way(found: VolumeSet, examined: Examined) -> list[Path]:
    """Return foreign files under names that volumes need; damaged volumes are simply replaced."""
    wrong = {item.name for item in examined.wrong if "another set" in item.text}
    paths = [found.path(share) for share in range(len(found.listing.shares))] + list(found.strangers)
    return [path for path in paths if path.name in wrong and path.exists()]


def _put_in_place(found: VolumeSet, examined: Examined, lost: tuple[int, ...]) -> None:
    with writing(found.folder):
        for path in _in_the_way(found, examined):
            path.replace(path.with_name(path.name + ".aside"))
        moved = [share for share, place in examined.places.items() if place != found.path(share)]
        # In two steps, since volumes may have changed places with each other.
        for share in moved:
            examined.places[share].replace(_new(found, share))
        for share in (*moved, *lost):
            _new(found, share).replace(found.path(share))
        sync_folder(found.folder)
