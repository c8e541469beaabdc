"""One host's place in a chain, as its shipment uses it; or none, when it is shipped to alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kit.ship.chain.chain import Chain
    from kit.ship.framed import FrameRanges


class Place(Protocol):
    """What a shipment asks and tells of other hosts' part in it."""

    def enter(self, say: Callable[..., None], give_up: Callable[[], None]) -> None:
        """Take note of an agent that runs: `say` tells it something, `give_up` ends the talk with it."""

    def exit(self) -> None:
        """Take note that it has ended."""

    def hear(self, event: Mapping[str, Any]) -> int:
        """Take note of what it says; return how many more bytes came to it from other hosts."""

    def share(self, need: Mapping[str, FrameRanges]) -> dict[str, FrameRanges]:
        """Return what of its need the sender must give it now."""

    def owes(self, size: int) -> None:
        """Take note of how many bytes that is."""

    def is_due(self, digest: str) -> bool:
        """Tell whether the sender must still give it a blob."""

    def sent(self, size: int) -> None:
        """Take note that the sender gave it so many bytes."""

    def wait(self, need: Mapping[str, FrameRanges]) -> None:
        """Return when the sender must give it some of these blobs after all, or it has ended."""


class Alone:
    """The place of a host that gets everything from the sender."""

    def enter(self, say: Callable[..., None], give_up: Callable[[], None]) -> None:
        """Tell the agent that it need not wait for others."""
        del give_up
        say("alone")

    def exit(self) -> None:
        """Tell nobody."""

    def hear(self, event: Mapping[str, Any]) -> int:
        """Return 0: no other host gives it anything."""
        del event
        return 0

    def share(self, need: Mapping[str, FrameRanges]) -> dict[str, FrameRanges]:
        """Return all of it."""
        return dict(need)

    def owes(self, size: int) -> None:
        """Tell nobody."""

    def is_due(self, digest: str) -> bool:
        """Tell that it must."""
        del digest
        return True

    def sent(self, size: int) -> None:
        """Tell nobody."""

    def wait(self, need: Mapping[str, FrameRanges]) -> None:
        """Return at once."""


ALONE = Alone()


class InChain:
    """The place of a host in a chain."""

    def __init__(self, chain: Chain, name: str, addresses: tuple[str, ...]) -> None:
        self._chain = chain
        self._name = name
        self._addresses = addresses

    def enter(self, say: Callable[..., None], give_up: Callable[[], None]) -> None:
        """Have its agent join."""
        self._chain.enter(self._name, say, give_up, self._addresses)

    def exit(self) -> None:
        """Take it out of the chain."""
        self._chain.exit(self._name)

    def hear(self, event: Mapping[str, Any]) -> int:
        """Take note of an event; return the bytes that it tells of."""
        return self._chain.hear(self._name, event)

    def share(self, need: Mapping[str, FrameRanges]) -> dict[str, FrameRanges]:
        """Return what no other host gives it."""
        return self._chain.share(self._name, need)

    def owes(self, size: int) -> None:
        """Take note of the size of that."""
        self._chain.owes(self._name, size)

    def is_due(self, digest: str) -> bool:
        """Tell whether no other host gives it this blob, as things are."""
        return self._chain.is_from_sender(self._name, digest)

    def sent(self, size: int) -> None:
        """Take note of bytes that the sender gave it."""
        self._chain.sent(self._name, size)

    def wait(self, need: Mapping[str, FrameRanges]) -> None:
        """Wait for the chain to change."""
        self._chain.wait(self._name, need)
