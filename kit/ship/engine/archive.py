"""The archive in which kit's own image is sent, in the form that the host's engine loads rightly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.docker_load import docker_load_chunks, docker_load_size
from kit.ship.engine.oci_archive import oci_archive_chunks, oci_archive_size
from kit.ship.engine.served import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.bundle.manifest import Image
    from kit.bundle.source import VerifiedBlobs
    from kit.host.facts import HostFacts


def store_of(facts: HostFacts) -> Store:
    """Return the image store of a host's engine."""
    return Store(facts.containerd_store, facts.engine_version or "")


def stays_packed(store: Store) -> bool:
    """Tell whether layers stay compressed in the archive."""
    return store.takes_oci_archives or store.takes_zstd


def archive_size(image: Image, store: Store) -> int:
    """Return the bytes of the archive."""
    if store.takes_oci_archives:
        return oci_archive_size(image)
    return docker_load_size(image, packed=store.takes_zstd)


def archive_chunks(source: VerifiedBlobs, image: Image, store: Store) -> Iterator[bytes]:
    """Yield the archive.

    Raises VerificationError, before the archive is whole, when a blob is damaged and, unless
    `stays_packed`, when a layer holds what no layer should.
    """
    if store.takes_oci_archives:
        return oci_archive_chunks(image, source.read)
    return docker_load_chunks(source, image, packed=store.takes_zstd)
