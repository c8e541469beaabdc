"""What `kit bundle --ship` does on the hosts before there is a bundle.

Hosts are reached, and what a login needs is asked for, before hours of building; kit's own image,
packed first, goes to those that lack it while everything else is packed. None of it is needed for the
ship that follows: what failed here is done there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.host.checks import Needs, check, require_fit
from kit.run.fleet import open_some_hosts, try_each
from kit.ship.have import ask_host
from kit.ship.kit_ahead import bring_kit
from kit.ship.ship import first_failure
from kit.ship.side_work import SideWork
from kit.ship.wanted import KIT_IMAGE
from kit.workflow.ship_project import answering_hosts

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.bundle.pack_listener import PackedImage
    from kit.host.port import Host
    from kit.progress import Progress
    from kit.project.load import LoadedProject


class ShipAhead:
    """A PackListener that brings kit's own image to hosts, beside the packing."""

    def __init__(
        self,
        loaded: LoadedProject,
        names: tuple[str, ...],
        connect: Callable[..., Host],
        progress: Progress,
    ) -> None:
        self._loaded = loaded
        self._names = names
        self._connect = connect
        self._progress = progress
        self._work: SideWork[None] | None = None

    def reach(self) -> None:
        """See that hosts are trusted and could take a bundle; tell of those that do not answer.

        Raises UnreachableError when none answers or a host is not who it was, UnfitError, ConfigError.
        """
        specs = self._loaded.project.hosts
        with answering_hosts(self._loaded, self._names, self._connect) as reached:
            for name, error in reached.failures.items():
                self._progress.note(f"{name}: {error.what}")

            def one(name: str) -> None:
                facts, _ = ask_host(reached.hosts[name], specs[name])
                require_fit(check(facts, specs[name], Needs()))

            _, failures = try_each(tuple(reached.hosts), one)
        if failures:
            raise first_failure(failures)

    def packed(self, image: PackedImage) -> None:
        """Begin with kit's image as soon as it is packed."""
        if image.image.name == KIT_IMAGE:
            self._work = SideWork(lambda: self._bring(image), lambda _: None)

    def release(self) -> None:
        """Wait until it is on the hosts, or has failed there: it is read no longer."""
        if self._work is not None:
            self._work.result()

    def _bring(self, image: PackedImage) -> None:
        with open_some_hosts(self._loaded, self._names, self._connect) as reached:
            _, failures = try_each(
                tuple(reached.hosts), lambda name: self._bring_to(reached.hosts[name], image)
            )
        for name, error in failures.items():
            self._progress.note(f"{name}: {error.what}; it is tried again when the bundle is whole")

    def _bring_to(self, host: Host, image: PackedImage) -> None:
        spec = self._loaded.project.hosts[host.name]
        if bring_kit(image.image, image, host, spec, self._progress.note):
            self._progress.note(f"{host.name}: has kit's own image now, the first of what it gets")
