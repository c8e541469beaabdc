"""Looking into a layer on its way to the engine, which unpacks it as root.

Packing looks too, but a bundle may come from anywhere: its digests tell that it is whole, not that
it is harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.bundle.compress_layers import plain_layer
from kit.bundle.digest import read_file
from kit.bundle.layer_law import check_layer_tar
from kit.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from kit.bundle.manifest import Layer


class LayerLook:
    """Looks into the layers of one image, each when it is asked for. Safe on several threads."""

    def __init__(self, layers: Iterable[Layer], path: Callable[[str], Path], name: str) -> None:
        # An engine asks for a layer by either digest, as it is served to it.
        self._layers = {digest: layer for layer in layers for digest in (layer.digest, layer.diff_id)}
        self._path = path
        self._name = name
        self.refused: VerificationError | None = None
        """Why a layer was refused, when one was."""

    def admit(self, digest: str) -> None:
        """Return when the layer of that digest, if it is one, may be unpacked.

        Raises VerificationError when it is damaged or holds what no layer should, TransferError
        when it cannot be read.
        """
        layer = self._layers.get(digest)
        if layer is None:
            return
        try:
            check_layer_tar(plain_layer(read_file(self._path(layer.digest)), layer, self._name), self._name)
        except VerificationError as error:
            self.refused = error
            raise
