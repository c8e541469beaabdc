"""Across the air gap: ship, check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from kit.cli.failure import error_document, report_failure
from kit.cli.logins import Stage, asking_connect, asking_toolbox
from kit.cli.opening import local_manifest, open_bundle_here, open_project
from kit.cli.options import DEFAULT_FILE, Bundle, DryRun, File, HostNames, Json
from kit.cli.output import bytes_text, plain, show, shown_hosts, table
from kit.cli.ship_words import planned, planned_briefly
from kit.errors import KitError

if TYPE_CHECKING:
    from kit.host.port import Host
    from kit.project.load import LoadedProject
    from kit.run.check_hosts import CheckResult
    from kit.workflow.open_trusted import TrustedBundle
    from kit.workflow.ship_plan import ShipPlan
    from kit.workflow.ship_project import Shipped


def ship(
    file: File = DEFAULT_FILE,
    bundle: Bundle = None,
    host: HostNames = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Send each host what it lacks, verify it there, and load it."""
    from kit.run.fleet import chosen_hosts
    from kit.workflow.ship_project import plan_project_ship

    loaded = open_project(file)
    names = chosen_hosts(loaded, tuple(host or ()))
    found = open_bundle_here(file, bundle)
    told = plain(found.provenance)
    head = f"{found.source.manifest.name}: {found.provenance.text}"
    if dry_run:
        with asking_connect() as connect:
            plan = plan_project_ship(loaded, found.source, names, connect)
        show({**ship_document(plan), **told}, lambda _: (head, *planned(plan)), as_json=as_json)
        end_with(plan.failures)
        return
    stage = Stage()
    with asking_connect(stage) as connect:
        result = take_across(loaded, found, names, connect, stage, as_json=as_json)
    show({**ship_document(result), **told}, lambda _: (head, *ship_lines(result)), as_json=as_json)
    end_with(result.failures)


def take_across(
    loaded: LoadedProject,
    found: TrustedBundle,
    names: tuple[str, ...],
    connect: Callable[..., Host],
    stage: Stage,
    *,
    as_json: bool,
) -> Shipped:
    """Ship a bundle, shown on standard error, and remember it as this machine's newest of its name."""
    from kit.workflow.ship_project import ship_project

    with shown_hosts(as_json=as_json) as progress:
        stage.shown = progress
        progress.note(f"{found.source.manifest.name}: {found.provenance.text}")

        def on_plan(plan: ShipPlan) -> None:
            progress.plan(ship_document(plan), tuple(planned_briefly(plan)))

        result = ship_project(loaded, found.source, names, connect, progress, on_plan)
    found.accept()
    return result


def ship_document(result: Shipped | ShipPlan) -> dict[str, Any]:
    """Return a result as JSON can say it, with what went wrong where."""
    from kit.ship.ship import first_failure

    failed = [{"host": host, **error_document(error)} for host, error in result.failures.items()]
    first = {"error": error_document(first_failure(result.failures))} if failed else {}
    return {**plain(replace(result, failures={})), "failures": failed, **first}


def end_with(failures: Mapping[str, KitError]) -> None:
    """Exit as the failure of a host demands, if there is one; what went well was told before."""
    from kit.ship.ship import first_failure

    if failures:
        # On standard error alone: the JSON document has it already.
        raise typer.Exit(report_failure(first_failure(failures), as_json=False))


def ship_lines(shipped: Shipped) -> Iterator[str]:
    """Yield what was shipped, for people."""
    rows = [
        (
            receipt.host,
            bytes_text(receipt.sent_bytes),
            bytes_text(receipt.relayed_bytes),
            bytes_text(receipt.there_bytes),
            len(receipt.loaded),
            len(receipt.images),
            len(receipt.trees),
            f"{receipt.seconds:.1f} s",
        )
        for receipt in shipped.hosts
    ]
    head = ("HOST", "SENT", "FROM HOSTS", "THERE BEFORE", "LOADED", "IMAGES", "TREES", "TIME")
    yield from table(head, rows)
    if shipped.receipts:
        yield f"receipts: {shipped.receipts}"


def check(
    file: File = DEFAULT_FILE, bundle: Bundle = None, host: HostNames = None, as_json: Json = False
) -> None:
    """Tell whether every host is fit for its jobs; exit code 5 when one is not."""
    from kit.run.check_hosts import check_hosts
    from kit.run.fleet import chosen_hosts

    loaded = open_project(file)
    names = chosen_hosts(loaded, tuple(host or ()))
    manifest = local_manifest(file, bundle)
    with asking_toolbox() as toolbox:
        result = check_hosts(loaded, names, manifest, toolbox)
    show(result, _checked, as_json=as_json)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _checked(result: CheckResult) -> Iterator[str]:
    rows = [(item.host, item.level, item.code, item.text) for item in result.findings]
    yield from table(("HOST", "", "CHECK", "FOUND"), rows)
    for item in result.findings:
        if item.level != "ok" and item.fix:
            yield f"{item.host} {item.code}: to mend it: {item.fix}"
    count = len(result.hosts)
    yield f"{count} host{'s' if count > 1 else ''}: {'fit' if result.fit else 'NOT fit'}"
