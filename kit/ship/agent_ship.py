"""The agent's verb `ship`: receive, load, place, in one session under one lock."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.bundle.blob_store import BlobStore
from kit.host.agent import SOCKET
from kit.ship.agent_load import load_images
from kit.ship.agent_lock import held
from kit.ship.agent_place import place_tree, tree_folder, write_files
from kit.ship.agent_receive import missing_of, receive_blobs
from kit.ship.agent_trust import trusted_order
from kit.ship.patient_input import named_pipe
from kit.ship.wrapper_script import wrapper_script

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.ship.agent_order import Order
    from kit.ship.engine_port import ImageEngine
    from kit.ship.frames import Input

    Emit = Callable[[dict[str, Any]], None]

_ARCHIVE_OLD = 3600.0
"""Seconds after which an archive of kit's image left in partial/ belongs to nobody."""


def ship(request: dict[str, Any], stdin: Input, emit: Emit) -> dict[str, Any]:
    """Take in what an order names; return the receipt, or `again` with the blobs that are not there."""
    del stdin
    from kit.ship.docker_store import DockerStore

    return carry_out(trusted_order(request, Path(request["root"])), DockerStore(), emit)


def carry_out(order: Order, engine: ImageEngine, emit: Emit) -> dict[str, Any]:
    """Carry out an order on this host.

    The event `accepted` tells that the host takes the bundle, `ready` that blobs may come.
    """
    emit({"event": "accepted"})
    with held(order.root, order.who):
        store = BlobStore(order.root)
        missing = missing_of(store, order.keeps)
        if missing:
            return {"again": [blob.digest for blob in missing]}
        _remove_leftovers(store)
        came = _receive(store, order, emit)
        loaded = load_images(engine, order.store, store, order.images, emit)
        for tree in order.trees:
            emit({"event": "placing", "tree": tree.name})
            place_tree(store, tree)
        receipt = _receipt(order, engine, came, loaded)
        _write_records(order, receipt)
    return receipt


def _receive(store: BlobStore, order: Order, emit: Emit) -> int:
    if not order.sends:
        return 0
    with named_pipe(store.partial / order.pipe) as stream:
        emit({"event": "ready"})
        return receive_blobs(store, order.sends, stream, emit)


def _remove_leftovers(store: BlobStore) -> None:
    store.remove_unfinished()
    for pipe in store.partial.glob("pipe-*"):
        pipe.unlink(missing_ok=True)
    for path in store.partial.glob("kit-image.*"):
        if time.time() - path.stat().st_mtime > _ARCHIVE_OLD:
            path.unlink(missing_ok=True)


def _receipt(order: Order, engine: ImageEngine, came: int, loaded: tuple[str, ...]) -> dict[str, Any]:
    seen = ((image.identity_tag, engine.inspect(image.identity_tag)) for image in order.images)
    folders = (tree_folder(order.root, tree).relative_to(order.root) for tree in order.trees)
    return {
        "bundle": order.bundle,
        "received_bytes": came,
        "images": [[tag, found.id] for tag, found in seen if found],
        "loaded": list(loaded),
        "trees": [str(folder) for folder in folders],
        "signature": asdict(order.signature),
    }


def _write_records(order: Order, receipt: dict[str, Any]) -> None:
    bundle = order.bundle.removeprefix("sha256:")
    now = time.gmtime()
    document = {**receipt, "who": order.who, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", now)}
    name = f"receipts/{time.strftime('%Y%m%d-%H%M%S', now)}-{bundle[:12]}.json"
    script = wrapper_script(str(order.root), order.kit.identity_tag, SOCKET)
    if order.signature_bytes is not None:
        write_files(order.root, {f"bundles/{bundle}.json.sig": (order.signature_bytes, 0o444)})
    write_files(
        order.root,
        {
            "bin/kit": (script, 0o755),
            f"bundles/{bundle}.json": (order.manifest_bytes, 0o444),
            name: (json.dumps(document, indent=1).encode() + b"\n", 0o444),
            # Last: what it names is all there.
            "bundles/current.json": (order.manifest_bytes, 0o444),
        },
    )
