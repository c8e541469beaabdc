"""Putting a signature beside the kit.json of a bundle that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.folder_target import FolderTarget
from kit.bundle.source import open_bundle, with_signature
from kit.bundle.write_tarball import write_tarball
from kit.errors import ConfigError
from kit.signature.trust import NOT_SIGNED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit.bundle.source import BundleSource
    from kit.progress import Progress


def open_unjudged(path: Path) -> BundleSource:
    """Return the bundle at `path` whatever its signature; only for giving it another one.

    Raises what `open_bundle` raises.
    """
    return open_bundle(path, lambda _data, _signature, _where: NOT_SIGNED)


def sign_bundle(path: Path, sign: Callable[[bytes], bytes], progress: Progress) -> BundleSource:
    """Give the bundle at `path` the signature that `sign` makes of its kit.json; return it, opened.

    A signature that was there is replaced. A folder gets a file; a tarball is written once more,
    and stays as it is until that is done. Raises ConfigError (no bundle, or it changed meanwhile),
    VerificationError (the bundle, or the signature, is not right), UnfitError, TransferError.
    """
    source = open_unjudged(path)
    signature = sign(source.manifest_bytes)
    if path.is_dir():
        _sign_folder(path, source, signature)
    else:
        write_tarball(with_signature(source, signature), path, progress)
    return open_bundle(path)


def _sign_folder(path: Path, source: BundleSource, signature: bytes) -> None:
    target = FolderTarget(path)
    with target.opened():
        if open_unjudged(path).manifest_bytes != source.manifest_bytes:
            raise ConfigError("the bundle changed while it was signed", where=str(path), fix="kit sign again")
        target.publish(source.manifest, source.lock_bytes, signature)
