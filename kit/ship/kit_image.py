"""Sending kit's own image, before anything of kit runs on the host: sh, cat, sha256sum and docker load."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from kit.bundle.compress_layers import plain_layer
from kit.bundle.digest import Hasher
from kit.bundle.layer_law import check_layer_tar
from kit.errors import EngineError, TransferError, UnfitError, UnreachableError, VerificationError
from kit.ship.archive import archive_chunks, store_of
from kit.ship.have import IMAGE_FORMAT, stored_images
from kit.ship.identity import is_same, tagged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kit.bundle.manifest import Image
    from kit.bundle.source import BundleSource
    from kit.host.facts import HostFacts
    from kit.host.port import Completed, Host
    from kit.ship.identity import SeenImage

_PREPARE = 'umask 077 && mkdir -p -- "$1" "$1/partial" && chmod 700 -- "$1"'
_TAKE = 'umask 077; cat >"$1" && sha256sum -- "$1"'


def _said(done: Completed) -> str:
    return done.stderr.decode("utf-8", "replace").strip()[-400:] or f"status {done.status}"


def prepare_root(host: Host, root: str, user: str) -> None:
    """Make kit's folder on the host, open to its owner alone. Raises UnfitError."""
    done = host.run(("sh", "-c", _PREPARE, "sh", root))
    if done.status != 0:
        raise UnfitError(
            "kit's folder cannot be made",
            where=f"{host.name}: {root}",
            why=_said(done),
            fix=f"on {host.name}: sudo install -d -m 700 -o {user or 'USER'} {root}",
        )


def send_kit_image(
    host: Host, facts: HostFacts, source: BundleSource, image: Image, on_bytes: Callable[[int], None]
) -> int:
    """Send kit's image as an archive and load it; return the bytes sent. `on_bytes` hears of each chunk.

    Its layers must hold nothing that no layer should. The archive's sha256 is compared before the
    engine sees it; what the engine then has is compared with the bundle. Raises VerificationError,
    TransferError, EngineError, UnreachableError.
    """
    for layer in image.layers:
        plain = plain_layer(source.read(layer.digest), layer, source.where)
        check_layer_tar(plain, f"{source.where}: image {image.name}")
    path = f"{facts.root}/partial/kit-image.{secrets.token_hex(6)}.tar"
    try:
        sent = _send(host, path, counted(archive_chunks(source, image, store_of(facts)), on_bytes))
        loaded = host.run((*facts.docker, "load", "-q", "-i", path))
        if loaded.status != 0:
            raise EngineError(
                "docker load of kit's image failed", where=host.name, why=_said(loaded), fix="kit check"
            )
    finally:
        _forget(host, path)
    _require_loaded(host, facts, image)
    return sent


def counted(chunks: Iterable[bytes], on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the chunks and report the size of each."""
    for chunk in chunks:
        yield chunk
        on_bytes(len(chunk))


def _send(host: Host, path: str, chunks: Iterator[bytes]) -> int:
    hasher = Hasher()
    done = host.stream(("sh", "-c", _TAKE, "sh", path), hasher.watch(chunks))
    if done.status != 0:
        raise TransferError(
            "kit's image was not taken in",
            where=f"{host.name}: {path}",
            why=_said(done),
            fix="kit ship again",
        )
    words = done.text.lstrip("\\").split()
    if not words or f"sha256:{words[0]}" != hasher.digest:
        raise VerificationError(
            "kit's image arrived with other bytes",
            where=f"{host.name}: {path}",
            why=f"{hasher.digest} was sent, {done.text[:80]!r} arrived; it was removed",
            fix="run kit ship again",
        )
    return hasher.size


def _forget(host: Host, path: str) -> None:
    # When the connection is gone, the agent of a later ship removes what is left.
    with suppress(UnreachableError):
        host.run(("rm", "-f", "--", path), timeout=60)


def look_up(host: Host, facts: HostFacts, tag: str) -> SeenImage | None:
    """Return the image that bears a tag in the host's engine."""
    done = host.run((*facts.docker, "image", "inspect", "--format", IMAGE_FORMAT, tag))
    return tagged(stored_images(host, done.stdout), tag) if done.status == 0 else None


def _require_loaded(host: Host, facts: HostFacts, image: Image) -> None:
    found = look_up(host, facts, image.identity_tag)
    if found is None or not is_same(image, found):
        raise VerificationError(
            "the engine has another image than the bundle's",
            where=f"{host.name}: {image.identity_tag}",
            why=f"it says {found}",
            fix=f"docker rmi {image.identity_tag} there, then kit ship again",
        )
