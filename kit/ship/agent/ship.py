"""The agent's verb `ship`: take in, load, place, in one session under one lock.

The sender's bytes come past this process, into `partial/`; it tells here of what it wrote.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.bundle.blob_store import BlobStore
from kit.bundle.digest import blob_of, wrong_bytes
from kit.errors import KitError, TransferError
from kit.ship.agent.early import take_over
from kit.ship.agent.intake import Intake
from kit.ship.agent.lock import held
from kit.ship.agent.older_frames import OlderFrames
from kit.ship.agent.place import place_tree
from kit.ship.agent.proof import prove_trees
from kit.ship.agent.receipt import failures_kept, receipt_of, write_records
from kit.ship.agent.sender_feed import SenderFeed
from kit.ship.agent.trust import trusted_order
from kit.ship.engine.layer_supply import Coming
from kit.ship.engine.load import load_images
from kit.ship.framed import blob_of_item, framed_blob, index_of_item, needed_items
from kit.ship.pulse import beating
from kit.ship.side_work import SideWork

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.bundle.manifest import Blob, File, Layer
    from kit.ship.agent.order import Order
    from kit.ship.control import Lines
    from kit.ship.engine.port import ImageEngine
    from kit.ship.framed import FramedBlob

    Emit = Callable[[dict[str, Any]], None]
    Feed = Callable[[Intake], None]
    """Brings all that an intake needs; raises when it cannot."""

_ARCHIVE_OLD = 3600.0
"""Seconds after which an archive of kit's image left in partial/ belongs to nobody."""


def ship(request: dict[str, Any], stdin: Lines, emit: Emit) -> dict[str, Any]:
    """Take in what an order names; return the receipt, or `again` with the blobs that are not there."""
    from kit.ship.engine.docker_store import DockerStore

    order = trusted_order(request, Path(request["root"]))
    with beating(emit):
        feed = SenderFeed(stdin, emit)
        try:
            return carry_out(order, DockerStore(), emit, feed, feed.linger)
        finally:
            feed.close()


def _at_once() -> None:
    """Wait for nobody."""


def carry_out(
    order: Order, engine: ImageEngine, emit: Emit, feed: Feed, linger: Callable[[], None] = _at_once
) -> dict[str, Any]:
    """Carry out an order on this host. `linger` returns when nobody needs what it took in any more.

    The event `accepted` tells that the host takes the bundle. Raises VerificationError, TransferError,
    EngineError, UnfitError.
    """
    emit({"event": "accepted"})
    started = time.monotonic()
    with held(order.root, order.who), failures_kept(order):
        store = BlobStore(order.root)
        _remove_leftovers(store)
        came = take_over(store, order.early)
        again = _missing_indexes(store, order)
        if again:
            return {"again": again}
        emit({"event": "phase", "phase": "assemble"})
        with Intake(store, _wanted(store, order), emit) as intake:
            intake.begin(OlderFrames(store), came)
            emit({"event": "phase", "phase": "send"})
            loaded = _feed_and_load(order, engine, store, intake, emit, feed)
            emit({"event": "phase", "phase": "place"})
            for tree in order.trees:
                emit({"event": "placing", "tree": tree.name})
                place_tree(store, tree)
            proof = prove_trees(store, order.trees)
            receipt = receipt_of(order, engine, loaded, proof, time.monotonic() - started)
            write_records(order, receipt)
            linger()
    return receipt


def _feed_and_load(
    order: Order, engine: ImageEngine, store: BlobStore, intake: Intake, emit: Emit, feed: Feed
) -> tuple[str, ...]:
    """Take in and load at once: the engine unpacks a layer while the next one comes."""

    def load() -> tuple[str, ...]:
        return load_images(
            engine, order.store, store, order.images, emit, Coming(intake.wait, _absent(order, store))
        )

    loading = SideWork(load, lambda failure: intake.end(_as_error(failure)))
    try:
        feed(intake)
        if loading.running:
            emit({"event": "phase", "phase": "load"})
    except KitError as error:
        intake.end(error)
        raise
    finally:
        loading.join()
    return loading.result()


def _absent(order: Order, store: BlobStore) -> frozenset[str]:
    return frozenset(digest for digest in order.left_out if not store.path(digest).exists())


def _as_error(failure: BaseException) -> KitError:
    return failure if isinstance(failure, KitError) else TransferError("loading failed", why=repr(failure))


def _items(order: Order) -> dict[str, Layer | File | Blob]:
    found = needed_items(order.loads, order.trees)
    return {digest: item for digest, item in found.items() if digest not in order.left_out}


def _missing_indexes(store: BlobStore, order: Order) -> list[str]:
    """Keep the indexes that came; return the blobs that are not here whole and whose index is not either.

    What stood in a damaged blob's place is removed. Raises VerificationError for other bytes than the index.
    """
    missing = []
    for item in _items(order).values():
        blob, index = blob_of_item(item), index_of_item(item)
        if store.has(blob):
            continue
        store.path(blob.digest).unlink(missing_ok=True)
        if index is None or store.has(index):
            continue
        data = order.indexes.get(index.digest)
        if data is None:
            missing.append(blob.digest)
        elif blob_of(data) != index:
            raise wrong_bytes(index, "the shipment", f"{len(data)} bytes with another sha256 came")
        else:
            store.write((data,), index)
    return missing


def _wanted(store: BlobStore, order: Order) -> list[FramedBlob]:
    """Return the wanted blobs, those that are here too as far as their indexes are.

    Of images that the engine has already, those blobs that are here: another host may lack them.
    """

    def read(index: Blob) -> bytes:
        return b"".join(store.read(index))

    found = []
    items = _items(order)
    for digest, item in needed_items(order.images, order.trees).items():
        index = index_of_item(item)
        if (index is None or store.has(index)) and (digest in items or store.has(blob_of_item(item))):
            found.append(framed_blob(item, read))
    return found


def _remove_leftovers(store: BlobStore) -> None:
    store.remove_unfinished()
    for path in store.partial.glob("kit-image.*"):
        if time.time() - path.stat().st_mtime > _ARCHIVE_OLD:
            path.unlink(missing_ok=True)
