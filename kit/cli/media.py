"""Media that are carried to a host: what starts kit there, and loading from them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.opening import bundle_path, open_bundle_here, open_project
from kit.cli.options import DEFAULT_FILE, Bundle, DryRun, File, Json, complete_host
from kit.cli.output import bytes_text, plain, show, shown_hosts, shown_progress

if TYPE_CHECKING:
    from kit.workflow.load_bundle import Loaded, LoadPlan, LoadRequest
    from kit.workflow.write_starter import WrittenStarter


def starter(
    file: File = DEFAULT_FILE, bundle: Bundle = None, as_json: Json = False, dry_run: DryRun = False
) -> None:
    """Put kit's image and load.sh beside a bundle, for hosts that have Docker but no kit."""
    from kit import __version__
    from kit.workflow.write_starter import plan_starter, write_starter

    path, found = bundle_path(file, bundle), open_bundle_here(file, bundle)
    if dry_run:
        show(plan_starter(path, found.source), _planned_starter, as_json=as_json)
        return
    with shown_progress() as progress:
        written = write_starter(path, found.source, __version__, progress)
    show(written, starter_lines, as_json=as_json)


def _planned_starter(plan: WrittenStarter) -> Iterator[str]:
    yield f"would write {plan.script} and {plan.archive}"


def starter_lines(written: WrittenStarter) -> Iterator[str]:
    """Yield what people are told of a starter that was written."""
    yield f"wrote {written.archive}, {bytes_text(written.bytes)}"
    yield f"wrote {written.script}; on a host, from the medium: sh load.sh"


def load(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A bundle: folder, tarball, or volumes.")],
    file: File = DEFAULT_FILE,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            help="Load what kit.yaml wants on this host.  [default: everything]",
            autocompletion=complete_host,
        ),
    ] = None,
    root: Annotated[
        str | None, typer.Option("--root", help="kit's folder on this host.  [default: /aisys/kit]")
    ] = None,
    allowed_signers: Annotated[
        Path | None,
        typer.Option("--allowed-signers", help="Demand a signature by somebody whom this file names."),
    ] = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """On a host: take in a bundle from a disk, in place, verified and resumed as a shipment is."""
    from kit.host.local_machine import LocalMachine
    from kit.workflow.load_bundle import Load

    request = _request(path, file, host, root, allowed_signers)
    with shown_hosts(as_json=as_json) as progress:
        loading = Load(request, LocalMachine(request.name), progress)
        head = f"{loading.source.manifest.name}: {loading.source.signature.text}"
        told = {"signature": plain(loading.source.signature)}
        if dry_run:
            planned = loading.plan()
        else:
            from kit.ship.engine.docker_store import DockerStore

            # As when kit's agent takes a shipment in: folders on the way to a file are the user's alone, too.
            os.umask(0o077)
            progress.note(head)
            loaded = loading.carry_out(DockerStore)
    if dry_run:
        show({**plain(planned), **told}, lambda _: (head, *_planned(planned)), as_json=as_json)
    else:
        show({**plain(loaded), **told}, lambda _: (head, *_loaded(loaded)), as_json=as_json)


def _request(
    path: Path, file: Path, host: str | None, root: str | None, allowed_signers: Path | None
) -> LoadRequest:
    from kit.project.model import HostSpec
    from kit.run.fleet import chosen_hosts
    from kit.ship.wrapper_script import ROOT_VARIABLE
    from kit.workflow.load_bundle import HERE, LoadRequest, chosen_root

    own = os.environ.get(ROOT_VARIABLE)
    if host is None:
        spec = HostSpec(address="local", root=chosen_root(root, None, own))
        return LoadRequest(path.absolute(), spec, HERE, None, allowed_signers)
    loaded = open_project(file)
    chosen_hosts(loaded, (host,))
    spec = loaded.project.hosts[host]
    spec = spec.model_copy(update={"root": chosen_root(root, spec.root, own)})
    return LoadRequest(path.absolute(), spec, host, loaded, allowed_signers)


def _planned(plan: LoadPlan) -> Iterator[str]:
    there, engine = bytes_text(plan.there_bytes), bytes_text(plan.engine_bytes)
    yield f"{plan.host}: would read {bytes_text(plan.read_bytes)} from {plan.path}; {there} are there"
    yield f"  room needed: {bytes_text(plan.disk_bytes)} in {plan.root}, {engine} in the engine's folder"
    yield from (f"  load {tag}" for tag in plan.loads)
    yield from (f"  place {tree}" for tree in plan.trees)


def _loaded(loaded: Loaded) -> Iterator[str]:
    images = f"{len(loaded.images)} images, {len(loaded.loaded)} of them new"
    counts = f"{images}; {len(loaded.trees)} models and datasets, {loaded.files} files compared"
    yield (
        f"{loaded.host}: read {bytes_text(loaded.read_bytes)} in {loaded.seconds:.1f} s, "
        f"{bytes_text(loaded.there_bytes)} were there; {counts}"
    )
    yield f"{loaded.root}/bin/kit is kit on this host"
