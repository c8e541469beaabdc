"""Reading the binary form that SSH keys and signatures have. Pure.

Format: RFC 4251, section 5. Whatever could be written in two ways is accepted in one only, so
that no byte can change unnoticed.
"""

from __future__ import annotations

import struct

from kit.errors import VerificationError

SIGNATURE_FILE = "kit.json.sig"


def refused(why: str) -> VerificationError:
    """Return the error for a signature that is none, or none of these bytes."""
    return VerificationError(
        "the signature is not one of this bundle",
        where=SIGNATURE_FILE,
        why=why,
        fix="fetch the bundle again from where it was signed, or have it signed again: kit sign",
    )


def shown(data: bytes) -> str:
    """Return foreign bytes as text that is safe and short enough to print."""
    return ascii(data[:60].decode("utf-8", "replace"))


class Reader:
    """Takes typed values off the front of some bytes. Raises VerificationError when there are too few."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._place = 0

    def take(self, count: int) -> bytes:
        """Return that many bytes."""
        taken = self._data[self._place : self._place + count]
        if len(taken) != count:
            raise refused(f"{self._what} is cut off")
        self._place += count
        return taken

    def number(self) -> int:
        """Return an unsigned 32-bit number."""
        return int(struct.unpack(">I", self.take(4))[0])

    def string(self) -> bytes:
        """Return bytes that follow their own length."""
        return self.take(self.number())

    def positive(self) -> int:
        """Return a whole number above zero, of any size, in its shortest form."""
        data = self.string()
        value = int.from_bytes(data, "big", signed=True)
        if value <= 0 or data != value.to_bytes(value.bit_length() // 8 + 1, "big"):
            raise refused(f"{self._what} has a number in a form that is not allowed")
        return value

    @property
    def is_empty(self) -> bool:
        """Whether all was taken."""
        return self._place == len(self._data)

    @property
    def taken(self) -> bytes:
        """All that was taken so far."""
        return self._data[: self._place]

    def end(self) -> None:
        """Raise VerificationError unless all was taken."""
        if not self.is_empty:
            raise refused(f"{self._what} has bytes too many")


def string(data: bytes) -> bytes:
    """Return bytes behind their own length."""
    return struct.pack(">I", len(data)) + data
