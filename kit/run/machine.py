"""A host that kit works on: its connection, its facts, and kit's own image at work there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kit.bundle.parse_manifest import parse_manifest
from kit.errors import UnfitError
from kit.run.commands import print_file
from kit.run.fleet import each, try_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kit.bundle.manifest import Manifest
    from kit.errors import KitError
    from kit.host.facts import HostFacts
    from kit.host.port import Argv, Completed, Host
    from kit.project.model import HostSpec
    from kit.run.watch import Clock

    GatherFacts = Callable[[Host, HostSpec], HostFacts]
    MakeAgent = Callable[[Host, HostFacts, str], "Agent"]

KIT_IMAGE = "kit"


class Agent(Protocol):
    """kit's image at work on a host."""

    def call(
        self,
        verb: str,
        request: dict[str, Any],
        on_event: Callable[[dict[str, Any]], None] | None = None,
        chunks: Iterable[bytes] = (),
    ) -> dict[str, Any]:
        """Return a verb's result; `chunks` follow the request.

        Raises the KitError that the verb raised, or UnreachableError.
        """


class ImageAgent:
    """Runs kit's image over the connection."""

    def __init__(self, host: Host, facts: HostFacts, image_tag: str) -> None:
        self._host = host
        self._facts = facts
        self._image_tag = image_tag

    def call(
        self,
        verb: str,
        request: dict[str, Any],
        on_event: Callable[[dict[str, Any]], None] | None = None,
        chunks: Iterable[bytes] = (),
    ) -> dict[str, Any]:
        """Return a verb's result."""
        from kit.host.agent import call_agent

        return call_agent(self._host, self._facts, self._image_tag, verb, request, chunks, on_event)


@dataclass(frozen=True, slots=True)
class Machine:
    """A host, ready to be worked on."""

    host: Host
    spec: HostSpec
    facts: HostFacts
    shipped: Manifest
    """What the last `kit ship` brought."""
    agent: Agent

    @property
    def name(self) -> str:
        """Its name in kit.yaml."""
        return self.host.name

    def run(self, argv: Argv) -> Completed:
        """Run a command there."""
        return self.host.run(argv)

    def ask(
        self, verb: str, on_event: Callable[[dict[str, Any]], None] | None = None, **request: Any
    ) -> dict[str, Any]:
        """Have kit's image do something there."""
        return self.agent.call(verb, {"root": self.spec.root, **request}, on_event)

    def feed(self, verb: str, chunks: Iterable[bytes], **request: Any) -> dict[str, Any]:
        """Have kit's image do something there with bytes that follow the request."""
        return self.agent.call(verb, {"root": self.spec.root, **request}, None, chunks)


def shipped_manifest(host: Host, spec: HostSpec) -> Manifest:
    """Return the manifest of what was last shipped to a host. Raises UnfitError when nothing was."""
    path = f"{spec.root}/bundles/current.json"
    found = host.run(print_file(path))
    if found.status != 0:
        raise UnfitError("nothing was shipped to it yet", where=host.name, why=f"no {path}", fix="kit ship")
    return parse_manifest(found.stdout)


@dataclass(frozen=True, slots=True)
class Toolbox:
    """How machines are made out of hosts, and time: the effects, so that tests can bring their own."""

    connect: Callable[..., Host]
    gather_facts: GatherFacts
    make_agent: MakeAgent
    clock: Clock = time


def real_toolbox(connect: Callable[..., Host]) -> Toolbox:
    """Return the toolbox that reaches real hosts, by `kit.host.connect.connect` or what goes before it."""
    from kit.host.gather import gather_facts

    return Toolbox(connect, gather_facts, ImageAgent)


def make_machine(host: Host, spec: HostSpec, toolbox: Toolbox) -> Machine:
    """Ask a host for its facts and for what was shipped to it. Raises UnfitError or UnreachableError."""
    shipped = shipped_manifest(host, spec)
    image = shipped.image(KIT_IMAGE)
    if image is None:
        raise UnfitError("kit's own image was not shipped to it", where=host.name, fix="kit bundle, kit ship")
    facts = toolbox.gather_facts(host, spec)
    return Machine(host, spec, facts, shipped, toolbox.make_agent(host, facts, image.identity_tag))


def make_machines(
    hosts: Mapping[str, Host], specs: Mapping[str, HostSpec], toolbox: Toolbox
) -> dict[str, Machine]:
    """Make machines of all these hosts in parallel. Raises what the first of them fails with."""
    return each(tuple(hosts), lambda name: make_machine(hosts[name], specs[name], toolbox))


def make_some_machines(
    hosts: Mapping[str, Host], specs: Mapping[str, HostSpec], toolbox: Toolbox
) -> tuple[dict[str, Machine], dict[str, KitError]]:
    """Make machines of those hosts that allow it; return (machines, what failed)."""
    return try_each(tuple(hosts), lambda name: make_machine(hosts[name], specs[name], toolbox))
