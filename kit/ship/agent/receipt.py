"""The records that a ship leaves on a host: what was done, or why it failed, and the bundle's manifest."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kit.bundle.blob_store import writing
from kit.errors import KitError
from kit.host.agent import SOCKET
from kit.ship.agent.place import tree_folder, write_files
from kit.ship.engine.identity import diff_ids
from kit.ship.receipt import FORMAT, error_words, receipt_line
from kit.ship.wrapper_script import wrapper_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.ship.agent.order import Order
    from kit.ship.agent.proof import Proof
    from kit.ship.engine.port import ImageEngine


def receipt_of(
    order: Order, engine: ImageEngine, loaded: tuple[str, ...], proof: Proof, seconds: float
) -> dict[str, Any]:
    """Return what was done, as the sender hears it and as it is kept."""
    seen = ((image.identity_tag, engine.inspect(image.identity_tag)) for image in order.images)
    folders = (tree_folder(order.root, tree).relative_to(order.root) for tree in order.trees)
    return {
        "bundle": order.bundle,
        "images": [[tag, found.id] for tag, found in seen if found],
        "loaded": list(loaded),
        "trees": [str(folder) for folder in folders],
        "files": proof.files,
        "file_bytes": proof.bytes,
        "signature": asdict(order.signature),
        "seconds": round(seconds, 2),
    }


def write_records(order: Order, receipt: dict[str, Any]) -> None:
    """Keep the receipt, the manifest and the command `kit` on the host. Raises UnfitError, TransferError."""
    bundle = order.bundle.removeprefix("sha256:")
    script = wrapper_script(str(order.root), order.kit.identity_tag, SOCKET)
    if order.signature_bytes is not None:
        write_files(order.root, {f"bundles/{bundle}.json.sig": (order.signature_bytes, 0o444)})
    document = {**_head(order, "done"), **receipt, "compared": _compared(order)}
    write_files(
        order.root,
        {
            "bin/kit": (script, 0o755),
            f"bundles/{bundle}.json": (order.manifest_bytes, 0o444),
            **_file(order, document),
            # Last: what it names is all there.
            "bundles/current.json": (order.manifest_bytes, 0o444),
        },
    )
    _note(order, document)


def _compared(order: Order) -> dict[str, Any]:
    """Return what every image and file was compared with."""
    images = {
        image.identity_tag: {"config": image.config.digest, "layers": list(diff_ids(image))}
        for image in order.images
    }
    files = {
        str((tree_folder(order.root, tree) / file.path).relative_to(order.root)): [file.digest, file.size]
        for tree in order.trees
        for file in tree.files
    }
    return {"images": images, "files": files}


def _head(order: Order, outcome: str) -> dict[str, Any]:
    return {
        "kit_receipt": FORMAT,
        "outcome": outcome,
        "name": order.manifest.name,
        "bundle": order.bundle,
        "who": order.who,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _file(order: Order, document: dict[str, Any]) -> dict[str, tuple[bytes, int]]:
    stamp = document["at"].replace("-", "").replace("T", "-").replace(":", "").removesuffix("Z")
    name = f"receipts/{stamp}-{order.bundle.removeprefix('sha256:')[:12]}.json"
    return {name: (json.dumps(document, indent=1).encode() + b"\n", 0o444)}


def _note(order: Order, document: dict[str, Any]) -> None:
    """Add a line for people to ROOT/receipts.log."""
    path = order.root / "receipts.log"
    with writing(path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(receipt_line(document).encode() + b"\n")


@contextmanager
def failures_kept(order: Order) -> Iterator[None]:
    """Keep a receipt of what fails in the block, where the disk lets it."""
    try:
        yield
    except KitError as error:
        document = {**_head(order, "failed"), "error": error_words(error)}
        with suppress(KitError, OSError):
            write_files(order.root, _file(order, document))
            _note(order, document)
        raise
