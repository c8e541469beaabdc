"""Loading a bundle on the host itself, from a disk: planned, proven and resumed as a shipment is.

The bundle is read in place, through kit's own image, in which this runs; what a shipment's agent does with
what was sent is done with what is read.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.bundle.measure_volumes import measure_file
from kit.bundle.source import open_bundle
from kit.bundle.volume_set import Wrong, find_set, unusable
from kit.errors import ConfigError, KitError, TransferError
from kit.project.model import HostSpec
from kit.ship.agent.order import order_document
from kit.ship.agent.ship import carry_out
from kit.ship.agent.trust import host_trust, trusted_order
from kit.ship.engine.archive import store_of
from kit.ship.from_medium import DamagedMediumError, fed_from_medium
from kit.ship.kit_image import prepare_root
from kit.ship.reuse import FrameReader
from kit.ship.shipment import ROUNDS, plan_one
from kit.ship.wanted import KIT_IMAGE, Wanted, wanted_by_host
from kit.signature.read_trust import read_trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.bundle.manifest import Manifest
    from kit.bundle.source import BundleSource
    from kit.bundle.volume_set import VolumeSet
    from kit.host.port import Host
    from kit.progress import HostProgress
    from kit.project.load import LoadedProject
    from kit.ship.agent.intake import Intake
    from kit.ship.agent.order import Order
    from kit.ship.engine.port import ImageEngine
    from kit.ship.plan import HostPlan
    from kit.ship.shipment import PlannedHost

HERE = "this host"
"""What a host is called that no kit.yaml names."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What is to be loaded, and for whom."""

    path: Path
    """The bundle: a folder, a tarball or volumes."""
    spec: HostSpec
    """This host; its address does not matter."""
    name: str = HERE
    project: LoadedProject | None = None
    """Says what the host named `name` wants; None: everything in the bundle."""
    allowed_signers: Path | None = None


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What a load would do."""

    host: str
    root: str
    path: str
    bundle: str
    """Its name."""
    read_bytes: int
    """To read from the medium; frames of older blobs on this host are not read."""
    there_bytes: int
    disk_bytes: int
    """Room needed under the root."""
    engine_bytes: int
    """Room needed in the engine's data folder."""
    loads: tuple[str, ...]
    trees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did; a copy of the receipt stays under ROOT/receipts."""

    host: str
    root: str
    path: str
    bundle: str
    """The bundle's digest."""
    read_bytes: int
    """Of blobs, read from the medium."""
    there_bytes: int
    """Of wanted blobs that were there before."""
    images: tuple[tuple[str, str], ...]
    """(identity tag, image ID in this engine) of every wanted image."""
    loaded: tuple[str, ...]
    """Identity tags that were set by this load."""
    trees: tuple[str, ...]
    """Folders of the models and datasets, under the root."""
    files: int
    """Files of models and datasets whose name, size, sha256 and mode were compared."""
    file_bytes: int
    """Bytes of these files."""
    seconds: float


def chosen_root(asked: str | None, defined: str | None, own: str | None) -> str:
    """Return kit's folder on this host: what was asked for, else what kit.yaml or the container says.

    Raises ConfigError when the container cannot write what was asked for, or it is no absolute path. Pure.
    """
    default = str(HostSpec.model_fields["root"].default)
    root = asked or defined or own or default
    if not root.startswith("/"):
        raise ConfigError("no absolute path", where=f"--root {root}", fix=f"--root {default}")
    if own and root != own:
        raise ConfigError(
            f"{own}/bin/kit loads into its own folder, not {root}",
            where="--root" if asked else "hosts",
            fix=f"{root}/bin/kit load, or load.sh with --root {root}; kit starter writes load.sh",
        )
    return root


def everything(manifest: Manifest) -> Wanted:
    """Return all that a bundle holds, kit's own image first. Pure."""
    names = dict.fromkeys((KIT_IMAGE, *(image.name for image in manifest.images)))
    return Wanted(tuple(names), tuple((tree.kind, tree.name) for tree in manifest.trees))


class Load:
    """One bundle on its way from a medium into this host."""

    def __init__(self, request: LoadRequest, host: Host, progress: HostProgress) -> None:
        """Open the bundle, as the policies of this machine and of ROOT have it.

        Raises ConfigError, VerificationError, TransferError.
        """
        self.request = request
        self._host = host
        self._progress = progress
        self._read = 0
        self._indexes: dict[str, bytes] = {}
        self._feeding = False
        own = host_trust(self._root)
        machine = read_trust(allowed_signers=request.allowed_signers)
        self.source: BundleSource = open_bundle(
            request.path, replace(own, rules=(*machine.rules, *own.rules)).judge
        )

    @property
    def _root(self) -> Path:
        return Path(self.request.spec.root)

    def _wanted(self) -> Wanted:
        request = self.request
        if request.project is None:
            return everything(self.source.manifest)
        return wanted_by_host(request.project.project)[request.name]

    def _planned(self) -> tuple[PlannedHost, Order]:
        with _said_of_loading():
            self._progress.phase(self.request.name, "have")
            found = plan_one(
                self.source.manifest,
                self._host,
                self.request.spec,
                self._wanted(),
                FrameReader(self._index),
                kit_first=False,
            )
            who = f"{found.facts.user or 'somebody'}@{found.facts.hostname}, from {self.request.path}"
            order = order_document(found.plan, store_of(found.facts), self.source, who, self._index)
            return found, trusted_order(order | {"root": str(self._root)}, self._root)

    def _index(self, digest: str) -> tuple[bytes]:
        """Return a frame index, read from the medium once."""
        if digest not in self._indexes:
            self._indexes[digest] = b"".join(self.source.read(digest))
            self._heard(len(self._indexes[digest]))
        return (self._indexes[digest],)

    def plan(self) -> LoadPlan:
        """Return what would be done; nothing changes. Raises as `carry_out` does before the first byte."""
        found, _ = self._planned()
        plan = found.plan
        return LoadPlan(
            host=self.request.name,
            root=self.request.spec.root,
            path=str(self.request.path),
            bundle=self.source.manifest.name,
            read_bytes=plan.send_bytes,
            there_bytes=plan.there_bytes,
            disk_bytes=plan.disk_bytes,
            engine_bytes=plan.engine_bytes,
            loads=tuple(image.identity_tag for image in plan.loads),
            trees=tuple(f"{tree.kind} {tree.name}" for tree in plan.trees),
        )

    def carry_out(self, engine: Callable[[], ImageEngine]) -> Loaded:
        """Read, prove, load and place what this host lacks; return what was done.

        Raises UnfitError before the first byte when there is too little room; VerificationError naming
        the files or volumes that are damaged, once all else was taken in; TransferError, EngineError.
        """
        started = time.monotonic()
        with _said_of_loading(), self._naming_volumes():
            found, result = self._rounds(engine)
        self._progress.phase(self.request.name, "done")
        return Loaded(
            host=self.request.name,
            root=self.request.spec.root,
            path=str(self.request.path),
            bundle=str(result["bundle"]),
            read_bytes=self._read,
            there_bytes=found.there_bytes,
            images=tuple((str(tag), str(image)) for tag, image in result["images"]),
            loaded=tuple(result["loaded"]),
            trees=tuple(result["trees"]),
            files=int(result["files"]),
            file_bytes=int(result["file_bytes"]),
            seconds=round(time.monotonic() - started, 2),
        )

    def _rounds(self, engine: Callable[[], ImageEngine]) -> tuple[HostPlan, dict[str, Any]]:
        """Return the first plan and what came of it; plan anew when a blob on the host turned out damaged."""
        first: HostPlan | None = None
        for _ in range(ROUNDS):
            found, order = self._planned()
            first = first or found.plan
            prepare_root(self._host, self.request.spec.root, found.facts.user)
            self._progress.phase(self.request.name, "plan", send_bytes=found.plan.send_bytes)
            result = carry_out(order, engine(), self._event, self._feed)
            if not result.get("again"):
                return first, result
        fix = "look at that disk (dmesg)"
        raise TransferError("what is written does not stay", where=str(self._root), fix=fix)

    def _feed(self, intake: Intake) -> None:
        self._feeding = True
        try:
            fed_from_medium(intake, self.source, self._heard)
        finally:
            self._feeding = False

    def _heard(self, count: int) -> None:
        self._read += count
        self._progress.sent(self.request.name, count)

    def _event(self, event: dict[str, Any]) -> None:
        kind, name = event.get("event"), self.request.name
        if kind == "phase":
            self._progress.phase(name, event["phase"])
        elif kind == "placing":
            self._progress.phase(name, "place", text=event["tree"])
        elif kind == "loading" and not self._feeding:
            # While bytes come in, they are what there is to wait for.
            self._progress.phase(name, "load", text=event["image"])

    @contextmanager
    def _naming_volumes(self) -> Iterator[None]:
        """Turn damage on a medium that is cut into volumes into the volumes that are damaged."""
        try:
            yield
        except DamagedMediumError as error:
            found = find_set(self.request.path)
            if found is None:
                raise
            wrong = tuple(
                Wrong(share, found.path(share).name, "is damaged")
                for share in range(len(found.listing.volumes))
                if _is_damaged(found, share, error)
            )
            raise unusable(found, wrong, None) from error


def _is_damaged(found: VolumeSet, share: int, error: DamagedMediumError) -> bool:
    """Tell whether a volume is damaged; one that holds a part of a damaged frame is hashed for it."""
    path, listing = found.path(share), found.listing
    if str(path) not in error.suspects:
        return str(path) in error.damaged
    return measure_file(path, lambda _: None) != (listing.shares[share], listing.size_of(share))


@contextmanager
def _said_of_loading() -> Iterator[None]:
    """Have errors of shipping name the command that is running."""
    try:
        yield
    except KitError as error:
        error.why = error.why.replace("nothing was sent", "nothing was read")
        fix = error.fix.replace("kit ship", "kit load")
        error.fix = fix.replace(f"move hosts.{HERE}.root", "name another --root")
        raise
