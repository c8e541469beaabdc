"""Sending kit's own image, before anything of kit runs on the host: sh, dd, sha256sum and docker load."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from kit.bundle.compress_layers import plain_layer
from kit.bundle.digest import Hasher
from kit.bundle.layer_law import check_layer_tar
from kit.errors import EngineError, KitError, TransferError, UnfitError, UnreachableError, VerificationError
from kit.ship.engine.archive import archive_chunks, archive_size, stays_packed, store_of
from kit.ship.engine.identity import is_same, tagged
from kit.ship.have import IMAGE_FORMAT, stored_images
from kit.ship.head_start import HeadStart
from kit.ship.lanes.feed import PIECE, ArchiveFeed

if TYPE_CHECKING:
    from kit.bundle.manifest import Image
    from kit.bundle.source import VerifiedBlobs
    from kit.host.facts import HostFacts
    from kit.host.port import Completed, Host
    from kit.ship.early import Early
    from kit.ship.engine.identity import SeenImage
    from kit.ship.head_start import Ahead
    from kit.ship.lanes.carrier import Heard
    from kit.ship.lanes.lanes import Destination

_PREPARE = 'umask 077 && mkdir -p -- "$1" "$1/partial" && chmod 700 -- "$1"'


PIECES = """\
[ -f "$1" ] || exit 0
size=$(wc -c <"$1") && n=0
while [ $((n * $2)) -lt "$size" ]; do
  said=$(dd if="$1" bs="$2" skip="$n" count=1 2>/dev/null | sha256sum) || exit 1
  echo "${said%% *}"
  n=$((n + 1))
done
"""
DIGEST = 'openssl dgst -sha256 -r <"$1" 2>/dev/null || sha256sum <"$1"'
"""OpenSSL uses the processor's own instructions; sha256sum of older distributions, much slower, does not."""
_SHA256 = re.compile("[0-9a-f]{64}")


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
    to: Destination, facts: HostFacts, source: VerifiedBlobs, image: Image, heard: Heard, ahead: Ahead
) -> Early:
    """Send kit's image as an archive, over lanes, and load it; return what came of `ahead` meanwhile.

    Its layers must hold nothing that no layer should. The archive's sha256 is compared before the
    engine sees it; what the engine then has is compared with the bundle. Raises VerificationError,
    TransferError, EngineError, UnreachableError.
    """
    store = store_of(facts)
    if stays_packed(store):
        _check_layers(source, image)
    size = archive_size(image, store)
    # The same archive has the same name, so that what a killed ship left of it counts.
    name = f"kit-image.{image.manifest.digest[7:19]}.{size}.tar"
    path, hasher = f"{to.root}/partial/{name}", Hasher()
    chunks = hasher.watch(archive_chunks(source, image, store))
    feed = ArchiveFeed(name, chunks, size, _pieces_there(to.host, path))
    going = HeadStart(feed, ahead)
    try:
        with going.sent(to, heard):
            _take_in(to.host, facts, image, path, hasher.digest)
    except VerificationError:
        if not feed.is_whole:
            _forget(to.host, path)
        raise
    return going.early


def _check_layers(source: VerifiedBlobs, image: Image) -> None:
    for layer in image.layers:
        plain = plain_layer(source.read(layer.digest), layer, source.where)
        check_layer_tar(plain, f"{source.where}: image {image.name}")


def _take_in(host: Host, facts: HostFacts, image: Image, path: str, digest: str) -> None:
    try:
        _load(host, facts, path, digest)
    except UnreachableError:
        raise
    except KitError:
        # Another ship, of the same image, may have had it loaded, and taken the archive away.
        if not _is_loaded(host, facts, image):
            raise
    _require_loaded(host, facts, image)


def _load(host: Host, facts: HostFacts, path: str, digest: str) -> None:
    try:
        _compare(host, path, digest)
    except (VerificationError, TransferError):
        _forget(host, path)
        raise
    loaded = host.run((*facts.docker, "load", "-q", "-i", path))
    if loaded.status != 0:
        # The archive stays: an engine that went away comes back.
        raise EngineError(
            "docker load of kit's image failed", where=host.name, why=_said(loaded), fix="kit check"
        )
    _forget(host, path)


def _pieces_there(host: Host, path: str) -> tuple[str, ...]:
    """Return the sha256 of each piece of an archive that an earlier ship began to send."""
    done = host.run(("sh", "-c", PIECES, "sh", path, str(PIECE)))
    words = done.text.split()
    return tuple(words) if done.status == 0 and all(map(_SHA256.fullmatch, words)) else ()


def _compare(host: Host, path: str, digest: str) -> None:
    done = host.run(("sh", "-c", DIGEST, "sh", path))
    if done.status != 0:
        raise TransferError(
            "kit's image was not taken in",
            where=f"{host.name}: {path}",
            why=_said(done),
            fix="kit ship again",
        )
    words = done.text.split()
    if not words or f"sha256:{words[0]}" != digest:
        raise VerificationError(
            "kit's image arrived with other bytes",
            where=f"{host.name}: {path}",
            why=f"{digest} was sent, {done.text[:80]!r} arrived; it was removed",
            fix="run kit ship again",
        )


def _forget(host: Host, path: str) -> None:
    # When the connection is gone, the agent of a later ship removes what is left.
    with suppress(UnreachableError):
        host.run(("rm", "-f", "--", path), timeout=60)


def look_up(host: Host, facts: HostFacts, tag: str) -> SeenImage | None:
    """Return the image that bears a tag in the host's engine."""
    done = host.run((*facts.docker, "image", "inspect", "--format", IMAGE_FORMAT, tag))
    return tagged(stored_images(host, done.stdout), tag) if done.status == 0 else None


def _is_loaded(host: Host, facts: HostFacts, image: Image) -> bool:
    found = look_up(host, facts, image.identity_tag)
    return found is not None and is_same(image, found)


def _require_loaded(host: Host, facts: HostFacts, image: Image) -> None:
    found = look_up(host, facts, image.identity_tag)
    if found is None or not is_same(image, found):
        raise VerificationError(
            "the engine has another image than the bundle's",
            where=f"{host.name}: {image.identity_tag}",
            why=f"it says {found}",
            fix=f"docker rmi {image.identity_tag} there, then kit ship again",
        )
