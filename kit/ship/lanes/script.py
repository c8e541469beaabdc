"""What a lane runs on a host: a POSIX shell that writes records into `partial/`. Pure.

A record is a line `NAME OFFSET LENGTH` and then that many bytes. The shell reads the line byte by
byte, since its input is no file, and leaves the bytes to dd, which writes them where they belong;
then it says the line back. Nothing it writes counts before kit has hashed it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import TransferError

if TYPE_CHECKING:
    from kit.host.port import Argv

SCRIPT = """\
export LC_ALL=C PATH="$PATH:/usr/bin:/bin"
umask 077
cd -- "$1/partial" || exit 1
while read -r name offset length; do
  said=$(dd of="$name" bs=262144 count="$length" seek="$offset" iflag=fullblock,count_bytes \\
    oflag=seek_bytes conv=notrunc 2>&1) || { echo "$said" >&2; exit 1; }
  echo "$name $offset $length"
done
"""
_ACK = re.compile(rb"^([0-9a-z.-]{1,80}) ([0-9]{1,18}) ([0-9]{1,18})$")
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Record:
    """A run of whole frames of one blob."""

    digest: str
    """Or the name of another file in `partial/`."""
    start: int
    stop: int
    """Frame numbers; the last one is not part of it."""
    offset: int
    length: int
    """Bytes of the blob."""
    name: str = ""
    """The file in `partial/`, when it is not the blob's own."""

    @property
    def header(self) -> bytes:
        """The line that goes before its bytes."""
        name = self.name or self.digest.removeprefix("sha256:")
        return f"{name} {self.offset} {self.length}\n".encode()


def lane_argv(root: str) -> Argv:
    """Return the command that takes in records under a host's root."""
    return ("sh", "-c", SCRIPT, "sh", root)


def check_ack(line: bytes, record: Record, host: str) -> None:
    """Raise TransferError unless a host's line says that it took in the record."""
    if not _ACK.match(line) or line + b"\n" != record.header:
        raise TransferError(
            "an answer that kit did not ask for",
            where=host,
            why=f"{line[:_SHOWN]!r} in place of {record.header[:_SHOWN]!r}",
            fix="kit check, then run kit ship again",
        )
