"""On the machine with a network: init, lock, bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.crossing import end_with, ship_document, ship_lines, take_across
from kit.cli.logins import Stage, asking_connect
from kit.cli.media import starter_lines
from kit.cli.opening import open_bundle_here, open_project
from kit.cli.options import DEFAULT_FILE, DryRun, File, HostNames, Json
from kit.cli.output import bytes_text, plain, show, shown_progress, table, volumes_text
from kit.cli.signing import SignKey, signer_for

if TYPE_CHECKING:
    from kit.bundle.pack_listener import PackListener
    from kit.host.port import Host
    from kit.progress import Progress
    from kit.project.load import LoadedProject
    from kit.workflow.bundle_places import Wanted
    from kit.workflow.check_lock import LockCheck
    from kit.workflow.make_bundle import BundlePlan, Made
    from kit.workflow.start_project import Started
    from kit.workflow.write_project_lock import Locked
    from kit.workflow.write_starter import WrittenStarter

_SHOWN = 24
"""Characters of a digest in a table; --json has all."""


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it.")] = Path(),
    stack: Annotated[str, typer.Option("--stack", help="cu126 (NVIDIA GPUs) or cpu.")] = "cu126",
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Write a kit.yaml to start from, and an example data set."""
    from kit.workflow.start_project import start_project

    show(start_project(folder, stack, dry_run=dry_run), _started, as_json=as_json)


def _started(result: Started) -> Iterator[str]:
    for path in result.files:
        yield f"{'would write' if result.dry_run else 'wrote'} {path}"
    yield "next: put your hosts and model into kit.yaml, then: kit lock"


def lock(
    file: File = DEFAULT_FILE,
    offline: Annotated[
        bool, typer.Option("--offline", help="Resolve what needs no network; list the rest as pending.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; tell what has drifted, with exit code 3 if anything."),
    ] = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Resolve every input to digests, hashes and revisions, into kit.lock."""
    from kit.workflow.lock_project import make_lock
    from kit.workflow.write_project_lock import lock_project

    if check:
        _check(file, offline=offline, as_json=as_json)
        return
    with shown_progress() as progress:
        result = lock_project(open_project(file), make_lock, progress, offline=offline, dry_run=dry_run)
    show(result, _locked, as_json=as_json)


def _check(file: Path, *, offline: bool, as_json: bool) -> None:
    from kit.workflow.check_lock import check_lock
    from kit.workflow.lock_project import parts_of

    with shown_progress() as progress:
        result = check_lock(open_project(file), parts_of, progress, offline=offline)
    show(result, _checked, as_json=as_json)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _checked(result: LockCheck) -> Iterator[str]:
    if result.drifts:
        rows = [(d.part, d.kind, d.what, d.locked[:_SHOWN], d.now[:_SHOWN]) for d in result.drifts]
        yield from table(("PART", "DRIFT", "WHAT", "LOCKED", "NOW"), rows)
    yield from (f"not asked: {text}" for text in result.unasked)
    if result.drifts:
        count = f"{len(result.drifts)} drifted, {result.checked} parts looked at"
        yield f"{result.path}: {count}; to mend it: kit lock"
    else:
        rest = f", {len(result.unasked)} not asked" if result.unasked else ""
        yield f"{result.path}: nothing drifted; {result.checked} parts looked at{rest}"


def _locked(result: Locked) -> Iterator[str]:
    yield from (f"  {line}" for line in result.changes)
    if result.pending:
        yield "not resolved yet; kit lock on a machine with a network adds it:"
        yield from (f"  {text}" for text in result.pending)
    if result.custom_code:
        yield "custom code of models, to be read before an engine is told to trust it:"
        yield from (f"  {text}" for text in result.custom_code)
    state = "would be written" if result.dry_run else "written"
    if not (result.first or result.changes):
        state = "unchanged"
    yield f"{result.path}: {state}; {result.images} images, {result.trees} models and datasets"


def bundle(
    file: File = DEFAULT_FILE,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", "-o", help="A folder, or NAME.tar; both when given twice.  [default: bundle]"),
    ] = None,
    volume_size: Annotated[
        str | None,
        typer.Option("--volume-size", help="Cut the tarball: 4G, 700MB, or fat32, dvd, bd …"),
    ] = None,
    parity: Annotated[
        int, typer.Option("--parity", help="Add volumes so that this many may be lost.", min=0)
    ] = 0,
    sign: SignKey = None,
    starter: Annotated[
        bool,
        typer.Option("--starter", help="Put kit's image and load.sh beside it, for hosts that have no kit."),
    ] = False,
    ship: Annotated[
        bool,
        typer.Option("--ship", help="Ship it, too: hosts are reached first and prepared meanwhile."),
    ] = False,
    host: HostNames = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Build, fetch and pack everything that kit.lock pins; with --sign, sign it; with --ship, ship it."""
    from kit.workflow.bundle_places import Wanted
    from kit.workflow.make_bundle import plan_bundle

    loaded = open_project(file)
    wanted, going = Wanted(tuple(out or ()), volume_size, parity), _hosts(loaded, host, ship=ship)
    if dry_run:
        show(plan_bundle(loaded, wanted), lambda plan: _planned(plan, going), as_json=as_json)
        return
    stage = Stage()
    with asking_connect(stage) as connect:
        with shown_progress() as progress:
            stage.shown = progress
            # A key or a host that is not there is noticed before hours of building.
            signer = signer_for(sign, progress) if sign else None
            listener = _listener(loaded, going, connect, progress)
            result, written = _make(loaded, wanted, signer, listener, progress, starter=starter)
        document = plain(result) | ({"starter": plain(written)} if written else {})
        lines = [*_made(result), *(starter_lines(written) if written else ())]
        if not going:
            show(document, lambda _: lines, as_json=as_json)
            return
        if not as_json:
            show(document, lambda _: lines, as_json=False)
        found = open_bundle_here(file, Path(result.path))
        shipped = take_across(loaded, found, going, connect, stage, as_json=as_json)
    show(document | {"shipped": ship_document(shipped)}, lambda _: ship_lines(shipped), as_json=as_json)
    end_with(shipped.failures)


def _hosts(loaded: LoadedProject, names: list[str] | None, *, ship: bool) -> tuple[str, ...]:
    """Return the hosts to ship to; none unless asked for."""
    from kit.errors import ConfigError
    from kit.run.fleet import chosen_hosts

    if names and not ship:
        raise ConfigError(
            "a host for a bundle that stays here", where="--host", fix="kit bundle --ship --host"
        )
    return chosen_hosts(loaded, tuple(names or ())) if ship else ()


def _listener(
    loaded: LoadedProject, names: tuple[str, ...], connect: Callable[..., Host], progress: Progress
) -> PackListener:
    from kit.bundle.pack_listener import NoListener

    if not names:
        return NoListener()
    from kit.workflow.ship_ahead import ShipAhead

    ahead = ShipAhead(loaded, names, connect, progress)
    ahead.reach()
    return ahead


def _make(
    loaded: LoadedProject,
    wanted: Wanted,
    signer: Callable[[bytes], bytes] | None,
    listener: PackListener,
    progress: Progress,
    *,
    starter: bool,
) -> tuple[Made, WrittenStarter | None]:
    from kit import __version__
    from kit.workflow.make_bundle import make_bundle, real_tools, starter_of

    result = make_bundle(loaded, wanted, real_tools(signer), progress, listener)
    return result, starter_of(result, __version__, progress) if starter else None


def _planned(plan: BundlePlan, hosts: tuple[str, ...]) -> Iterator[str]:
    yield f"would pack {plan.name} into {plan.path}"
    yield from (f"  build or pull image {name}" for name in plan.images)
    yield from (f"  fetch {name}: {files} files, {bytes_text(size)}" for name, files, size in plan.trees)
    if hosts:
        yield f"would ship it to {', '.join(hosts)}"


def _made(made: Made) -> Iterator[str]:
    rows = [(part.kind, part.name, bytes_text(part.size), part.reference) for part in made.parts]
    yield from table(("KIND", "NAME", "SIZE", "REFERENCE"), rows)
    yield f"{made.name}: {made.path}, {bytes_text(made.bytes)}, {made.digest}"
    if made.volumes:
        yield f"{volumes_text(made.volumes, made.parity_volumes)}; the list travels with them"
    yield made.signature.text
