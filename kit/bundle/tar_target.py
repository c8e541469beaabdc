"""Packing into one tarball, or into volumes, as a stream: blobs as they come, what describes them last.

What is being made lies in `NAME.tar.partial/` and gets its name when it is whole. Blobs of the
bundle that stands there under the name are copied from it, not made again.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.digest import blob_of, verified
from kit.bundle.folder_target import alone
from kit.bundle.growing_tar import GrowingTar
from kit.bundle.manifest import dump_manifest
from kit.bundle.place_volumes import list_volumes, settle_volumes, stage_list
from kit.bundle.source import open_bundle
from kit.bundle.standing_bundle import StandingBundle, stamps
from kit.bundle.tar_form import blobs_size, fixed_files, tail_chunks
from kit.bundle.volume_set import find_set
from kit.bundle.volumes import LIST_SUFFIX, VolumeForm
from kit.errors import KitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kit.bundle.manifest import Blob, Manifest
    from kit.bundle.space import Space
    from kit.progress import Progress

_STANDING = "standing.json"
"""What the files of the finished bundle looked like."""


class TarTarget:
    """A BundleTarget that is a tarball, or the volumes of one."""

    def __init__(self, path: Path, form: VolumeForm | None, progress: Progress) -> None:
        self._path = path
        self._form = form
        self._progress = progress
        self._growing: GrowingTar | None = None
        self._standing: StandingBundle | None = None

    @property
    def state(self) -> Path:
        """`NAME.tar.partial/`."""
        return self._path.with_name(self._path.name + ".partial")

    @property
    def _list_path(self) -> Path:
        return self._path.with_name(self._path.name + LIST_SUFFIX)

    @property
    def _tar(self) -> GrowingTar:
        if self._growing is None:
            raise RuntimeError("used outside of opened()")
        return self._growing

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep other packs out; finish giving names, take up finished blobs, cut off what was not."""
        with alone(self.state):
            settle_volumes(self.state, self._list_path)
            self._standing = self._find_standing()
            self._growing = GrowingTar(self.state, self._form.volume_size if self._form else None)
            yield

    def _find_standing(self) -> StandingBundle | None:
        try:
            place = self._list_path if self._form else self._path
            if not place.is_file():
                return None
            source, record = open_bundle(place), self.state / _STANDING
            unchanged = record.is_file() and record.read_bytes() == stamps(self._files())
            return StandingBundle(source, unchanged=unchanged)
        except (KitError, OSError):
            # What cannot be opened cannot be used again; it is replaced.
            return None

    def _files(self) -> tuple[Path, ...]:
        """Return the files of the bundle that stands under the name."""
        found = find_set(self._list_path) if self._form else None
        if found is None:
            return (self._path,)
        return tuple(found.path(share) for share in range(len(found.listing.shares)))

    def has(self, blob: Blob) -> bool:
        """Tell whether the blob was packed, or is in the bundle that stands here."""
        return self._tar.has(blob) or (self._standing is not None and self._standing.has(blob))

    def write(self, chunks: Iterable[bytes], expected: Blob | None = None) -> Blob:
        """Write a stream as the next blob and return it."""
        return self._tar.write(chunks, expected)

    def keep(self, data: bytes) -> Blob:
        """Return the blob of bytes in memory, written unless it is here."""
        blob = blob_of(data)
        if not self.has(blob):
            self.write((data,), blob)
        return blob

    def read(self, blob: Blob, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield bytes of a blob, unverified."""
        if self._tar.has(blob) or self._standing is None:
            return self._tar.read(blob, offset, length)
        return self._standing.source.read_range(blob.digest, offset, length)

    def publish(self, manifest: Manifest, lock_bytes: bytes, signature: bytes | None) -> None:
        """Complete the tar, cut off what it need not hold, and give it its name."""
        data = dump_manifest(manifest)
        signature = self._kept_signature(data) if signature is None else signature
        files = fixed_files(manifest, data, lock_bytes, signature)
        if self._stands(manifest, files):
            self._tar.forget()
        else:
            space, size = self._complete(manifest, files)
            self._put_in_place(space.paths(size), blob_of(data).digest)
            self._tar.forget()
        with writing(self.state):
            (self.state / _STANDING).write_bytes(stamps(self._files()))
            sync_folder(self._path.parent)

    def _put_in_place(self, paths: tuple[Path, ...], bundle: str) -> None:
        if self._form is None:
            with writing(self._path):
                paths[0].replace(self._path)
            return
        listing = list_volumes(paths, self._form, bundle, self.state, self._progress)
        stage_list(listing, self.state, self._list_path)
        settle_volumes(self.state, self._list_path)

    def _kept_signature(self, data: bytes) -> bytes | None:
        source = self._standing.source if self._standing else None
        return source.signature_bytes if source and source.manifest_bytes == data else None

    def _stands(self, manifest: Manifest, files: dict[str, bytes]) -> bool:
        """Tell whether the very bundle that is to be published stands here already."""
        if self._standing is None:
            return False
        source = self._standing.source
        same = fixed_files(source.manifest, source.manifest_bytes, source.lock_bytes, source.signature_bytes)
        if files != same or not all(self._standing.has(blob) for blob in manifest.blobs):
            return False
        if self._form is None:
            return True
        found = find_set(self._list_path)
        return (
            found is not None
            and found.listing.form == self._form
            and all(path.is_file() for path in self._files())
        )

    def _complete(self, manifest: Manifest, files: dict[str, bytes]) -> tuple[Space, int]:
        for blob in manifest.blobs:
            if not self._tar.has(blob) and self._standing is not None:
                chunks = self._standing.source.read_range(blob.digest, 0)
                self._tar.write(verified(chunks, blob, self._standing.source.where), blob)
        self._tar.keep_only(manifest.blobs)
        return self._tar.finish(tail_chunks(files, blobs_size(manifest)))
