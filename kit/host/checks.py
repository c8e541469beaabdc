"""Is a host fit for what is to happen there? Facts in, findings out. Pure.

The limits: engine 20.10 and compose 1.29 are the oldest that kit is tested with; torch's c10d rendezvous
breaks when clocks are more than 2 s apart. What drivers and cards must be stands in images/rules.yaml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kit.errors import UnfitError, UnreachableError
from kit.host.docker_words import PLAIN
from kit.host.gpu_rules import broken_gpu_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kit.host.facts import HostFacts
    from kit.host.gpu_rules import GpuJob
    from kit.project.model import HostSpec

OLDEST_ENGINE = (20, 10)
OLDEST_CONTAINERD_STORE = (25, 0)
"""Before, it was an experiment, and unproven with kit's layers."""
OLDEST_COMPOSE = (1, 29)
MOST_SKEW = 2.0
"""Seconds between the clocks of two hosts."""
LEAST_SHM = 1 << 30
ARCHITECTURES = ("x86_64", "amd64")

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at on a host."""

    host: str
    code: str
    """Stable name of the check, e.g. `engine-version`."""
    level: Level
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class NeededImage:
    """An image that must be in a host's engine."""

    name: str
    tag: str
    """Identity tag."""
    ids: frozenset[str]
    """IDs under which an engine may rightly hold it."""


@dataclass(frozen=True, slots=True)
class PeerRoute:
    """A host's way to another one that it trains with."""

    peer: str
    interface: str | None
    """None when there is no route."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What is to happen on a host."""

    disk_bytes: int = 0
    """Still to come under the host's root."""
    engine_bytes: int = 0
    """Still to come into the engine's data folder."""
    memory_bytes: int = 0
    runs_jobs: bool = False
    """A job runs there, so compose and GPUs matter."""
    cuda: str = ""
    """CUDA release that the stack's images hold, such as `12.6`; empty for a stack without GPUs."""
    gpu_jobs: tuple[GpuJob, ...] = ()
    ports: tuple[tuple[int, str], ...] = ()
    """(TCP port, what wants it)"""
    images: tuple[NeededImage, ...] = ()
    trains_with_others: bool = False
    routes: tuple[PeerRoute, ...] = ()


def _version(text: str | None) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", text or "")
    return (int(found[1]), int(found[2])) if found else ()


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


class _Host:
    """Makes findings about one host."""

    def __init__(self, facts: HostFacts, spec: HostSpec, needs: Needs) -> None:
        self.facts = facts
        self.spec = spec
        self.needs = needs

    def _say(self, code: str, problem: Level | None, text: str, fix: str = "") -> Finding:
        return Finding(self.facts.host, code, problem or "ok", text, fix if problem else "")

    def engine(self) -> Iterator[Finding]:
        facts = self.facts
        if facts.engine_version is None:
            why = "; ".join(said for said in (facts.engine_error, facts.sudo_error) if said)
            yield self._say("engine", "fail", f"no Docker engine answers: {why}", self._engine_fix())
            return
        way = "" if facts.docker == PLAIN else f", to {' '.join(facts.docker)}"
        yield self._say("engine", None, f"Docker engine {facts.engine_version} answers{way}")
        old = _version(facts.engine_version) < OLDEST_ENGINE
        fix = "install Docker 20.10 or newer there"
        yield self._say("engine-version", "fail" if old else None, f"engine {facts.engine_version}", fix)
        if facts.containerd_store:
            young = _version(facts.engine_version) < OLDEST_CONTAINERD_STORE
            fix = "turn it off in daemon.json (features: containerd-snapshotter), or install engine 25 there"
            yield self._say("image-store", "fail" if young else None, "containerd image store", fix)

    def _engine_fix(self) -> str:
        why, user = self.facts.engine_error.lower(), self.facts.user or "USER"
        if "permission denied" in why:
            return (
                f"sudo usermod -aG docker {user} there, then log in anew; or spare sudo the password: "
                f"echo '{user} ALL=(root) NOPASSWD: /usr/bin/docker, /usr/bin/docker-compose' | "
                "sudo tee /etc/sudoers.d/kit"
            )
        if "not found" in why:
            return "install Docker there (docker.io, or docker-ce)"
        return "sudo systemctl start docker there; journalctl -u docker tells why it stopped"

    def compose(self) -> Iterator[Finding]:
        if not self.needs.runs_jobs:
            return
        facts = self.facts
        if not facts.compose:
            fix = "install docker-compose-plugin (compose v2) or docker-compose 1.29 there"
            yield self._say("compose", "fail", "neither docker compose nor docker-compose", fix)
            return
        command = " ".join(facts.compose)
        old = _version(facts.compose_version) < OLDEST_COMPOSE
        text = f"{command} {facts.compose_version}"
        yield self._say("compose", "fail" if old else None, text, "install compose 1.29 or newer there")

    def architecture(self) -> Iterator[Finding]:
        found = self.facts.architecture
        strange = bool(found) and found not in ARCHITECTURES
        yield self._say(
            "architecture", "fail" if strange else None, found or "unknown", "kit's images are for x86_64"
        )

    def root(self) -> Iterator[Finding]:
        facts, root = self.facts, self.spec.root
        user = facts.user or "USER"
        fix = f"sudo install -d -m 700 -o {user} {root} there, or another hosts.{facts.host}.root"
        text = f"{root} can be written by {user}" if facts.root_writable else f"{user} cannot write {root}"
        yield self._say("root", None if facts.root_writable else "fail", text, fix)

    def room(self) -> Iterator[Finding]:
        facts, needs = self.facts, self.needs
        disk, engine = needs.disk_bytes, needs.engine_bytes
        shared = facts.engine_on_root_disk
        wanted = disk + engine if shared else disk
        fix = f"make room there (df -h {facts.root}; docker system df), or move hosts.{facts.host}.root"
        text = f"{_gb(facts.free_bytes)} free for {facts.root}, {_gb(wanted)} still to come"
        yield self._say("disk", "fail" if facts.free_bytes < wanted else None, text, fix)
        free = facts.engine_free_bytes
        if not shared and free is not None:
            text = f"{_gb(free)} free for the engine, {_gb(engine)} still to come"
            fix = "docker image prune there, or move the engine's data-root to a larger disk"
            yield self._say("engine-disk", "fail" if free < engine else None, text, fix)

    def memory(self) -> Iterator[Finding]:
        facts, wanted = self.facts, self.needs.memory_bytes
        text = f"{_gb(facts.memory_bytes)} of memory, {facts.cores} cores"
        fix = f"{_gb(wanted)} are needed: offload less, or take another host"
        yield self._say("memory", "warn" if facts.memory_bytes < wanted else None, text, fix)

    def shared_memory(self) -> Iterator[Finding]:
        if self.needs.runs_jobs and self.facts.shm_bytes:
            small = self.facts.shm_bytes < LEAST_SHM
            fix = "sudo mount -o remount,size=50% /dev/shm there"
            yield self._say(
                "shm", "warn" if small else None, f"{_gb(self.facts.shm_bytes)} of shared memory", fix
            )

    def gpus(self) -> Iterator[Finding]:
        wanted = self.spec.gpus
        if not wanted or not self.needs.runs_jobs:
            return
        problem, text = _gpu_problem(wanted, self.facts)
        fix = f"correct hosts.{self.facts.host}.gpus; nvidia-smi there shows what it has"
        yield self._say("gpus", "fail" if problem else None, text, fix)
        if self.needs.cuda:
            yield from self._driver()

    def _driver(self) -> Iterator[Finding]:
        version = self.facts.driver_version
        if not version:
            fix = "install an NVIDIA driver there; nvidia-smi must answer"
            yield self._say("driver", "fail", "no NVIDIA driver answers", fix)
        else:
            broken = broken_gpu_rules(self.facts, self.needs.cuda, self.needs.gpu_jobs)
            if not broken:
                yield self._say("driver", None, f"NVIDIA driver {version}")
            for rule in broken:
                yield self._say("driver", "fail", rule.text, rule.fix)
        text = (
            "the engine has the nvidia runtime"
            if self.facts.nvidia_runtime
            else "the engine lacks the nvidia runtime"
        )
        fix = "install nvidia-container-toolkit there; nvidia-ctk runtime configure; restart docker"
        yield self._say("nvidia-runtime", None if self.facts.nvidia_runtime else "fail", text, fix)

    def ports(self) -> Iterator[Finding]:
        for port, purpose in self.needs.ports:
            taken = port in self.facts.listening
            text = f"port {port} ({purpose}) is {'taken' if taken else 'free'}"
            fix = f"ss -ltnp 'sport = :{port}' there; fine when it is {purpose} itself, running"
            yield self._say("port", "warn" if taken else None, text, fix)

    def images(self) -> Iterator[Finding]:
        there = dict(self.facts.images)
        for image in self.needs.images:
            found = there.get(image.tag)
            code = "kit-image" if image.name == "kit" else "image"
            problem: Level | None = None if found in image.ids else "fail"
            if found is None:
                text = f"image {image.name} ({image.tag}) is missing"
            else:
                text = f"image {image.name} ({image.tag}) is {'another one' if problem else 'there'}"
            yield self._say(code, problem, text, f"kit ship --host {self.facts.host}")

    def network(self) -> Iterator[Finding]:
        facts = self.facts
        if self.needs.trains_with_others:
            loop = facts.resolves_to_loopback
            text = f"its own name, {facts.hostname}, {'resolves' if loop else 'does not resolve'} to loopback"
            fix = f"kit's ranks do without; other tools want {facts.hostname} rightly in /etc/hosts there"
            yield self._say("own-name", "warn" if loop else None, text, fix)
        for route in self.needs.routes:
            text = (
                f"reaches {route.peer} by {route.interface}"
                if route.interface
                else f"has no route to {route.peer}"
            )
            fix = f"connect the hosts, or name the interface in hosts.{facts.host}.nic"
            yield self._say("route", None if route.interface else "fail", text, fix)
        yield from self._nic()

    def _nic(self) -> Iterator[Finding]:
        nic = self.spec.nic
        if nic is not None and self.needs.trains_with_others:
            there = nic in {name for name, _ in self.facts.interfaces}
            text = f"network interface {nic} {'has' if there else 'is missing or has no'} IPv4 address"
            fix = f"correct hosts.{self.facts.host}.nic; ip -4 addr there shows the names"
            yield self._say("nic", None if there else "fail", text, fix)


def _gpu_problem(wanted: int | str, facts: HostFacts) -> tuple[bool, str]:
    found = len(facts.gpus)
    if isinstance(wanted, int):
        return found < wanted, f"{found} GPUs there, {wanted} asked for"
    known = {str(gpu.index) for gpu in facts.gpus} | {gpu.uuid for gpu in facts.gpus}
    missing = [gpu for gpu in wanted.split(",") if gpu not in known]
    return bool(missing), f"GPUs {wanted} asked for" + (
        f"; not there: {', '.join(missing)}" if missing else ""
    )


def check(facts: HostFacts, spec: HostSpec, needs: Needs) -> tuple[Finding, ...]:
    """Return what was found about one host, good and bad."""
    host = _Host(facts, spec, needs)
    checks = (
        *(
            host.engine,
            host.compose,
            host.architecture,
            host.root,
            host.room,
            host.memory,
            host.shared_memory,
        ),
        *(host.gpus, host.ports, host.images, host.network),
    )
    return tuple(finding for look in checks for finding in look())


def check_together(facts: Mapping[str, HostFacts]) -> tuple[Finding, ...]:
    """Return what can only be seen by comparing hosts: their clocks."""
    if len(facts) < 2:  # noqa: PLR2004
        return ()
    first = next(iter(facts.values()))
    findings = []
    for other in list(facts.values())[1:]:
        skew = other.clock_offset - first.clock_offset
        wrong = abs(skew) > MOST_SKEW
        text = f"its clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} {first.host}'s"
        fix = "set the clocks (chrony or ntpd with a server inside the intranet; date -s for once)"
        findings.append(Finding(other.host, "clock", "fail" if wrong else "ok", text, fix if wrong else ""))
    return tuple(findings)


UNREACHABLE = "reachable"
"""Code of the finding about a host that did not answer."""


def require_fit(findings: Iterable[Finding]) -> None:
    """Raise UnfitError for the first finding that fails, with the others named; pass when none does.

    Raises UnreachableError when that is what failed.
    """
    failed = [finding for finding in findings if finding.level == "fail"]
    if not failed:
        return
    first = next((finding for finding in failed if finding.code == UNREACHABLE), failed[0])
    others = "; ".join(f"{finding.host}: {finding.text}" for finding in failed if finding is not first)
    kind = UnreachableError if first.code == UNREACHABLE else UnfitError
    raise kind(first.text, where=first.host, why=f"also: {others}" if others else "", fix=first.fix)
