"""Opening a bundle, in either form, without trusting any of it before it is checked.

Order of checks: whoever judges signatures is given kit.json's bytes and kit.json.sig, before
anything of them is understood; kit.json is parsed strictly; every part's own manifest must follow
from it; index.json and oci-layout must be the bytes that follow from it; kit.lock must have the
sha256 that it names; every blob must be a plain file of exactly the size it gives. Hashes of blobs
are checked while they are read, by `read` or by `verify_bundle`.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from kit.bundle.digest import blob_of, open_regular, read_file, verified, wrong_bytes
from kit.bundle.extent import Extent
from kit.bundle.oci_layout import check_descriptions
from kit.bundle.parse_manifest import parse_manifest
from kit.bundle.switch import current_file
from kit.bundle.tar_form import (
    BLOCK,
    FIXED_NAMES,
    LOCK_NAME,
    MANIFEST_NAME,
    SIGNATURE_NAME,
    TRAILER,
    blob_name,
    blobs_size,
    fixed_files,
    is_signature,
    lock_place,
    not_a_bundle,
    padded,
    read_size,
    read_trailer,
    tail_chunks,
    tar_header,
)
from kit.bundle.volume_set import VolumeSet, find_set, look, unusable
from kit.errors import ConfigError, VerificationError
from kit.signature.trust import NOTHING_DEMANDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kit.bundle.extent import FileRange
    from kit.bundle.manifest import Blob, Manifest
    from kit.signature.trust import Verdict

    Judge = Callable[[bytes, bytes | None, str], Verdict]
    """Given kit.json, kit.json.sig and the bundle's place; raises VerificationError to refuse it."""

_NAME_FIELD = 100
"""Bytes of a member's name in its header."""
SMALL_LIMIT = 64 << 20
"""Most bytes that kit.json or kit.lock may have."""
SIGNATURE_LIMIT = 64 << 10
"""Most bytes that kit.json.sig may have; that of the largest RSA key has 6 KB."""


class VerifiedBlobs(Protocol):
    """Blobs to read, from any thread, each held against its digest."""

    @property
    def where(self) -> str:
        """Their place, for messages."""

    def read(self, digest: str) -> Iterator[bytes]:
        """Yield a blob's bytes; they must not be used before the iterator has ended.

        Raises VerificationError when they are not the blob's, TransferError when reading fails.
        """


class BundleSource(VerifiedBlobs, Protocol):
    """A bundle to read from, from any thread."""

    @property
    def manifest(self) -> Manifest:
        """What it holds."""

    @property
    def manifest_bytes(self) -> bytes:
        """kit.json; its sha256 is the bundle's digest."""

    @property
    def lock_bytes(self) -> bytes:
        """kit.lock, as it was when the bundle was made."""

    @property
    def signature_bytes(self) -> bytes | None:
        """kit.json.sig, or None when the bundle is not signed."""

    @property
    def signature(self) -> Verdict:
        """Who signed it, as far as this machine can tell."""

    def read_range(self, digest: str, offset: int, length: int | None = None) -> Iterator[bytes]:
        """Yield bytes of a blob, unverified. Raises TransferError when reading fails."""

    def ranges(self, digest: str, offset: int, length: int) -> Iterator[FileRange]:
        """Yield the ranges of files that hold bytes of a blob, for whoever can pass them on unread."""


def trusted_manifest(data: bytes) -> Manifest:
    """Return the manifest in kit.json's bytes, once its parts agree. Pure. Raises VerificationError."""
    manifest = parse_manifest(data)
    check_descriptions(manifest)
    return manifest


def check_fixed_files(manifest: Manifest, files: dict[str, bytes], where: str) -> None:
    """Raise VerificationError unless the fixed files agree with the manifest. Pure."""
    expected = fixed_files(manifest, files[MANIFEST_NAME], files[LOCK_NAME], None)
    wrong = [name for name in FIXED_NAMES if files[name] != expected[name]]
    if blob_of(files[LOCK_NAME]).digest != manifest.lock_digest:
        wrong.append(LOCK_NAME)
    if wrong:
        raise VerificationError(
            f"{wrong[0]} is not the one that kit.json describes",
            where=where,
            fix="fetch the bundle again from where it was made, or run kit bundle there",
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a blob's bytes lie."""

    extent: Extent
    offset: int
    blob: Blob

    def within(self, offset: int, length: int | None) -> int:
        """Return how many of so many bytes are the blob's own."""
        left = max(self.blob.size - offset, 0)
        return left if length is None else min(length, left)


@dataclass(frozen=True, slots=True)
class _OpenedBundle:
    """A bundle whose blobs are ranges of files: of their own, or all of one tar."""

    where: str
    manifest: Manifest
    manifest_bytes: bytes = field(repr=False)
    lock_bytes: bytes = field(repr=False)
    signature_bytes: bytes | None = field(repr=False)
    signature: Verdict
    places: dict[str, _Place] = field(repr=False)

    def _place(self, digest: str) -> _Place:
        place = self.places.get(digest)
        if place is None:
            raise VerificationError(f"the bundle has no blob {digest}", where=self.where)
        return place

    def read(self, digest: str) -> Iterator[bytes]:
        """Yield a blob's bytes, hashed on the way."""
        place = self._place(digest)
        return verified(self.read_range(digest, 0), place.blob, self.where)

    def read_range(self, digest: str, offset: int, length: int | None = None) -> Iterator[bytes]:
        """Yield bytes of a blob, unverified, never beyond its end."""
        place = self._place(digest)
        return place.extent.read(place.offset + offset, place.within(offset, length))

    def ranges(self, digest: str, offset: int, length: int) -> Iterator[FileRange]:
        """Yield the ranges of files that hold bytes of a blob, never beyond its end."""
        place = self._place(digest)
        return place.extent.ranges(place.offset + offset, place.within(offset, length))


def open_bundle(path: Path, judge: Judge = NOTHING_DEMANDED.judge) -> BundleSource:
    """Return the bundle at `path`: a folder, a tarball, or volumes, by any of them, their list or folder.

    Unless told otherwise, `judge` demands no signature, and refuses one of other bytes.
    Raises ConfigError when there is none, VerificationError when it is not whole or not as kit
    makes it, TransferError when it cannot be read.
    """
    if path.is_dir() and current_file(path, MANIFEST_NAME).exists():
        return _open_folder(path, judge)
    volumes = find_set(path)
    if volumes is not None:
        return _open_volumes(volumes, judge)
    if path.is_dir():
        raise ConfigError("no bundle in this folder", where=str(path), fix="kit bundle")
    if path.is_file():
        return _open_tarball(path, judge)
    raise ConfigError("no bundle here", where=str(path), fix="kit bundle, or name one with -b PATH")


def _read_fixed(folder: Path, name: str) -> bytes:
    path = current_file(folder, name)
    if not path.exists():
        raise VerificationError(f"{name} is missing", where=str(folder), fix="kit bundle")
    return _read_whole(path, SMALL_LIMIT)


def _read_whole(path: Path, limit: int) -> bytes:
    data = _range(path, 0, limit + 1)
    if len(data) > limit:
        raise VerificationError(f"larger than {limit} bytes", where=str(path), fix="kit bundle")
    return data


def _folder_signature(folder: Path) -> bytes | None:
    path = current_file(folder, SIGNATURE_NAME)
    # A dangling link is no missing file: reading it fails and says so.
    return _read_whole(path, SIGNATURE_LIMIT) if path.is_symlink() or path.exists() else None


def _open_folder(folder: Path, judge: Judge) -> BundleSource:
    data, signature = _read_fixed(folder, MANIFEST_NAME), _folder_signature(folder)
    verdict = judge(data, signature, str(folder))
    manifest = trusted_manifest(data)
    files = {name: data if name == MANIFEST_NAME else _read_fixed(folder, name) for name in FIXED_NAMES}
    check_fixed_files(manifest, files, str(folder))
    places = {}
    for blob in manifest.blobs:
        path = folder / blob_name(blob.digest)
        _check_file(path, blob)
        places[blob.digest] = _Place(Extent.of_file(path, blob.size), 0, blob)
    return _OpenedBundle(str(folder), manifest, data, files[LOCK_NAME], signature, verdict, places)


def _check_file(path: Path, blob: Blob) -> None:
    try:
        status = path.lstat()
    except OSError as error:
        raise wrong_bytes(blob, str(path), error.strerror or str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise wrong_bytes(blob, str(path), "it is no plain file")
    if status.st_size != blob.size:
        raise wrong_bytes(blob, str(path), f"{status.st_size} bytes in place of {blob.size}")


def _range(path: Path, offset: int, length: int) -> bytes:
    return b"".join(read_file(path, offset, length))


def _open_tarball(path: Path, judge: Judge) -> BundleSource:
    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    return open_extent(Extent.of_file(path, size), str(path), judge)


def _open_volumes(volumes: VolumeSet, judge: Judge) -> BundleSource:
    wrong = look(volumes)
    if wrong:
        raise unusable(volumes, wrong, None)
    source = open_extent(volumes.extent, str(volumes.list_path), judge)
    if blob_of(source.manifest_bytes).digest != volumes.listing.bundle:
        why = "their list names another kit.json than they hold"
        raise VerificationError("volumes of another bundle", where=str(volumes.list_path), why=why)
    return source


def open_extent(extent: Extent, where: str, judge: Judge) -> BundleSource:
    """Return the bundle in the tar form that the extent holds. Raises as `open_bundle` does."""
    _, data, signature = read_claim(extent, where)
    verdict = judge(data, signature, where)
    manifest = trusted_manifest(data)
    files = fixed_files(
        manifest, data, _sized(extent, lock_place(manifest), LOCK_NAME, SMALL_LIMIT), signature
    )
    check_fixed_files(manifest, files, where)
    _check_tail(extent, blobs_size(manifest), files)
    places = _blob_places(extent, manifest)
    return _OpenedBundle(where, manifest, data, files[LOCK_NAME], signature, verdict, places)


def read_claim(extent: Extent, where: str) -> tuple[int, bytes, bytes | None]:
    """Return where kit.json's header is, kit.json and kit.json.sig, none of it believed yet.

    Raises VerificationError, TransferError.
    """
    if extent.size < TRAILER:
        raise not_a_bundle(where, f"{extent.size} bytes are too few")
    place = read_trailer(extent.bytes(extent.size - TRAILER, TRAILER), extent.where(extent.size - TRAILER))
    data = _sized(extent, place, MANIFEST_NAME, SMALL_LIMIT)
    end = place + BLOCK + padded(len(data))
    signed = is_signature(extent.bytes(end, BLOCK))
    return place, data, _sized(extent, end, SIGNATURE_NAME, SIGNATURE_LIMIT) if signed else None


def _sized(extent: Extent, place: int, name: str, limit: int) -> bytes:
    size = read_size(extent.bytes(place, BLOCK), name, limit, extent.where(place))
    return extent.bytes(place + BLOCK, size)


def _check_tail(extent: Extent, start: int, files: dict[str, bytes]) -> None:
    offset = start
    for expected in tail_chunks(files, start):
        if extent.bytes(offset, len(expected)) != expected:
            raise not_a_bundle(extent.where(offset), f"other bytes than kit writes at {offset}")
        offset += len(expected)
    if extent.size != offset:
        raise not_a_bundle(extent.where(offset), f"{extent.size} bytes in place of {offset}")


def _blob_places(extent: Extent, manifest: Manifest) -> dict[str, _Place]:
    """Compare every blob's header and padding with what kit writes; tell where the blobs are."""
    left = {blob_name(blob.digest).encode(): blob for blob in manifest.blobs}
    places: dict[str, _Place] = {}
    offset = 0
    while left:
        header = extent.bytes(offset, BLOCK)
        blob = left.pop(header[:_NAME_FIELD].rstrip(b"\0"), None)
        if blob is None or header != tar_header(blob_name(blob.digest), blob.size):
            raise not_a_bundle(extent.where(offset), f"no blob of this bundle at {offset}, where one must be")
        places[blob.digest] = _Place(extent, offset + BLOCK, blob)
        end = offset + BLOCK + blob.size
        offset += BLOCK + padded(blob.size)
        if any(extent.bytes(end, offset - end)):
            raise not_a_bundle(extent.where(end), f"bytes in the padding at {end}")
    return places
