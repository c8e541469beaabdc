"""What the agent on a host is asked to do, parsed once. Pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.bundle.digest import blob_of
from kit.bundle.source import trusted_manifest
from kit.errors import TransferError
from kit.ship.early import NOTHING_EARLY, parse_early
from kit.ship.engine.served import Store
from kit.ship.wanted import KIT_IMAGE, Wanted, images_of, trees_in
from kit.signature.trust import NOTHING_DEMANDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kit.bundle.manifest import FileTree, Image, Manifest
    from kit.bundle.source import BundleSource, Judge
    from kit.ship.early import Early
    from kit.ship.plan import HostPlan
    from kit.signature.trust import Verdict


@dataclass(frozen=True, slots=True)
class Order:
    """One ship, as the agent sees it."""

    root: Path
    store: Store
    """The image store of the host's engine."""
    who: str
    """Who ships, for the message that another one gets meanwhile."""
    manifest: Manifest
    manifest_bytes: bytes
    signature_bytes: bytes | None
    """kit.json.sig, or None when the bundle is not signed."""
    signature: Verdict
    """Who signed, as far as this host can tell."""
    images: tuple[Image, ...]
    """All images that must stand in the engine at the end, kit's own among them."""
    trees: tuple[FileTree, ...]
    loads: tuple[Image, ...]
    """Those of the images whose blobs must be here."""
    indexes: Mapping[str, bytes]
    """Frame indexes that the host may lack, by digest, unproven."""
    left_out: frozenset[str] = frozenset()
    """Digests of layers that need not be here: the engine has them."""
    early: Early = NOTHING_EARLY
    """What the sender brought before this talk began."""

    @property
    def bundle(self) -> str:
        """The bundle's digest."""
        return blob_of(self.manifest_bytes).digest

    @property
    def kit(self) -> Image:
        """The image that kit itself runs from."""
        return next(image for image in self.images if image.name == KIT_IMAGE)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is needed")
    value.encode()
    return value


def order_document(
    plan: HostPlan,
    store: Store,
    source: BundleSource,
    who: str,
    read: Callable[[str], Iterable[bytes]] | None = None,
) -> dict[str, Any]:
    """Return the request that `parse_order` reads; `read` gives an index, unless `source` is to."""
    read = read or source.read
    indexes = {blob.digest: b"".join(read(blob.digest)) for blob in plan.indexes}
    return {
        "who": who,
        "store": {"containerd": store.containerd, "version": store.version},
        "manifest": source.manifest_bytes.decode(),
        "signature": source.signature_bytes.decode() if source.signature_bytes else None,
        "images": [image.name for image in plan.images],
        "trees": [[tree.kind, tree.name] for tree in plan.trees],
        "loads": [image.name for image in plan.loads],
        "left_out": sorted(plan.left_out),
        "indexes": {digest: base64.b64encode(data).decode() for digest, data in indexes.items()},
    }


def parse_order(request: dict[str, Any], judge: Judge = NOTHING_DEMANDED.judge) -> Order:
    """Return the order in a request. `judge` hears of kit.json and its signature first.

    Raises TransferError, VerificationError, ConfigError.
    """
    try:
        data = request["manifest"].encode()
        signature = request["signature"].encode() if request.get("signature") is not None else None
        verdict = judge(data, signature, "the shipment")
        manifest = trusted_manifest(data)
        names = tuple((_text(kind), _text(name)) for kind, name in request["trees"])
        wanted = Wanted(tuple(map(_text, request["images"])), names)
        loads = Wanted(tuple(map(_text, request["loads"])))
        left_out = frozenset(map(_text, request["left_out"]))
        indexes = {_text(key): base64.b64decode(text) for key, text in request["indexes"].items()}
        root, who = Path(_text(request["root"])), _text(request["who"])
        store = Store(bool(request["store"]["containerd"]), _text(request["store"]["version"]))
        early = parse_early(request["early"]) if "early" in request else NOTHING_EARLY
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise TransferError(
            "a request that this kit does not understand",
            why=f"{type(error).__name__}: {error}",
            fix="ship with the same version of kit that the bundle carries",
        ) from error
    return Order(
        root,
        store,
        who,
        manifest,
        data,
        signature,
        verdict,
        images_of(manifest, wanted),
        trees_in(manifest, wanted),
        images_of(manifest, loads),
        indexes,
        left_out,
        early,
    )
