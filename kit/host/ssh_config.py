"""~/.ssh/config as paramiko reads it, with the `Include` lines that paramiko passes over.

Format: ssh_config(5). The first value found for a keyword counts, so what is included replaces its line.
"""

from __future__ import annotations

import glob
import io
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = Path("~/.ssh/config")
SYSTEM = Path("/etc/ssh/ssh_config")
DEEPEST = 16
"""Most files that may include each other in a row, as in OpenSSH."""
_LINE = re.compile(r"^\s*(\w+)\s*(?:=|\s)\s*(.*?)\s*$")
_ALONE = ("all", "canonical", "final")
_MATCHED = ("host", "originalhost", "user", "localuser", "exec")
"""What paramiko can judge of a Match line, without and with a value; it would take all else for true."""
_EVERYBODY = ("host *", "match all")


def read_ssh_config(named: Path | None, first_lines: str = "") -> paramiko.SSHConfig:
    """Return the configuration: `first_lines`, then the named file or else the user's and the system's.

    Raises ConfigError for a named file that is not there, and for what cannot be read as configuration.
    """
    if named is not None and not named.is_file():
        raise ConfigError("no such file", where=str(named), fix="correct KIT_SSH_CONFIG")
    config = paramiko.SSHConfig()
    config.parse(io.StringIO(first_lines))
    for path in (named,) if named else (USER.expanduser(), SYSTEM):
        if path.is_file():
            folder = SYSTEM.parent if path == SYSTEM else USER.expanduser().parent
            _parse(config, path, "".join(_expanded(path, folder, 0)))
    return config


def _parse(config: paramiko.SSHConfig, path: Path, text: str) -> None:
    try:
        config.parse(io.StringIO(text))
    except (paramiko.SSHException, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> ConfigError:
    return ConfigError("no SSH configuration", where=str(path), why=why, fix="ssh -G HOST tells more")


def _expanded(path: Path, folder: Path, depth: int) -> Iterator[str]:
    """Yield the lines of a file, each `Include` replaced by the lines of its files."""
    if depth > DEEPEST:
        raise _unreadable(path, f"files include each other more than {DEEPEST} deep")
    block = ""
    for line in _lines(path):
        found = _LINE.match(line)
        keyword = found[1].lower() if found else ""
        if keyword in ("host", "match"):
            block = line
        if found and keyword == "match":
            _require_judged(path, found[2])
        if found and keyword == "include":
            for included in _included(found[2], folder):
                yield from _fitted(included, list(_expanded(included, folder, depth + 1)), block)
                # A block that began in there ends there.
                yield block or "Host *\n"
        else:
            yield line


def _require_judged(path: Path, criteria: str) -> None:
    try:
        words = iter(shlex.split(criteria))
    except ValueError as error:
        raise _unreadable(path, f"Match {criteria}: {error}") from error
    for word in words:
        kind = word.lstrip("!").lower()
        if kind in _MATCHED:
            next(words, None)
        elif kind not in _ALONE:
            why = f"kit cannot tell whether 'Match {criteria}' holds"
            fix = "name another file for kit: KIT_SSH_CONFIG=…"
            raise ConfigError("no SSH configuration", where=str(path), why=why, fix=fix)


def _lines(path: Path) -> list[str]:
    try:
        return [f"{line}\n" for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error


def _included(patterns: str, folder: Path) -> Iterator[Path]:
    for pattern in re.findall(r'"[^"]*"|\S+', patterns):
        place = folder / Path(pattern.strip('"')).expanduser()
        yield from (Path(name) for name in sorted(glob.glob(str(place))) if Path(name).is_file())  # noqa: PTH207


def _fitted(path: Path, lines: list[str], block: str) -> list[str]:
    """Return included lines. Blocks within a block would have to match both; paramiko cannot say that."""
    inner = any((found := _LINE.match(line)) and found[1].lower() in ("host", "match") for line in lines)
    if inner and " ".join(block.lower().split()) not in ("", *_EVERYBODY):
        why = f"it is included below {block.strip()!r} and has Host or Match lines of its own"
        raise ConfigError(
            "no SSH configuration",
            where=str(path),
            why=why,
            fix="move the Include above the first Host, which kit can read",
        )
    return lines
