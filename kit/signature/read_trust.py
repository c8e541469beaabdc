"""Reading what this machine demands of bundles: trust.yaml, and the files that it names.

Every policy there is applies: the administrator's in /etc, and the user's own. A file that
anybody may change decides nothing: it is refused.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.signature.allowed_signers import parse_allowed_signers
from kit.signature.policy import Policy, parse_policy
from kit.signature.trust import Rule, Trust
from kit.written_yaml import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "KIT_TRUST"
"""Names a policy to read in place of the user's own."""
SYSTEM_POLICY = Path("/etc/airgap-kit/trust.yaml")
_LIMIT = 1 << 20
"""Most bytes of a policy or an allowed-signers file."""


def policy_paths(env: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the policies that apply, in order, whether they exist or not, but one named in KIT_TRUST.

    Raises ConfigError when KIT_TRUST names none.
    """
    if env.get(VARIABLE):
        own = Path(env[VARIABLE])
        if not own.is_file():
            raise ConfigError(
                "no such file", where=str(own), why=f"{VARIABLE} names it", fix=f"unset {VARIABLE}"
            )
        return SYSTEM_POLICY, own
    folder = Path(env.get("XDG_CONFIG_HOME") or home() / ".config")
    return SYSTEM_POLICY, folder / "airgap-kit" / "trust.yaml"


def home() -> Path:
    """Return the user's home; for one who has none, a folder that is not there."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def read_trust(env: Mapping[str, str] | None = None, *, allowed_signers: Path | None = None) -> Trust:
    """Return what this machine demands; `allowed_signers` adds the demand to be signed by one of these.

    Raises ConfigError when a policy cannot be read, is malformed, or may be changed by anybody.
    """
    paths = policy_paths(os.environ if env is None else env)
    rules = tuple(read_rule(path) for path in paths if _is_there(path))
    if allowed_signers is not None:
        rules += (_rule(Policy(True, str(allowed_signers.absolute())), "--allowed-signers", Path()),)  # noqa: FBT003
    return Trust(rules, time.time())


def read_rule(path: Path) -> Rule:
    """Return one policy with its allowed-signers file. Raises ConfigError."""
    document = parse_yaml(read_guarded(path), str(path))
    return _rule(parse_policy(document, str(path)), str(path), path.parent)


def _rule(policy: Policy, where: str, folder: Path) -> Rule:
    path = folder / Path(policy.allowed_signers).expanduser()
    named = bool(policy.allowed_signers)
    return Rule(
        where=where,
        require_signature=policy.require_signature,
        refuse_older=policy.refuse_older,
        signers=policy.signers,
        signers_file=str(path) if named else "",
        allowed=parse_allowed_signers(read_guarded(path), str(path)) if named else (),
    )


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError("cannot be read", where=str(path), why=error.strerror or str(error)) from error
    return True


def read_guarded(path: Path) -> str:
    """Return the text of a file that decides whom to trust.

    Raises ConfigError when it cannot be read, or when anybody may change it or exchange it.
    """
    try:
        with path.open("rb") as file:
            _require_guarded(os.fstat(file.fileno()), path.resolve().parent.stat(), path)
            data = file.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            raise ConfigError(f"larger than {_LIMIT} bytes", where=str(path))
        return data.decode()
    except OSError as error:
        raise ConfigError("cannot be read", where=str(path), why=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("not UTF-8", where=str(path), why=str(error)) from error


def _require_guarded(file: os.stat_result, folder: os.stat_result, path: Path) -> None:
    if sys.platform == "win32":
        return  # Its access lists do not show in these bits.
    if not stat.S_ISREG(file.st_mode):
        raise ConfigError("no plain file", where=str(path))
    if file.st_mode & stat.S_IWOTH:
        raise _open_to_all(str(path), f"chmod o-w {path}")
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        raise _open_to_all(str(path.parent), f"chmod o-w {path.parent}")


def _open_to_all(where: str, fix: str) -> ConfigError:
    return ConfigError("anybody may change it, so it cannot say whom to trust", where=where, fix=fix)
