"""What a ship will do to one host, computed before anything is done. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import UnfitError
from kit.ship.engine.archive import archive_size, store_of
from kit.ship.engine.identity import SeenImage, diff_ids, is_there
from kit.ship.engine.room import archive_room, engine_room
from kit.ship.engine.spare_layers import spare_layers
from kit.ship.framed import blob_of_item, index_of_item, needed_items
from kit.ship.reuse import reusable_bytes, there_frames
from kit.ship.wanted import KIT_IMAGE, images_of, trees_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.bundle.manifest import Blob, File, FileTree, Image, Layer, Manifest
    from kit.host.facts import HostFacts
    from kit.ship.engine.served import Store
    from kit.ship.framed import FramedBlob
    from kit.ship.have import Have
    from kit.ship.wanted import Wanted

    Item = Layer | File | Blob
    FramesOf = Callable[[Item], FramedBlob]

MARGIN = 128 << 20
"""Bytes left free beside what comes: logs, run folders, an engine that must still breathe."""


@dataclass(frozen=True, slots=True)
class Send:
    """A blob that the host lacks."""

    blob: Blob
    partial: int = 0
    """Bytes of it that an earlier ship brought before it was cut off."""
    older: int = 0
    """Bytes of it that can be copied there, out of frames of other blobs."""

    @property
    def there(self) -> int:
        """Bytes of it that need not be sent, as far as is known before the host has looked."""
        # What was cut off began with copying: both may well be the same bytes.
        return max(self.partial, self.older)

    @property
    def size(self) -> int:
        """Bytes still to send."""
        return self.blob.size - self.there


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The steps for one host."""

    host: str
    kit: Image
    kit_bytes: int
    """Bytes of the archive that kit's own image comes in; 0 when it is there already."""
    sends: tuple[Send, ...]
    keeps: tuple[Blob, ...]
    """Blobs that are there by their name; the agent makes sure."""
    indexes: tuple[Blob, ...]
    """Frame indexes of what is sent; they travel with the order."""
    loads: tuple[Image, ...]
    present: tuple[Image, ...]
    """Wanted images that the engine has already, verified."""
    trees: tuple[FileTree, ...]
    disk_bytes: int
    """Room needed under the host's root, at the worst moment."""
    engine_bytes: int
    """Room needed in the engine's data folder, at the worst moment."""
    left_out: frozenset[str] = frozenset()
    """Digests of layers that are not sent because the engine has them."""
    judges: bool = False
    """The host's own policy decides whether it takes the bundle."""

    @property
    def send_bytes(self) -> int:
        """Bytes that will cross the network, kit's own image included."""
        indexes = sum(index.size for index in self.indexes)
        return sum(send.size for send in self.sends) + indexes + self.kit_bytes

    @property
    def sends_kit(self) -> bool:
        """Whether kit's own image is not there yet, or not the right one."""
        return self.kit_bytes > 0

    @property
    def there_bytes(self) -> int:
        """Bytes of the wanted blobs that are there already."""
        return self.kept_bytes + self.partial_bytes + self.older_bytes

    @property
    def kept_bytes(self) -> int:
        """Bytes of wanted blobs that are there whole."""
        return sum(blob.size for blob in self.keeps)

    @property
    def partial_bytes(self) -> int:
        """Bytes that a ship which was cut off brought."""
        return sum(min(send.partial, send.there) for send in self.sends)

    @property
    def older_bytes(self) -> int:
        """Bytes that are copied there out of frames of other blobs."""
        return sum(send.there - min(send.partial, send.there) for send in self.sends)

    @property
    def engine_has_bytes(self) -> int:
        """Bytes that wanted images and layers which the engine has would take to send."""
        present = sum(layer.size for image in self.present for layer in image.layers)
        layers = {layer.digest: layer.size for image in self.loads for layer in image.layers}
        return present + sum(size for digest, size in layers.items() if digest in self.left_out)

    @property
    def images(self) -> tuple[Image, ...]:
        """All wanted images, kit's own first."""
        others = (*self.loads, *self.present)
        return (self.kit, *(image for image in others if image != self.kit))


@dataclass(frozen=True, slots=True)
class After:
    """An engine when kit's own image is in it."""

    store: Store
    seen: tuple[SeenImage, ...]


def _with_kit(seen: tuple[SeenImage, ...], kit: Image, store: Store) -> tuple[SeenImage, ...]:
    """Return what an engine has when kit's own image went in as an archive."""
    image_id = kit.manifest if store.takes_oci_archives else kit.config
    return (*seen, SeenImage(image_id.digest, (kit.identity_tag,), diff_ids(kit)))


def _left_out(manifest: Manifest, loads: tuple[Image, ...], have: Have, after: After) -> frozenset[str]:
    """Return digests of layers that need not come: the engine has them, and every image does without."""
    spared: set[str] = set()
    asked: set[str] = set()
    for image in loads:
        spare = {layer.digest for layer in spare_layers(image, after.seen, after.store, manifest.images)}
        spared |= spare
        asked |= {layer.digest for layer in image.layers} - spare
    return frozenset(digest for digest in spared - asked if digest not in have.blobs)


def _sends(lacks: list[Item], keeps: list[Item], have: Have, frames_of: FramesOf | None) -> Iterator[Send]:
    there: frozenset[bytes] = frozenset()
    if frames_of is not None and lacks:
        there = there_frames(have, map(frames_of, keeps))
    for item in lacks:
        blob = blob_of_item(item)
        older = reusable_bytes(frames_of(item), there) if frames_of is not None and there else 0
        yield Send(blob, min(have.partial.get(blob.digest, 0), blob.size), older)


def plan_host(
    manifest: Manifest,
    wanted: Wanted,
    facts: HostFacts,
    have: Have,
    frames_of: FramesOf | None = None,
    *,
    kit_first: bool = True,
) -> HostPlan:
    """Return the steps for one host; without `frames_of`, as if nothing could be copied out of other blobs.

    kit's own image goes before all else, as an archive; unless `kit_first`, it comes as every image does.
    Raises ConfigError when the bundle lacks something wanted, and what `frames_of` raises.
    """
    images, trees = images_of(manifest, wanted), trees_in(manifest, wanted)
    kit = next(image for image in images if image.name == KIT_IMAGE)
    present = tuple(image for image in images if is_there(image, have.images))
    lacking = tuple(image for image in images if image not in present)
    loads = tuple(image for image in lacking if image is not kit or not kit_first)
    store = store_of(facts)
    by_archive = kit in lacking and kit_first
    after = After(store, _with_kit(have.images, kit, store) if by_archive else have.images)
    left_out = _left_out(manifest, loads, have, after)
    needed = [item for item in needed_items(loads, trees).values() if item.digest not in left_out]
    lacks = [item for item in needed if have.blobs.get(item.digest) != item.size]
    kept = [item for item in needed if have.blobs.get(item.digest) == item.size]
    sends = tuple(_sends(lacks, kept, have, frames_of))
    indexes = dict.fromkeys(index for item in lacks if (index := index_of_item(item)) is not None)
    archive = archive_size(kit, store) if by_archive else 0
    rooms = (
        archive_room(kit, have.images, store) if by_archive else (0, 0),
        engine_room(loads, after.seen, store, left_out),
    )
    return HostPlan(
        host=facts.host,
        kit=kit,
        kit_bytes=archive,
        sends=sends,
        keeps=tuple(map(blob_of_item, kept)),
        indexes=tuple(indexes),
        loads=loads,
        present=present,
        trees=trees,
        # The archive of kit's image goes when it is loaded, before the first blob comes.
        disk_bytes=max(
            archive,
            sum(send.blob.size - send.partial for send in sends) + sum(index.size for index in indexes),
        ),
        engine_bytes=sum(stays for stays, _ in rooms) + max(twice for _, twice in rooms),
        left_out=left_out,
        judges=have.judges,
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def require_room(plan: HostPlan, facts: HostFacts) -> None:
    """Raise UnfitError, with the numbers, when a host has too little room for the plan."""
    disk, engine = plan.disk_bytes, plan.engine_bytes
    if not disk and not engine:
        return
    if facts.engine_on_root_disk:
        disk, engine = disk + engine, 0
    if facts.free_bytes < disk + MARGIN:
        raise UnfitError(
            f"too little room: {_gb(disk + MARGIN)} needed, {_gb(facts.free_bytes)} free",
            where=f"{plan.host}: {facts.root}",
            why="nothing was sent",
            fix=f"make room there (docker system df, df -h {facts.root}), or move hosts.{plan.host}.root",
        )
    if facts.engine_free_bytes is not None and engine and facts.engine_free_bytes < engine + MARGIN:
        raise UnfitError(
            f"too little room for images: {_gb(engine + MARGIN)} needed, {_gb(facts.engine_free_bytes)} free",
            where=f"{plan.host}: the engine's data folder",
            why="nothing was sent",
            fix="docker image prune there, or move the engine's data-root to a larger disk",
        )
