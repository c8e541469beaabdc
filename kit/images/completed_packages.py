"""Package locks with nothing pending: as kit brings them, or completed online and kept in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.images.image_inputs import read_packages
from kit.images.install_packages import cache_folder
from kit.images.lock_packages import Resolver
from kit.images.packages import PackageLock, parse_packages

if TYPE_CHECKING:
    from pathlib import Path

    from kit.images.stacks import BuiltImage, Stack
    from kit.images.uv_subprocess import Installer
    from kit.project.lock import ImageLock


def locks_folder() -> Path:
    """Return the folder of completed package locks, each named by its digest."""
    return cache_folder() / "locks"


def complete_packages(
    rule: BuiltImage, stack: Stack, installer: Installer, pip_mirror: str | None
) -> PackageLock:
    """Return the image's packages, with what is pending asked of its index. Raises TransferError."""
    brought = read_packages(rule, stack)
    if not brought.pending:
        return brought
    lock = Resolver(rule, stack, installer, pip_mirror).complete(brought)
    folder = locks_folder()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{lock.digest.removeprefix('sha256:')}.lock").write_text(lock.text, encoding="utf-8")
    return lock


def kept_packages(brought: PackageLock, digest: str | None) -> PackageLock | None:
    """Return what an earlier `kit lock` completed `brought` to, out of the cache, if it is there."""
    kept = locks_folder() / f"{(digest or '').removeprefix('sha256:')}.lock"
    if digest is None or not kept.is_file():
        return None
    found = parse_packages(kept.read_text(encoding="utf-8"), str(kept))
    added = [f"{pin.name}=={pin.version}" for pin in found.pins if pin not in brought.pins]
    whole = set(brought.pins) <= set(found.pins) and sorted(added) == sorted(brought.pending)
    return found if whole and found.digest == digest else None


def own_packages(lock: ImageLock) -> PackageLock | None:
    """Return the packages that kit.lock itself lists, where kit.yaml asks for some; otherwise None."""
    return parse_packages("\n".join(lock.pins), "kit.lock") if lock.pins else None


def locked_packages(
    rule: BuiltImage, stack: Stack, lock: ImageLock, installer: Installer, pip_mirror: str | None
) -> PackageLock:
    """Return the packages that kit.lock names by digest. Raises ConfigError when they are others by now."""
    digest = lock.packages_digest or ""
    own = own_packages(lock)
    if own is not None and own.digest == digest:
        return own
    brought = read_packages(rule, stack)
    found = kept_packages(brought, digest) or complete_packages(rule, stack, installer, pip_mirror)
    if found.digest != digest:
        raise ConfigError(
            f"the packages of {rule.name} are not the ones that were locked",
            where="kit.lock",
            why=f"locked {digest}, this kit brings {found.digest}",
            fix="kit lock",
        )
    return found
