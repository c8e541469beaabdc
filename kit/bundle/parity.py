"""Parity over volumes: a systematic Reed–Solomon code over bytes, by ISA-L through pyeclib.

The code is taken byte by byte over volumes padded with zeros to equal length, so a volume of
parity is as long as the longest of its group. pyeclib puts a header before each share, which says
nothing about the bytes; it is not stored, and made again where it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_MEMORY = 16 << 20
"""Bytes of one stripe over all volumes of a group; about four times that is held at once."""
_LARGEST = 1 << 20
_WORD = 512
"""Shares of a stripe are this long or a multiple of it."""
_HEADER = 80


def stripes(size: int, shares: int) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) that together cover `size` bytes of every volume of a group."""
    step = max(_WORD, min(_LARGEST, _MEMORY // shares // _WORD * _WORD))
    for offset in range(0, size, step):
        yield offset, min(step, size - offset)


@dataclass(frozen=True, slots=True)
class Code:
    """`data` volumes, of which any `parity` lost ones come back."""

    data: int
    parity: int

    def _driver(self) -> Any:
        try:
            from pyeclib.ec_iface import ECDriver
        except ImportError as error:
            raise ConfigError(
                "parity volumes need the package pyeclib, which is not installed",
                why=str(error),
                fix="pip install pyeclib, on Linux (kit's own image has it)",
            ) from error
        # Cauchy, not Vandermonde: with it any `data` shares suffice, whatever their numbers.
        return ECDriver(k=self.data, m=self.parity, ec_type="isa_l_rs_cauchy")

    def encoder(self) -> Callable[[Sequence[bytes]], list[bytes]]:
        """Return a function that takes a stripe, equally long, and gives its parity.

        Raises ConfigError when the library is missing.
        """
        driver = self._driver()

        def encode(pieces: Sequence[bytes]) -> list[bytes]:
            length = len(pieces[0])
            whole = -(-length // _WORD) * _WORD
            shares = driver.encode(b"".join(piece.ljust(whole, b"\0") for piece in pieces))
            return [bytes(share[_HEADER : _HEADER + length]) for share in shares[self.data :]]

        return encode

    def decoder(self, lost: Sequence[int]) -> Callable[[Mapping[int, bytes]], dict[int, bytes]]:
        """Return a function that takes `data` pieces of a stripe by number and gives the lost ones."""
        driver = self._driver()
        headers: dict[int, list[bytes]] = {}

        def decode(pieces: Mapping[int, bytes]) -> dict[int, bytes]:
            length = len(next(iter(pieces.values())))
            whole = -(-length // _WORD) * _WORD
            if whole not in headers:
                empty = driver.encode(bytes(whole * self.data))
                headers[whole] = [bytes(share[:_HEADER]) for share in empty]
            shares = [headers[whole][number] + piece.ljust(whole, b"\0") for number, piece in pieces.items()]
            found = driver.reconstruct(shares, list(lost))
            return {
                number: bytes(share[_HEADER : _HEADER + length])
                for number, share in zip(lost, found, strict=True)
            }

        return decode
