"""Signing with `ssh-keygen -Y sign`: kit never sees the secret.

ssh-keygen asks for a passphrase, the agent or a touch itself, on the terminal.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from kit.errors import ConfigError, VerificationError
from kit.signature.keys import proven_key
from kit.signature.sshsig import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PROGRAM = "ssh-keygen"


def sign_command(key: Path) -> tuple[str, ...]:
    """Return the words that sign standard input; the signature comes on standard output. Pure."""
    return (_PROGRAM, "-Y", "sign", "-n", NAMESPACE, "-f", str(key))


def ssh_keygen_signer(key: Path) -> Callable[[bytes], bytes]:
    """Return a function that signs bytes with a key, and returns the signature file.

    `key` is a private key, or a public one whose private half an agent or a security key holds.
    Raises ConfigError at once when there is no such file or no ssh-keygen; the function raises it
    when ssh-keygen refuses, or when its signature is of a kind that is not accepted.
    """
    key = key.expanduser().absolute()
    if not key.is_file():
        raise ConfigError(
            "no such key",
            where=str(key),
            fix="name a private key, or a .pub whose key is in ssh-agent; ssh-keygen -t ed25519 makes one",
        )
    if shutil.which(_PROGRAM) is None:
        raise ConfigError(
            f"there is no {_PROGRAM} here, which does the signing",
            where="PATH",
            fix="install OpenSSH's client (apt install openssh-client), or sign on another machine: "
            "docs/guide/signatures.md",
        )

    def sign(message: bytes) -> bytes:
        # Standard error stays the terminal's: what ssh-keygen asks and says belongs there.
        done = subprocess.run(sign_command(key), input=message, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise ConfigError(
                "ssh-keygen did not sign",
                where=str(key),
                why=f"it said why above; status {done.returncode}",
                fix=f"try it alone: ssh-keygen -Y sign -n {NAMESPACE} -f {key} FILE",
            )
        try:
            proven_key(message, done.stdout)
        except VerificationError as error:
            raise ConfigError(
                "nobody would accept a signature by this key",
                where=str(key),
                why=error.why,
                fix="ssh-keygen -t ed25519 makes one that is accepted",
            ) from error
        return done.stdout

    return sign
