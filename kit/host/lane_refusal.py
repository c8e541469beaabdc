"""Why an `ssh` did not get through, from what it said: worth another try, or of no use here. Pure.

The words are those of OpenSSH's client, and paramiko's ("protocol banner"). A wrong guess costs seconds: what
ssh cannot do, paramiko tries.
"""

from __future__ import annotations

from enum import Enum


class Refusal(Enum):
    """What to do next."""

    BUSY = "the host takes no further connection just now"
    """sshd drops logins beyond MaxStartups before it greets; so do firewalls that count connections."""
    GONE = "the host does not answer"
    LOGIN = "ssh cannot log in as kit does"


_LOGIN = ("Permission denied", "Host key verification failed", "no matching", "Too many authentication")
_BUSY = (
    "exchange_identification",
    "banner exchange",
    "protocol banner",
    "Exceeded MaxStartups",
    "Not allowed at this time",
    "Connection closed by",
    "Connection reset by",
    "Connection refused",
    "Broken pipe",
)
_GONE = ("timed out", "No route to host", "Network is unreachable", "unreachable host")
TRIES = 6
_FIRST = 0.25
"""Seconds before the second try."""


def refusal_of(errors: str) -> Refusal:
    """Return what an ssh's last words mean."""
    if any(word in errors for word in _LOGIN):
        return Refusal.LOGIN
    if any(word in errors for word in _GONE):
        return Refusal.GONE
    return Refusal.BUSY if any(word in errors for word in _BUSY) else Refusal.LOGIN


def pauses(share: float) -> tuple[float, ...]:
    """Return the seconds to wait before each further try: doubled each time, shifted by `share` (0 to 1).

    Machines that were refused together must not come back together.
    """
    return tuple(_FIRST * 2**number * (1 + share) for number in range(TRIES - 1))
