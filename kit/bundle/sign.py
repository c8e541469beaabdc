"""Putting a signature beside the kit.json of a bundle that is there already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.extent import Extent
from kit.bundle.folder_target import FolderTarget
from kit.bundle.source import SMALL_LIMIT, open_bundle, read_claim
from kit.bundle.tar_form import BLOCK, MANIFEST_NAME, SIGNATURE_NAME, padded, read_size, tail_chunks
from kit.bundle.volume_set import find_set
from kit.errors import ConfigError
from kit.signature.trust import NOT_SIGNED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit.bundle.source import BundleSource


_DIGITS = 20
"""Of the place, at the beginning of a record of signing."""


def open_unjudged(path: Path) -> BundleSource:
    """Return the bundle at `path` whatever its signature; only for giving it another one.

    Raises what `open_bundle` raises.
    """
    return open_bundle(path, lambda _data, _signature, _where: NOT_SIGNED)


def sign_bundle(path: Path, sign: Callable[[bytes], bytes]) -> BundleSource:
    """Give the bundle at `path` the signature that `sign` makes of its kit.json; return it, opened.

    A signature that was there is replaced. A folder gets a file; of a tarball the last few kilobytes
    are written again, and what a kill cuts off there is finished by signing again. Raises ConfigError
    (no bundle, or it changed meanwhile, or it is cut into volumes), VerificationError (the bundle, or
    the signature, is not right), UnfitError, TransferError.
    """
    if not path.is_dir() and find_set(path) is not None:
        fix = "kit bundle -o NAME.tar --volume-size … --sign KEY, which copies what is there"
        raise ConfigError("volumes are signed when they are made", where=str(path), fix=fix)
    _finish(path)
    source = open_unjudged(path)
    signature = sign(source.manifest_bytes)
    if path.is_dir():
        _sign_folder(path, source, signature)
    else:
        _sign_tarball(path, source, signature)
    return open_bundle(path)


def _sign_folder(path: Path, source: BundleSource, signature: bytes) -> None:
    target = FolderTarget(path)
    with target.opened():
        if open_unjudged(path).manifest_bytes != source.manifest_bytes:
            raise ConfigError("the bundle changed while it was signed", where=str(path), fix="kit sign again")
        target.publish(source.manifest, source.lock_bytes, signature)


def _sign_tarball(path: Path, source: BundleSource, signature: bytes) -> None:
    extent = Extent.of_file(path, path.stat().st_size)
    place, data, _ = read_claim(extent, str(path))
    if data != source.manifest_bytes:
        raise ConfigError("the bundle changed while it was signed", where=str(path), fix="kit sign again")
    # What stands before kit.json stays; so its place, and all that follows, is known.
    tail = b"".join(tail_chunks({MANIFEST_NAME: data, SIGNATURE_NAME: signature}, place))
    with writing(path):
        _write_synced(_record(path), b"%0*d" % (_DIGITS, place) + tail)
        _write_tail(path, place, tail)
        _record(path).unlink()


def _record(path: Path) -> Path:
    """Return where the new end of a tarball stands until it is written in its place."""
    return path.with_name(path.name + ".signing")


def _write_synced(path: Path, data: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def _write_tail(path: Path, place: int, tail: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(tail)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _finish(path: Path) -> None:
    """Write the end that an interrupted signing recorded; forget it when the tarball is another one now."""
    record = _record(path)
    if not record.is_file() or not path.is_file():
        return
    with writing(path):
        data = record.read_bytes()
        place, tail = int(data[:_DIGITS]), data[_DIGITS:]
        size = BLOCK + padded(read_size(tail[:BLOCK], MANIFEST_NAME, SMALL_LIMIT, str(record)))
        # Signing leaves kit.json as it is, so it tells whether this is still the same bundle.
        if Extent.of_file(path, path.stat().st_size).bytes(place, size) == tail[:size]:
            _write_tail(path, place, tail)
        record.unlink()
