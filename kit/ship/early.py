"""Blobs that are sent before anybody holds a host's lock: under which names, and what is told of them. Pure.

Another ship may be at work on the host at that time and give the file of `partial/` that we were writing
its final name. So each ship writes into files of its own; an agent, under the lock, takes them over.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.ship.framed import FrameRanges

EARLY_NAME = r"early\.([0-9a-f]{8})\.([0-9a-f]{64})"
"""Run, and the blob's sha256. The script that asks what a host has lists it: it begins with a hex digit."""
_RUN = re.compile("([0-9a-f]{8})?")
_DIGEST = re.compile("sha256:[0-9a-f]{64}")


def new_run() -> str:
    """Return what no other ship's files are named by."""
    return secrets.token_hex(4)


def early_name(run: str, digest: str) -> str:
    """Return the name in `partial/` of a blob that comes early."""
    return f"early.{run}.{digest.removeprefix('sha256:')}"


@dataclass(frozen=True, slots=True)
class Early:
    """What a sender knows to lie on a host, with nobody writing it any more, before it talks to the agent."""

    run: str = ""
    frames: Mapping[str, FrameRanges] = field(default_factory=lambda: MappingProxyType({}))
    """Digest -> those of its frames that were written; what they hold is not proven."""

    @property
    def document(self) -> dict[str, Any]:
        """What `parse_early` reads."""
        return {"run": self.run, "frames": {digest: list(ranges) for digest, ranges in self.frames.items()}}


NOTHING_EARLY = Early()


def parse_early(document: Any) -> Early:
    """Return what a request tells. Raises ValueError, TypeError, KeyError, AttributeError."""
    run = document["run"]
    if not _RUN.fullmatch(run):
        raise ValueError(f"{run!r:.40} names no run")
    frames = {digest: tuple(map(_range, ranges)) for digest, ranges in document["frames"].items()}
    if not all(map(_DIGEST.fullmatch, frames)):
        raise ValueError("frames of what is no blob")
    return Early(run, frames)


def _range(said: Any) -> tuple[int, int]:
    start, stop = said
    if type(start) is not int or type(stop) is not int or not 0 <= start < stop:
        raise ValueError(f"frames {start!r:.40} to {stop!r:.40}")
    return start, stop
