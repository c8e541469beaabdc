"""What earlier packing already compressed, kept beside the bundle; it never travels.

Nothing here is trusted: a layer counts only when its blobs are in the store and whole, and an image
made of remembered layers is checked against the diffIDs of its config.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from kit.bundle.docker_archive import TakenLayer
from kit.bundle.engine import EngineImage
from kit.bundle.manifest import Blob, Layer

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 3
"""Counts up when layers or configs are normalised, cut or compressed in another way."""


@dataclass(frozen=True, slots=True)
class PackedConfig:
    """An image's config as it was packed, and the keys of its layers in the cache."""

    config: Blob
    layers: tuple[str, ...]


def layer_key(diff_id: str, *, kept: bool) -> str:
    """Return the key of a layer that stands in the engine under `diff_id`, packed as it is or normalised."""
    return f"{'kept' if kept else 'normalised'} {diff_id}"


@dataclass(slots=True)
class PackCache:
    """Layers and images packed before."""

    file: Path
    layers: dict[str, Layer] = field(default_factory=dict)
    """By `layer_key`."""
    images: dict[str, PackedConfig] = field(default_factory=dict)
    """By the engine's image ID."""
    names: dict[str, str] = field(default_factory=dict)
    """The engine's diffID by `<size> <member>`, as layers stood in archives of `docker save`."""
    upstream: dict[str, EngineImage] = field(default_factory=dict)
    """Images pulled by digest, by `name@sha256:…`, as the engine last described them."""
    indexes: dict[str, Blob] = field(default_factory=dict)
    """Index blobs by the digest of the file that they describe."""

    @classmethod
    def load(cls, file: Path) -> PackCache:
        """Return what `file` tells; an empty cache when it cannot be understood."""
        try:
            document = json.loads(file.read_bytes())
            return _parse(file, document) if document.get("format") == FORMAT else cls(file)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls(file)

    def save(self) -> None:
        """Write the cache, whole or not at all. Raises OSError."""
        document = {
            "format": FORMAT,
            "layers": _plain(self.layers),
            "images": _plain(self.images),
            "names": self.names,
            "upstream": _plain(self.upstream),
            "indexes": _plain(self.indexes),
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.file.with_name(self.file.name + ".new")
        temporary.write_text(json.dumps(document, indent=1), encoding="utf-8")
        temporary.replace(self.file)

    def taken(self, diff_id: str, *, kept: bool) -> TakenLayer | None:
        """Return the packed form of a layer that stands in the engine under `diff_id`."""
        layer = self.layers.get(layer_key(diff_id, kept=kept))
        return None if layer is None else TakenLayer(diff_id, layer)

    def image(self, image_id: str) -> tuple[Blob, tuple[Layer, ...]] | None:
        """Return config and layers of an image whose layers are all remembered."""
        found = self.images.get(image_id)
        if found is None or not all(key in self.layers for key in found.layers):
            return None
        return found.config, tuple(self.layers[key] for key in found.layers)

    def keep_only(self, blobs: tuple[Blob, ...]) -> None:
        """Forget what is made of other blobs than these."""
        here = set(blobs)
        self.layers = {key: layer for key, layer in self.layers.items() if here.issuperset(layer.blobs)}
        self.images = {
            key: image
            for key, image in self.images.items()
            if image.config in here and all(layer in self.layers for layer in image.layers)
        }
        known = {key.partition(" ")[2] for key in self.layers}
        self.names = {key: diff_id for key, diff_id in self.names.items() if diff_id in known}
        self.indexes = {key: index for key, index in self.indexes.items() if index in here}


def _plain(records: dict[str, Any]) -> dict[str, Any]:
    return {key: asdict(record) for key, record in records.items()}


def _layer(item: dict[str, Any]) -> Layer:
    index = item.pop("index")
    return Layer(**item, index=Blob(**index) if index else None)


def _parse(file: Path, document: dict[str, Any]) -> PackCache:
    return PackCache(
        file,
        {key: _layer(item) for key, item in document["layers"].items()},
        {
            key: PackedConfig(Blob(**item["config"]), tuple(item["layers"]))
            for key, item in document["images"].items()
        },
        dict(document["names"]),
        {
            key: EngineImage(item["image_id"], tuple(item["diff_ids"]), item["size"])
            for key, item in document["upstream"].items()
        },
        {key: Blob(**item) for key, item in document["indexes"].items()},
    )
