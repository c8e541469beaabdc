"""Where the artifacts of earlier jobs lie, and what must be brought to which host. Asks; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from kit.jobs.launch import ModelSource
from kit.run.carry import Carry, carried_folder, check_room
from kit.run.needs import made_on
from kit.run.record import RunRecord, record_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kit.project.model import Project
    from kit.run.machine import Machine

    Documents = Mapping[str, Mapping[str, Any]]
    """Host → job → the record of what it made, or None."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What was found."""

    sources: Mapping[str, ModelSource]
    carries: tuple[Carry, ...]
    notes: tuple[str, ...]


def seek_made(
    project: Project,
    makers: tuple[str, ...],
    machines: Mapping[str, Machine],
    made: Documents,
    others: Mapping[str, Machine | KitError],
) -> Sought:
    """Return where each maker's newest artifact lies on the job's hosts, or is to lie once it was brought.

    A maker that has made nothing has no source. When its host cannot be asked, what every host of the job
    was brought before is used, with a note. Raises what that host fails with, UnfitError without room.
    """
    sources: dict[str, ModelSource] = {}
    carries: list[Carry] = []
    notes: list[str] = []
    for maker in makers:
        home = made_on(project, maker)
        there = {host: _record(made[host].get(maker), host) for host in machines}
        holder = machines.get(home) or others[home]
        if isinstance(holder, KitError):
            newest = _brought_before(there, holder)
            run = f"the run {newest.run_id} of {maker}, brought before, is used"
            notes.append(f"{home} cannot be asked ({holder.what}); {run}")
        elif (found := there[home] if home in machines else _ask(holder, maker)) is not None:
            newest = found
            carries += _carries(newest, holder, machines, there)
        else:
            continue
        sources[maker] = _source(newest, machines, there)
    check_room(tuple(carries))
    return Sought(sources, tuple(carries), tuple(notes))


def _ask(holder: Machine, maker: str) -> RunRecord | None:
    found = holder.ask("survey", job=maker, trees=[], made_by=[maker])
    return _record(found["made"].get(maker), holder.name)


def _record(document: Any, host: str) -> RunRecord | None:
    return record_of(document, host) if document else None


def _is_the_same(record: RunRecord | None, newest: RunRecord) -> bool:
    if record is None or record.artifact is None or newest.artifact is None:
        return False
    return record.run_id == newest.run_id and record.artifact.files == newest.artifact.files


def _brought_before(there: Mapping[str, RunRecord | None], failure: KitError) -> RunRecord:
    first = next(iter(there.values()))
    if first is None or not all(_is_the_same(record, first) for record in there.values()):
        raise failure
    return first


def _carries(
    newest: RunRecord,
    holder: Machine,
    machines: Mapping[str, Machine],
    there: Mapping[str, RunRecord | None],
) -> Iterator[Carry]:
    for host, machine in machines.items():
        if machine is not holder and not _is_the_same(there[host], newest):
            yield Carry(newest, holder, machine)


def _source(
    newest: RunRecord, machines: Mapping[str, Machine], there: Mapping[str, RunRecord | None]
) -> ModelSource:
    places = []
    for host, machine in machines.items():
        record = there[host]
        if record is not None and record.artifact is not None and _is_the_same(record, newest):
            folder = f"{machine.spec.root}/runs/{newest.job}/{newest.run_id}/{record.artifact.path}"
        else:
            folder = carried_folder(machine.spec.root, newest.job, newest.run_id)
        places.append((host, folder))
    return ModelSource(newest.job, places[0][1], tuple(places), newest.adapter)
