"""The file that names who may sign, as `ssh-keygen -Y verify` reads it. Pure.

Format: ssh-keygen(1), ALLOWED SIGNERS: principals, options, key type, key, comment. A line that
ssh-keygen would stop at is refused with its number.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import re
import time
from dataclasses import dataclass, field, replace

from kit.errors import ConfigError
from kit.signature.patterns import matches
from kit.signature.sshsig import NAMESPACE

_SPACE = " \t"
_TIMES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Length of a timestamp -> its form."""
_TIME = re.compile(r"([0-9]{8}|[0-9]{12}|[0-9]{14})(Z?)")
_OPTION = re.compile(r'(?i)(cert-authority)|(namespaces|valid-after|valid-before)="((?:\\"|[^"])*)"')


@dataclass(frozen=True, slots=True)
class AllowedSigner:
    """One line: a key, whose it is, and for what and when it counts."""

    principals: str
    """A pattern list."""
    key: bytes = field(repr=False)
    """The public key in SSH's binary form."""
    namespaces: str | None = None
    """A pattern list; None: all."""
    valid_after: float | None = None
    """Seconds since 1970; None: always was."""
    valid_before: float | None = None
    is_authority: bool = False
    """Whether the key counts for the certificates that it signed, and for nothing else."""

    def objection(self, at: float) -> str:
        """Return why the key does not count for a bundle at a time, or nothing when it does."""
        if self.namespaces is not None and not matches(NAMESPACE, self.namespaces):
            return f"that key is not there for namespace {NAMESPACE}, only for {self.namespaces}"
        if self.valid_after is not None and at < self.valid_after:
            return f"that key counts from {_utc(self.valid_after)} on only"
        if self.valid_before is not None and at > self.valid_before:
            return f"that key counted until {_utc(self.valid_before)} only"
        return ""


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse_allowed_signers(text: str, where: str) -> tuple[AllowedSigner, ...]:
    """Return the lines of an allowed-signers file. Raises ConfigError naming the line."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        line_text = line.rstrip("\r").strip(_SPACE)
        if line_text and not line_text.startswith("#"):
            found.append(_parse_line(line_text, f"{where}:{number}"))
    return tuple(found)


def _wrong(where: str, why: str) -> ConfigError:
    return ConfigError(
        "not a line of an allowed-signers file",
        where=where,
        why=why,
        fix='e.g. alice@example.com namespaces="kit-bundle" ssh-ed25519 AAAA…; see ssh-keygen(1)',
    )


def _parse_line(line: str, where: str) -> AllowedSigner:
    principals, rest = _principals(line, where)
    key = _key(rest)
    signer = AllowedSigner(principals, key or b"")
    if key is None:
        options, rest = _split_options(rest, where)
        key = _key(rest)
        if key is None:
            raise _wrong(where, "no key type and key where they are expected")
        signer = _with_options(replace(signer, key=key), options, where)
    return signer


def _principals(line: str, where: str) -> tuple[str, str]:
    if line.startswith('"'):
        principals, quote, rest = line[1:].partition('"')
        if not quote:
            raise _wrong(where, "the quote of the principals has no end")
    else:
        principals, *more = re.split(rf"[{_SPACE}]", line, maxsplit=1)
        rest = "".join(more)
    if not principals.isprintable() or not principals:
        raise _wrong(where, "principals that cannot be shown")
    return principals, rest.lstrip(_SPACE)


def _key(text: str) -> bytes | None:
    """Return the key that a text begins with, when it does: a type, and base64 that names that type."""
    words = text.split(None, 2)
    try:
        name, blob = words[0].encode(), base64.b64decode(words[1], validate=True)
    except (IndexError, ValueError, binascii.Error):
        return None
    return blob if blob.startswith(len(name).to_bytes(4, "big") + name) else None


def _split_options(text: str, where: str) -> tuple[str, str]:
    """Return the options and what follows them; spaces within quotes belong to the options."""
    quoted, place = False, 0
    while place < len(text) and (quoted or text[place] not in _SPACE):
        if text.startswith('\\"', place):
            place += 1
        elif text[place] == '"':
            quoted = not quoted
        place += 1
    if quoted:
        raise _wrong(where, "a quote without an end")
    return text[:place], text[place:].lstrip(_SPACE)


def _with_options(signer: AllowedSigner, options: str, where: str) -> AllowedSigner:
    place, seen = 0, set()
    while True:
        option = _OPTION.match(options, place)
        if option is None:
            raise _wrong(where, f"an option that is not known, or no key: {options[place:][:60]!a}")
        name = (option[1] or option[2]).lower()
        if name in seen and name != "cert-authority":
            raise _wrong(where, f"{name} twice")
        seen.add(name)
        signer = _with_option(signer, name, (option[3] or "").replace('\\"', '"'), where)
        place = option.end()
        if place == len(options):
            return signer
        if options[place] != ",":
            raise _wrong(where, f"no comma after {name}")
        place += 1


def _with_option(signer: AllowedSigner, name: str, value: str, where: str) -> AllowedSigner:
    if name == "cert-authority":
        return replace(signer, is_authority=True)
    if name == "namespaces":
        if not value.isprintable():
            raise _wrong(where, "namespaces that cannot be shown")
        return replace(signer, namespaces=value)
    moment = _seconds(value, f"{where}: {name}")
    return (
        replace(signer, valid_after=moment) if name == "valid-after" else replace(signer, valid_before=moment)
    )


def _seconds(text: str, where: str) -> float:
    """Return a timestamp as seconds since 1970; without Z it is local time."""
    found = _TIME.fullmatch(text)
    try:
        if found:
            parsed = time.strptime(found[1], _TIMES[len(found[1])])
            return float(calendar.timegm(parsed) if found[2] else time.mktime(parsed))
    except (ValueError, OverflowError):
        pass
    raise _wrong(where, f"{text[:40]!a} is no time; YYYYMMDD or YYYYMMDDHHMM[SS], with Z for UTC")
