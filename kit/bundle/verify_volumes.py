"""What verifying a bundle adds when it is cut into volumes: which volume is at fault, and the parity."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.measure_volumes import measure_file
from kit.bundle.volume_set import MISSING, Wrong, examine, find_set, unusable
from kit.errors import KitError, TransferError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.progress import Progress

_TASK = "verify parity"


@dataclass(frozen=True, slots=True)
class VolumesReport:
    """Volumes that were found whole."""

    volumes: int
    parity_volumes: int
    may_be_lost: int
    """Volumes of each group that parity brings back."""


@contextmanager
def naming_volumes(path: Path, progress: Progress) -> Iterator[None]:
    """Turn a failure to verify the volumes at `path` into one that names every volume at fault.

    Hashes all of them then. What `path` says that is no volume passes through, as does a failure
    for which the volumes are not to blame.
    """
    try:
        yield
    except (VerificationError, TransferError) as error:
        try:
            found = find_set(path)
        except KitError:
            raise error from None
        if found is None:
            raise
        examined = examine(found, progress)
        if not examined.wrong:
            raise
        raise unusable(found, examined.wrong, examined) from error


def verify_parity(path: Path, progress: Progress) -> VolumesReport | None:
    """Hash the parity volumes of the bundle at `path`, and return what it consists of.

    None when it is not cut. Its data volumes are proven by its blobs. Raises VerificationError
    naming every parity volume that is missing or damaged, TransferError.
    """
    found = find_set(path)
    if found is None:
        return None
    listing = found.listing
    shares = range(len(listing.volumes), len(listing.shares))
    progress.start(_TASK, sum(listing.size_of(share) for share in shares))
    wrong: list[Wrong] = []
    for share in shares:
        place = found.path(share)
        if not place.is_file():
            wrong.append(Wrong(share, place.name, MISSING))
            continue
        measured = measure_file(place, lambda count: progress.advance(_TASK, count))
        if measured != (listing.shares[share], listing.size_of(share)):
            wrong.append(Wrong(share, place.name, "is damaged"))
    progress.finish(_TASK)
    if wrong:
        raise unusable(found, tuple(wrong), None)
    return VolumesReport(len(listing.volumes), len(shares), listing.form.parity)
