"""An engine's image store in memory, behind the port that loading uses; it records what it is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from kit.bundle.manifest import Image
from kit.errors import EngineError
from kit.ship.engine.identity import SeenImage, diff_ids
from kit.ship.engine.port import PullStatus
from kit.ship.engine.served import Store, served_form

CLASSIC = Store(containerd=False, version="20.10.24")
CONTAINERD = Store(containerd=True, version="28.5.2")


@dataclass
class FakeImageEngine:
    """Knows what a registry would give it for each digest."""

    store: Store = CLASSIC
    images: dict[str, SeenImage] = field(default_factory=dict)
    """Every name and ID -> image."""
    offered: dict[str, SeenImage] = field(default_factory=dict)
    """Manifest digest -> what a pull brings."""
    by_archive: dict[str, SeenImage] = field(default_factory=dict)
    """Manifest or config digest -> what it becomes when its archive is loaded."""
    archives: list[bytes] = field(default_factory=list)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    fails: str = ""
    """Name of the method that fails."""

    def offer(self, image: Image) -> None:
        """Let a pull of the image, in any form that such a store takes, bring the true image."""
        for version in (self.store.version, CONTAINERD.version):
            digest = served_form(image, replace(self.store, version=version)).digest
            image_id = digest if self.store.containerd else image.config.digest
            self.offered[digest] = SeenImage(image_id, (), diff_ids(image))
        if not self.store.containerd:
            self.by_archive[image.config.digest] = SeenImage(image.config.digest, (), diff_ids(image))

    def bear(self, image: Image, **changes: object) -> None:
        """Hold an image under the identity tag, maybe with something wrong about it."""
        image_id = image.manifest.digest if self.store.containerd else image.config.digest
        seen = SeenImage(image_id, (image.identity_tag,), diff_ids(image))
        self.images[image.identity_tag] = replace(seen, **changes)  # type: ignore[arg-type]

    def _note(self, *call: str) -> None:
        self.calls.append(call)
        if call[0] == self.fails:
            raise EngineError(f"{call[0]} failed")

    def pull(self, reference: str) -> Iterator[PullStatus]:
        self._note("pull", reference)
        found = self.offered.get(reference.partition("@")[2])
        if found is None:
            raise EngineError("manifest unknown", where=reference)
        for layer in found.layers:
            yield PullStatus(layer[7:19], "Pull complete")
        self.images[reference] = found

    def load(self, archive: Iterable[bytes]) -> None:
        data = b"".join(archive)
        self._note("load", str(len(data)))
        self.archives.append(data)
        for digest, seen in self.by_archive.items():
            if seen.id == digest and digest[7:].encode() in data:
                self.images[digest] = seen
            if digest.encode() in data:
                for name in list(self.images):
                    if name.endswith("@" + digest):
                        self.images[name] = seen

    def tag(self, reference: str, tag: str) -> None:
        self._note("tag", reference, tag)
        self.images[tag] = replace(self.images[reference], tags=(tag,))

    def remove(self, reference: str) -> None:
        self._note("remove", reference)
        del self.images[reference]

    def inspect(self, reference: str) -> SeenImage | None:
        return self.images.get(reference)
