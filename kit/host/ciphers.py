"""Which cipher carries data: AES where both sides have instructions for it, ChaCha20 elsewhere.

Measured with scp, both ends on one machine that has them: aes128-gcm 405 MB/s, chacha20 285 MB/s. Pure, but
for one look at this machine.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

AES_FIRST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")
CHACHA_FIRST = ("chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_LAST = ("aes128-ctr", "aes256-ctr")
"""For servers so old that they know none of the others."""
_FLAGS = re.compile(r"^(?:flags|features)\s*:(?:.*\s)?aes(?:\s|$)", re.IGNORECASE | re.MULTILINE)


def lane_ciphers(known: tuple[str, ...], *, aes_here: bool, aes_there: bool) -> tuple[str, ...]:
    """Return the ciphers to offer, the best first; `known` is what this machine's ssh has."""
    wanted = AES_FIRST if aes_here and aes_there else CHACHA_FIRST
    return tuple(cipher for cipher in (*wanted, *_LAST) if cipher in known)


def names_aes(cpuinfo: str) -> bool:
    """Say whether Linux's /proc/cpuinfo tells of AES instructions (x86: `flags`, ARM: `Features`)."""
    return _FLAGS.search(cpuinfo) is not None


def aes_here() -> bool:
    """Say whether this machine's processor is known to have AES instructions."""
    try:
        return names_aes(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        # Every Mac that runs a supported system has them.
        return platform.system() == "Darwin"
