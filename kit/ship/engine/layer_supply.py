"""Giving an engine the layers of one image, which it unpacks as root: looked into on the way.

Packing looks too, but a bundle may come from anywhere: its digests tell that it is whole, not that
it is harmless. Engines compare a layer's digest before they unpack it, so whatever lacks its last
bytes is not unpacked: they are held back until the look has ended. An uncompressed layer is looked
into as it is served, a stored one while the engine takes in what comes before its last bytes.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.bundle.compress_layers import plain_layer, unhashed_layer
from kit.bundle.digest import read_file
from kit.bundle.layer_law import check_layer_tar, lawful_tar
from kit.errors import KitError, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kit.bundle.manifest import Image, Layer
    from kit.ship.engine.layer_gate import LayerGate
    from kit.ship.engine.served import Served


def at_once(digest: str) -> None:
    """Wait for nothing: the blob is here."""


@dataclass(frozen=True, slots=True)
class Coming:
    """Which blobs there will be, for a load that begins before all of them are here."""

    wait: Callable[[str], None] = at_once
    """Returns when the blob of a digest is here and proven; raises KitError when it will never be."""
    left_out: frozenset[str] = field(default_factory=frozenset)
    """Digests of layers that neither are here nor come: the engine has them."""


class LayerSupply:
    """Decides when the bytes of an image may go out. Safe on several threads."""

    def __init__(
        self, image: Image, served: Served, path: Callable[[str], Path], gate: LayerGate, coming: Coming
    ) -> None:
        self.served = served
        self.path = path
        """Where a blob lies."""
        self.stopped: KitError | None = None
        """Why nothing goes out any more, when that is so."""
        self._gate = gate
        self._coming = coming
        self._name = image.identity_tag
        self._layers = image.layers
        self._given: set[str] = set()
        self._harmless: set[str] = set()
        self._looking = threading.Lock()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        if self.stopped is not None:
            raise self.stopped
        try:
            yield
        except KitError as error:
            self.stopped = error
            raise

    def wait(self, blob: str) -> None:
        """Return when a blob is here, or is left out. Raises KitError when it will never be."""
        if blob not in self._coming.left_out:
            with self._noting():
                self._coming.wait(blob)

    def admit(self, digest: str) -> None:
        """Return when the first bytes of a layer, config or manifest may go out.

        Raises KitError when they never may; so does everything from then on.
        """
        layer = self.served.layers.get(digest)
        with self._noting():
            if layer is not None and layer.digest in self._coming.left_out:
                raise TransferError(
                    "the engine asks for a layer that it had", where=self._name, fix="run kit ship again"
                )
        if layer is not None or digest in self.served.stored:
            self.wait(layer.digest if layer else digest)
        self._gate.wait(digest)

    def plain(self, layer: Layer) -> Iterator[bytes]:
        """Yield a layer's tar; the last bytes only when it holds nothing that no layer should.

        Raises VerificationError when it does, or is damaged, TransferError when it cannot be read.
        """
        sent = 0
        with self._noting():
            for piece in lawful_tar(self._plain(layer), self._name):
                sent += len(piece)
                self.may_go(layer.diff_id, sent)
                yield piece
        self._given.add(layer.digest)

    def may_go(self, digest: str, count: int) -> None:
        """Return when the first `count` bytes of a layer may be out, as it is served."""
        self._gate.wait(digest, count)

    def release(self, digest: str) -> None:
        """Return when the last bytes of what is served as it is stored may go out. Raises as `plain` does."""
        layer = self.served.layers.get(digest)
        if layer is None:
            return
        # One at a time: the lowest, which the engine needs first, is not to wait for others.
        with self._looking, self._noting():
            if digest not in self._harmless:
                check_layer_tar(self._plain(layer), self._name)
                self._harmless.add(digest)
        self._given.add(layer.digest)

    def passed(self, digest: str) -> None:
        """Take note that all of a layer went out."""
        self._gate.passed(digest)

    def _plain(self, layer: Layer) -> Iterator[bytes]:
        return unhashed_layer(read_file(self.path(layer.digest)), layer, self._name)

    def blame(self) -> None:
        """Raise VerificationError when a layer that the engine got whole is not what its diffID says."""
        for layer in self._layers:
            if layer.digest in self._given:
                for _ in plain_layer(read_file(self.path(layer.digest)), layer, self._name):
                    pass
