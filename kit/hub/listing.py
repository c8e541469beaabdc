"""What a hub's answer must look like before kit uses it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kit.errors import ConfigError, VerificationError

if TYPE_CHECKING:
    from kit.hub.port import HubFile, HubListing, Place

MOST_FILES = 20_000
"""More than any model has; whoever lists more is not a model's repository."""
MOST_BYTES = 1 << 50
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile("sha256:" + _SHA256.pattern)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def check_sha256(value: str | None) -> str | None:
    """Return a hub's sha256 as kit writes it; None where the hub tells none. Raises ValueError."""
    if not value:
        return None
    if not _SHA256.fullmatch(value.lower()):
        raise ValueError(f"not a sha256: {value!r}")
    return "sha256:" + value.lower()


def is_commit(revision: str) -> bool:
    """Tell whether a revision names one commit for good, and not a branch or tag."""
    return _COMMIT.fullmatch(revision) is not None


def check_names(place: Place) -> None:
    """Raise ConfigError unless repository and revision are names that no hub could misread."""
    for name in (place.repo, place.revision):
        odd = not isinstance(name, str) or not name.isprintable() or re.search(r"[\s\\?#%:]", name)
        if odd or any(part in ("", ".", "..") for part in name.split("/")) or name.startswith("~"):
            raise ConfigError(f"not a name on a hub: {name!r}", where=f"{place.origin}:{place.repo}")


def check_listing(listing: HubListing, where: str) -> None:
    """Raise VerificationError for a listing without bounds or sense."""
    if len(listing.files) > MOST_FILES:
        raise VerificationError(f"the hub lists more than {MOST_FILES} files", where=where)
    for file in listing.files:
        if not is_sound(file):
            raise VerificationError(f"the hub's listing makes no sense at {file.path!r}", where=where)
    if sum(file.size for file in listing.files) > MOST_BYTES:
        raise VerificationError("the hub lists more bytes than there are disks", where=where)


def is_sound(file: HubFile) -> bool:
    """Tell whether size and checksums are what they should be; the latter become names on this disk."""
    digest = file.digest is None or _DIGEST.fullmatch(file.digest)
    git = file.git_sha1 is None or _COMMIT.fullmatch(file.git_sha1)
    sized = isinstance(file.size, int) and 0 <= file.size <= MOST_BYTES
    return bool(isinstance(file.path, str) and sized and digest and git)
