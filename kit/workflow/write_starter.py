"""Writing what starts kit on a host that has none of it: `load.sh` and kit's image, beside a bundle."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.blob_store import sync_folder, writing
from kit.bundle.compress_layers import plain_layer
from kit.bundle.digest import Hasher
from kit.bundle.layer_law import check_layer_tar
from kit.bundle.switch import current_file
from kit.bundle.tar_form import MANIFEST_NAME
from kit.bundle.volume_set import find_set
from kit.errors import ConfigError
from kit.project.model import HostSpec
from kit.ship.engine.identity import expected_ids
from kit.ship.engine.portable_archive import portable_archive_chunks, portable_archive_size
from kit.ship.starter_script import SCRIPT_NAME, Starter, starter_script
from kit.ship.wanted import KIT_IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kit.bundle.manifest import Image
    from kit.bundle.source import BundleSource
    from kit.progress import Progress

_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 3
"""Of gzip: takes a third of the time of the usual level, for a tenth more bytes."""
_TASK = "write starter"


@dataclass(frozen=True, slots=True)
class WrittenStarter:
    """What lies beside a bundle, so that a host without kit can load it."""

    script: str
    archive: str
    """Path of kit's image, as `docker load` takes it."""
    bytes: int
    """Of the archive."""
    sha256: str
    """Of the archive, in hexadecimal; it stands in the script too."""
    bundle: str
    """Path of what the script loads unless told otherwise."""


def plan_starter(path: Path, source: BundleSource) -> WrittenStarter:
    """Return where a starter would stand; its bytes and sha256 are known when it is written.

    Raises ConfigError when the bundle has no image of kit.
    """
    opened = _opened(path)
    archive = opened.with_name(_archive_name(_kit_image(source)))
    return WrittenStarter(str(opened.with_name(SCRIPT_NAME)), str(archive), 0, "", str(opened))


def write_starter(path: Path, source: BundleSource, version: str, progress: Progress) -> WrittenStarter:
    """Write a starter beside the bundle at `path`, which `source` is; return what was written.

    Nothing in kit's image may be what no layer should hold. Raises ConfigError when the bundle has no
    image of kit, VerificationError when it is damaged, UnfitError and TransferError (disk).
    """
    image, opened = _kit_image(source), _opened(path)
    for layer in image.layers:
        plain = plain_layer(source.read(layer.digest), layer, source.where)
        check_layer_tar(plain, f"{source.where}: image {image.name}")
    archive = opened.with_name(_archive_name(image))
    progress.start(_TASK, portable_archive_size(image))
    written = _write(archive, _gzipped(_heard(portable_archive_chunks(source, image), progress)))
    progress.finish(_TASK)
    sha256 = written.digest.removeprefix("sha256:")
    starter = Starter(
        opened.name,
        archive.name,
        sha256,
        image.identity_tag,
        tuple(sorted(expected_ids(image))),
        str(HostSpec.model_fields["root"].default),
        version,
    )
    script = opened.with_name(SCRIPT_NAME)
    _write(script, (starter_script(starter),), mode=0o755)
    return WrittenStarter(str(script), str(archive), written.size, sha256, str(opened))


def _opened(path: Path) -> Path:
    """Return what names the bundle for good: its folder, its tarball or the list of its volumes."""
    is_folder = path.is_dir() and current_file(path, MANIFEST_NAME).exists()
    found = None if is_folder else find_set(path)
    return (found.list_path if found else path).absolute()


def _kit_image(source: BundleSource) -> Image:
    image = source.manifest.image(KIT_IMAGE)
    if image is None:
        raise ConfigError("the bundle has no image of kit", where=source.where, fix="kit lock && kit bundle")
    return image


def _archive_name(image: Image) -> str:
    # No suffix of a bundle or of a volume: it is neither.
    return f"kit-{image.identity_tag.rpartition(':')[2]}.tgz"


def _heard(chunks: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        progress.advance(_TASK, len(chunk))


def _gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks as gzip, without a time or a name in it."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _write(path: Path, chunks: Iterable[bytes], mode: int = 0o644) -> Hasher:
    """Write a file, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    hasher = Hasher()
    try:
        with writing(path):
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as file:
                for chunk in hasher.watch(chunks):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            sync_folder(path.parent)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return hasher
