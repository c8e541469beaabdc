"""Which bundles were accepted here before, so that an older one of the same name is called older.

A bundle's age is the time at which its kit.lock last changed. Bundles by a known signer are held
against such bundles only: an unsigned one that claims to come from the future ages nothing signed.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError, TransferError
from kit.signature.read_trust import home

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SeenBundle:
    """The newest bundle of a name that was accepted here."""

    locked: str
    """UTC time at which its kit.lock last changed, `YYYY-MM-DDTHH:MM:SSZ`."""
    digest: str
    """sha256 of its kit.json."""
    at: str
    """UTC time at which it was accepted."""


@dataclass(frozen=True, slots=True)
class Older:
    """A bundle that is older than one seen here."""

    locked: str
    newer: SeenBundle

    @property
    def text(self) -> str:
        """Return it in words that fit behind a bundle's name."""
        return f"older than the one of {self.newer.locked} seen here"


@dataclass(frozen=True, slots=True)
class SeenBundles:
    """The newest of each name: those by a known signer, and the others."""

    signed: Mapping[str, SeenBundle] = field(default_factory=dict)
    others: Mapping[str, SeenBundle] = field(default_factory=dict)

    def older(self, name: str, locked: str, *, signed: bool) -> Older | None:
        """Return how a bundle is older than one seen here, or None when it is not."""
        known = [self.signed.get(name), *([] if signed else [self.others.get(name)])]
        # Times of this form sort as text.
        newest = max((seen for seen in known if seen), key=lambda seen: seen.locked, default=None)
        return Older(locked, newest) if newest is not None and newest.locked > locked else None

    def adding(self, name: str, seen: SeenBundle, *, signed: bool) -> SeenBundles:
        """Return the record with one more bundle; the newest of a name stays."""
        part = self.signed if signed else self.others
        known = part.get(name)
        if known is not None and known.locked >= seen.locked:
            return self
        grown = {**part, name: seen}
        return SeenBundles(grown, self.others) if signed else SeenBundles(self.signed, grown)


def now_text() -> str:
    """Return the time in UTC, `YYYY-MM-DDTHH:MM:SSZ`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def seen_path(env: Mapping[str, str] | None = None) -> Path:
    """Return where the record stands: in the user's state folder (XDG)."""
    env = os.environ if env is None else env
    folder = Path(env.get("XDG_STATE_HOME") or home() / ".local" / "state")
    return folder / "airgap-kit" / "seen.json"


def dump_seen(seen: SeenBundles) -> bytes:
    """Return the record's bytes."""
    return json.dumps({"kit_seen": _FORMAT, **asdict(seen)}, indent=1, sort_keys=True).encode() + b"\n"


def parse_seen(data: bytes, where: str) -> SeenBundles:
    """Return the record in some bytes. Raises ConfigError when they are none."""
    try:
        document = json.loads(data)
        if document.pop("kit_seen") != _FORMAT:
            raise ValueError("another format")  # noqa: TRY301 - reported as any other damage
        parts = {part: _part(document.pop(part)) for part in ("signed", "others")}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            "the record of bundles seen here cannot be understood",
            where=where,
            why=f"{type(error).__name__}: {error}",
            fix=f"rm {where} (bundles seen before are then forgotten)",
        ) from error
    return SeenBundles(**parts)


def _part(document: dict[str, Any]) -> dict[str, SeenBundle]:
    found = {str(name): SeenBundle(**fields) for name, fields in document.items()}
    texts = [text for seen in found.values() for text in (seen.locked, seen.digest, seen.at)]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is needed")
    return found


def load_seen(path: Path) -> SeenBundles:
    """Return the record; an empty one when there is none yet. Raises ConfigError."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return SeenBundles()
    except OSError as error:
        raise ConfigError("cannot be read", where=str(path), why=error.strerror or str(error)) from error
    return parse_seen(data, str(path))


def save_seen(path: Path, seen: SeenBundles) -> None:
    """Write the record, whole or not at all. Raises TransferError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(prefix=".seen-", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(dump_seen(seen))
        Path(temporary).replace(path)
    except OSError as error:
        raise TransferError("cannot be written", where=str(path), why=error.strerror or str(error)) from error
