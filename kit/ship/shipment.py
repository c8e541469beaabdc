"""One host's share of a ship: asked, planned for, sent to, loaded."""

from __future__ import annotations

import getpass
import platform
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.bundle.digest import blob_of
from kit.errors import TransferError, UnreachableError, VerificationError
from kit.host.agent import call_agent
from kit.host.checks import Needs, check, require_fit
from kit.ship.agent.order import order_document
from kit.ship.chain.place import ALONE
from kit.ship.early import NOTHING_EARLY
from kit.ship.engine.archive import store_of
from kit.ship.have import ask_host
from kit.ship.head_start import NOTHING_AHEAD, sent_ahead
from kit.ship.kit_image import prepare_root, send_kit_image
from kit.ship.lanes.carrier import Heard
from kit.ship.lanes.lanes import destination
from kit.ship.pace import Pace
from kit.ship.parse_receipt import check_receipt
from kit.ship.plan import HostPlan, plan_host, require_room
from kit.ship.receipt import Receipt
from kit.ship.reuse import FrameReader
from kit.ship.sending import News, Sending
from kit.ship.wanted import images_of, trees_in

if TYPE_CHECKING:
    from kit.bundle.manifest import Manifest
    from kit.bundle.source import BundleSource
    from kit.host.facts import HostFacts
    from kit.host.port import Host
    from kit.progress import HostProgress
    from kit.project.model import HostSpec
    from kit.ship.chain.place import Place
    from kit.ship.early import Early
    from kit.ship.plan import FramesOf
    from kit.ship.wanted import Wanted

AGENT_PHASES = ("assemble", "send", "load", "place")
"""Phases that a host's agent may tell of."""
MOST_EVENTS = 100_000
EVENTS_OF_A_BLOB = 10
"""Events that a host's agent may tell of, beside those that come with time."""
TEXT_LIMIT = 200
"""Most characters of what it says about one."""
ROUNDS = 3
"""Times that a host is asked anew when something there turned out damaged."""


@dataclass(frozen=True, slots=True)
class PlannedHost:
    """A host, what was found there, and what will be done."""

    facts: HostFacts
    plan: HostPlan
    rate: float | None = None
    """Bytes a second that will go there, as far as anybody knows."""

    @property
    def seconds(self) -> float | None:
        """About how long sending will take."""
        return self.plan.send_bytes / self.rate if self.rate else None


def plan_one(
    manifest: Manifest,
    host: Host,
    spec: HostSpec,
    wanted: Wanted,
    frames_of: FramesOf | None = None,
    *,
    kit_first: bool = True,
) -> PlannedHost:
    """Return what would be done on a host, as `plan_host` has it.

    Raises UnfitError, UnreachableError, ConfigError, and VerificationError when an index is damaged.
    """
    facts, have = ask_host(host, spec, images_of(manifest, wanted), trees_in(manifest, wanted))
    require_fit(check(facts, spec, Needs()))
    plan = plan_host(manifest, wanted, facts, have, frames_of, kit_first=kit_first)
    require_room(plan, facts)
    return PlannedHost(facts, plan)


def who() -> str:
    """Return who ships, and from where."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{platform.node()}"


class Shipment:
    """One host's share of a ship."""

    place: Place = ALONE
    """Where in a chain of hosts this one stands."""

    def __init__(
        self, source: BundleSource, host: Host, spec: HostSpec, wanted: Wanted, progress: HostProgress
    ) -> None:
        self.source = source
        self.host = host
        self.spec = spec
        self.wanted = wanted
        self.progress = progress
        self.sent = 0
        self.relayed = 0
        self._pace = Pace()
        self._accepted = False
        self._loading = ""
        self._events = 0
        self._done_at: float | None = None

    def _advance(self, size: int) -> None:
        self.sent += size
        self.progress.sent(self.host.name, size)

    def _carried(self, size: int) -> None:
        self._pace.count(size)
        self._advance(size)

    def _hear(self, event: dict[str, Any], sending: Sending) -> None:
        with sending.pulse.hearing(event):
            self._event(event, sending)

    def _event(self, event: dict[str, Any], sending: Sending) -> None:
        kind = event.get("event")
        self._events += 1
        if self._events > MOST_EVENTS + EVENTS_OF_A_BLOB * len(self.source.manifest.blobs):
            raise TransferError(
                "its agent talks without end",
                where=self.host.name,
                why=f"{self._events} events, the last one {str(event)[:80]}",
                fix="see what answers there: kit check",
            )
        self._relayed(self.place.hear(event))
        if kind == "accepted":
            self._accepted = True
        elif kind == "need":
            sending.begin(event.get("blobs"))
        elif kind == "lingers":
            self._done_at = time.monotonic()
        elif kind == "loading":
            # The engine begins while blobs still come: sending is what there is to see.
            self._loading = str(event.get("image"))[:TEXT_LIMIT]
        elif kind == "placing":
            self.progress.phase(self.host.name, "place", text=str(event.get("tree"))[:TEXT_LIMIT])
        elif kind == "phase" and event.get("phase") in AGENT_PHASES:
            text = self._loading if event["phase"] == "load" else ""
            self.progress.phase(self.host.name, event["phase"], text=text)

    def _needs(self, size: int) -> None:
        self.progress.phase(self.host.name, "send", send_bytes=self.sent + self.relayed + size)

    def _relayed(self, size: int) -> None:
        if size:
            self.relayed += size
            self.progress.sent(self.host.name, size)

    def carry_out(self, planned: PlannedHost) -> Receipt:
        """Send, load and place; return the receipt."""
        started = time.monotonic()
        self.progress.phase(self.host.name, "send", send_bytes=planned.plan.send_bytes)
        try:
            result = self._rounds(planned)
        except UnreachableError as error:
            raise TransferError(
                "the connection was lost on the way",
                where=self.host.name,
                why=error.why or error.what,
                fix="run kit ship again; it goes on where it stopped",
            ) from error
        check_receipt(result, planned.plan, blob_of(self.source.manifest_bytes).digest)
        # What it does for other hosts afterwards is not its own time.
        seconds = (self._done_at or time.monotonic()) - started
        counts = {"sent_bytes": self.sent, "relayed_bytes": self.relayed, "rate": int(self._pace.rate or 0)}
        receipt = _receipt(self.host.name, planned.plan, counts, result, seconds)
        self.progress.phase(self.host.name, "done")
        return receipt

    def _rounds(self, planned: PlannedHost) -> dict[str, Any]:
        prepare_root(self.host, self.spec.root, planned.facts.user)
        for last in (False,) * (ROUNDS - 1) + (True,):
            result = self._round(planned, last=last)
            if result is not None:
                return result
            frames_of = FrameReader(self.source.read)
            planned = plan_one(self.source.manifest, self.host, self.spec, self.wanted, frames_of)
        raise TransferError(
            "what was sent does not stay", where=self.host.name, fix="look at that host's disk (dmesg)"
        )

    def _round(self, planned: PlannedHost, *, last: bool) -> dict[str, Any] | None:
        """Return the agent's receipt, or None when the host must be planned for again."""
        plan = planned.plan
        early = self._send_kit(planned) if plan.sends_kit else NOTHING_EARLY
        try:
            result = self._send(planned, early)
        except VerificationError:
            if not self._accepted:
                raise  # The host refuses the bundle itself; sending it again changes nothing.
            self._blame_the_bundle(plan)
            if last:
                raise
            return None
        return None if result.get("again") else result

    def _send_kit(self, planned: PlannedHost) -> Early:
        plan, facts = planned.plan, planned.facts
        # In a chain, the hosts agree first on who gets what from here.
        ahead = sent_ahead(plan, facts, self.source) if self.place is ALONE else NOTHING_AHEAD
        heard = Heard(self._advance, lambda _: None, self.progress.note)
        to = destination(self.host, self.spec.root, facts)
        return send_kit_image(to, facts, self.source, plan.kit, heard, ahead)

    def _send(self, planned: PlannedHost, early: Early) -> dict[str, Any]:
        plan = planned.plan
        self._accepted = False
        request = order_document(plan, store_of(planned.facts), self.source, who())
        request["early"] = early.document
        self._advance(sum(index.size for index in plan.indexes))
        to = destination(self.host, self.spec.root, planned.facts)
        news = News(self._carried, self._needs, self.progress.note)
        with Sending(to, self.source, plan, news, self.place) as sending:
            return call_agent(
                self.host,
                planned.facts,
                plan.kit.identity_tag,
                "ship",
                request,
                sending.control,
                on_event=lambda event: self._hear(event, sending),
                on_last=sending.control.close,
            )

    def _blame_the_bundle(self, plan: HostPlan) -> None:
        """Raise VerificationError when a blob of the bundle itself is damaged, rather than what arrived."""
        for send in plan.sends:
            for _ in self.source.read(send.blob.digest):
                pass


def _receipt(
    host: str, plan: HostPlan, counts: dict[str, int], result: dict[str, Any], seconds: float
) -> Receipt:
    try:
        return Receipt(
            host=host,
            bundle=str(result["bundle"]),
            **counts,
            there_bytes=plan.there_bytes,
            images=tuple((str(tag), str(found)) for tag, found in result["images"]),
            loaded=tuple(map(str, result["loaded"])),
            trees=tuple(map(str, result["trees"])),
            seconds=round(seconds, 2),
            files=int(result["files"]),
            file_bytes=int(result["file_bytes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TransferError("the receipt is none", where=host, why=str(error)) from error
