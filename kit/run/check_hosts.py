"""`kit check`: whether every host is fit for its jobs, and for what is still to be shipped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kit.errors import KitError, UnfitError, UnreachableError
from kit.host.checks import UNREACHABLE, Finding, PeerRoute, check, check_together
from kit.jobs.check_arguments import argument_errors, unchecked
from kit.jobs.job_rules import broken_job_rules, keys_of
from kit.project.job_model import TrainJob
from kit.project.references import hosts_of
from kit.run.fitness import needs_of
from kit.run.fleet import open_some_hosts, try_each
from kit.run.machine import shipped_manifest
from kit.run.routes import ask_way
from kit.ship.have import ask_have
from kit.ship.plan import plan_host
from kit.ship.wanted import wanted_by_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.bundle.manifest import Manifest
    from kit.host.facts import HostFacts
    from kit.host.port import Host
    from kit.project.load import LoadedProject
    from kit.project.model import Project
    from kit.run.machine import Toolbox


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was found."""

    hosts: tuple[str, ...]
    fit: bool
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0, or the code for an unreachable or unfit host."""
        failed = [finding for finding in self.findings if finding.level == "fail"]
        if any(finding.code == UNREACHABLE for finding in failed):
            return UnreachableError.exit_code
        return UnfitError.exit_code if failed else 0


@dataclass(frozen=True, slots=True)
class _Looked:
    facts: HostFacts
    findings: tuple[Finding, ...]


def check_hosts(
    loaded: LoadedProject, names: tuple[str, ...], bundle: Manifest | None, toolbox: Toolbox
) -> CheckResult:
    """Return the findings about these hosts; one that cannot be reached is a finding, too.

    With a bundle, the room that its ship still needs is looked at.
    """
    project = loaded.project
    with open_some_hosts(loaded, names, toolbox.connect) as reached:
        looked, broken = try_each(
            tuple(reached.hosts), lambda name: _look(project, reached.hosts[name], bundle, toolbox)
        )
    failures = {**reached.failures, **broken}
    findings = [finding for name in names for finding in _of_host(name, looked, failures)]
    findings += check_together({name: found.facts for name, found in looked.items() if name in names})
    return CheckResult(names, all(finding.level != "fail" for finding in findings), tuple(findings))


def _of_host(name: str, looked: dict[str, _Looked], failures: dict[str, KitError]) -> tuple[Finding, ...]:
    if name in looked:
        return looked[name].findings
    error = failures[name]
    text = f"{error.what} ({error.why})" if error.why else error.what
    code = UNREACHABLE if isinstance(error, UnreachableError) else "kit"
    return (Finding(name, code, "fail", text, error.fix),)


def _look(project: Project, host: Host, bundle: Manifest | None, toolbox: Toolbox) -> _Looked:
    spec = project.hosts[host.name]
    facts = toolbox.gather_facts(host, spec)
    shipped = _shipped(project, host)
    needs = needs_of(project, host.name, tuple(project.jobs), shipped, _routes(project, host))
    if bundle is not None and facts.engine_version is not None:
        plan = plan_host(bundle, wanted_by_host(project)[host.name], facts, ask_have(host, spec.root))
        needs = replace(needs, disk_bytes=plan.disk_bytes, engine_bytes=plan.engine_bytes)
    said = (*check(facts, spec, needs), *job_findings(project, host.name))
    if shipped is None:
        text = "nothing was shipped to it yet"
        said = (*said, Finding(host.name, "shipped", "warn", text, f"kit ship --host {host.name}"))
    return _Looked(facts, said)


def job_findings(project: Project, host: str) -> tuple[Finding, ...]:
    """Return the findings about what a host's jobs are told to do: flags that their engine does not have."""
    here = [name for name in project.jobs if host in hosts_of(project, name)]
    return tuple(finding for name in here for finding in _of_job(project, name, host))


def _of_job(project: Project, name: str, host: str) -> Iterator[Finding]:
    broken = broken_job_rules(project, name)
    for item in broken:
        yield Finding(host, "job", "fail", f"{name}: {item.text}", item.fix)
    told = {f"jobs.{name}.{key}" for key in keys_of(project, name, broken)}
    for error in argument_errors(project, name):
        if error.where in told:
            continue
        text = f"{error.where}: {error.what}" + (f" ({error.why})" if error.why else "")
        yield Finding(host, "job", "fail", text, error.fix)
    note = unchecked(project, name)
    if note:
        yield Finding(host, "job", "warn", note, "look them up in that release's own --help")


def _shipped(project: Project, host: Host) -> Manifest | None:
    try:
        return shipped_manifest(host, project.hosts[host.name])
    except UnfitError:
        return None


def peers_of(project: Project, host: str) -> tuple[str, ...]:
    """Return the hosts that a host trains with. Pure."""
    trainings = [job for job in project.jobs.values() if isinstance(job, TrainJob) and host in job.hosts]
    return tuple(dict.fromkeys(peer for job in trainings for peer in job.hosts if peer != host))


def _routes(project: Project, host: Host) -> tuple[PeerRoute, ...]:
    ways = {peer: ask_way(host, project.hosts[peer].address) for peer in peers_of(project, host.name)}
    return tuple(
        PeerRoute(peer, way.route.interface if way.route else None) for peer, way in ways.items() if way.known
    )
