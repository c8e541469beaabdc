"""What earlier packing already compressed, kept in the bundle's `partial/`; it never travels.

Nothing here is trusted: a layer counts only when its blob is in the store and whole, and an image
made of remembered layers is checked against the diffIDs of its config.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from kit.bundle.manifest import Blob, Layer

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 2


@dataclass(slots=True)
class PackCache:
    """Layers and images packed before."""

    file: Path
    layers: dict[str, Layer] = field(default_factory=dict)
    """By diffID."""
    images: dict[str, tuple[Blob, tuple[str, ...]]] = field(default_factory=dict)
    """Config and diffIDs by the engine's image ID."""
    names: dict[str, str] = field(default_factory=dict)
    """DiffID by `<size> <member>`, as layers stood in archives of `docker save`."""

    @classmethod
    def load(cls, file: Path) -> PackCache:
        """Return what `file` tells; an empty cache when it cannot be understood."""
        try:
            document = json.loads(file.read_bytes())
            return _parse(file, document) if document.get("format") == FORMAT else cls(file)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls(file)

    def save(self) -> None:
        """Write the cache, whole or not at all. Raises OSError."""
        document = {
            "format": FORMAT,
            "layers": [asdict(layer) for layer in self.layers.values()],
            "images": {key: [asdict(config), ids] for key, (config, ids) in self.images.items()},
            "names": self.names,
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.file.with_name(self.file.name + ".new")
        temporary.write_text(json.dumps(document, indent=1), encoding="utf-8")
        temporary.replace(self.file)

    def image(self, image_id: str) -> tuple[Blob, tuple[Layer, ...]] | None:
        """Return config and layers of an image whose layers are all remembered."""
        config, ids = self.images.get(image_id, (None, ()))
        layers = tuple(self.layers[diff_id] for diff_id in ids if diff_id in self.layers)
        return (config, layers) if config is not None and len(layers) == len(ids) else None

    def keep_only(self, blobs: tuple[Blob, ...]) -> None:
        """Forget what is made of other blobs than these."""
        self.layers = {key: layer for key, layer in self.layers.items() if set(layer.blobs) <= set(blobs)}
        self.images = {
            key: (config, ids)
            for key, (config, ids) in self.images.items()
            if config in blobs and all(diff_id in self.layers for diff_id in ids)
        }
        self.names = {key: diff_id for key, diff_id in self.names.items() if diff_id in self.layers}


def _layer(item: dict[str, Any]) -> Layer:
    index = item.pop("index")
    return Layer(**item, index=Blob(**index) if index else None)


def _parse(file: Path, document: dict[str, Any]) -> PackCache:
    layers = [_layer(item) for item in document["layers"]]
    images = {key: (Blob(**config), tuple(ids)) for key, (config, ids) in document["images"].items()}
    return PackCache(file, {layer.diff_id: layer for layer in layers}, images, dict(document["names"]))
