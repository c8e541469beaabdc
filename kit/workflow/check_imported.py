"""Imported jobs, held against everything that `kit plan` checks. Pure.

What kit would refuse in a job's own words is left out and told, with the reason that the check gives; so an
import knows no flags of its own, and always says what the version in the stack says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from kit.errors import ConfigError, UnfitError
from kit.importing.change import shown
from kit.importing.chat_template import template_of
from kit.importing.insert import merged
from kit.importing.train_arguments import packages_of
from kit.jobs.quantise import PROVEN
from kit.project.load import parse_project
from kit.run.plan import plan_without_hosts

if TYPE_CHECKING:
    from kit.errors import KitError
    from kit.importing.assemble import Imported

_OPTIONAL = (
    "reasoning",
    "gpu_memory_utilization",
    "offload",
    "served_name",
    "max_model_len",
    "dtype",
    "bind",
)
_DECIDING = ("stage", "finetuning_type")
"""Arguments without which a training would be another one."""


def settle(found: Imported, base: dict[str, Any], *, where: str) -> None:
    """Leave out of the imported jobs what kit would refuse, and note it in their tables.

    Raises ConfigError for what cannot be left out.
    """
    for name, job in found.jobs.items():
        while (error := _refusal(found, base, name, where)) is not None:
            if isinstance(error, UnfitError) or not error.where.startswith(f"jobs.{name}."):
                _remark(found, name, error)
                break
            if not _leave_out(found, base, (name, where), error):
                error.fix = error.fix or "give the command without it"
                raise error
        if not job.get("args", True):
            del job["args"]
    _unneeded_packages(found)


def _unneeded_packages(found: Imported) -> None:
    """Take packages back whose arguments were left out."""
    args = [job.get("args", {}) for job in found.jobs.values() if job["kind"] == "train"]
    needed = {pin for own in args for pin in packages_of(own)}
    if any("bits" in job for job in found.jobs.values()):
        needed |= {pin for pins in PROVEN.values() for pin in pins}
    for image, pins in list(found.packages.items()):
        found.packages[image] = [pin for pin in pins if pin in needed]
        if not found.packages[image]:
            del found.packages[image]
        gone = {f"packages.{image}: {pin}" for pin in pins if pin not in needed}
        for changes in found.changes.values():
            changes.lines = [line for line in changes.lines if line.becomes not in gone]


def _refusal(found: Imported, base: dict[str, Any], name: str, where: str) -> KitError | None:
    project = parse_project(merged(base, found.sections()), where)
    try:
        plan_without_hosts(project, name, None)
    except (ConfigError, UnfitError) as error:
        return error
    return None


def _remark(found: Imported, name: str, error: KitError) -> None:
    changes = found.changes.get(name)
    if changes is not None:
        fix = f"; {error.fix}" if error.fix else ""
        changes.fill_in(error.where, f"kit plan refuses it as it stands: {error.what}{fix}")


def _leave_out(found: Imported, base: dict[str, Any], at: tuple[str, str], error: KitError) -> bool:
    name, where = at
    job = found.jobs[name]
    path = error.where.removeprefix(f"jobs.{name}.").split(".")
    key = path[1].partition("[")[0] if len(path) > 1 else ""
    if path[0] in ("args", "env") and key in job.get(path[0], {}):
        if key in _DECIDING:
            return False
        alone = _alone(found, base, at, (path[0], key))
        return _without(found, name, (path[0], key), alone if _is_part(alone, error) else error)
    if path[0] == "args":
        return _find_culprit(found, base, (name, where), error)
    if path[0] == "template" and job.get("template"):
        return _other_template(found, base, name, error)
    if path[0] in _OPTIONAL and path[0] in job:
        return _without(found, name, (path[0], ""), error)
    return False


def _is_part(alone: KitError | None, whole: KitError) -> TypeGuard[KitError]:
    """Return whether a complaint is the beginning of another one, which goes on about other entries."""
    if alone is None or alone.where != whole.where:
        return False
    return whole.what.startswith(alone.what) and whole.why.startswith(alone.why)


def _alone(
    found: Imported, base: dict[str, Any], at: tuple[str, str], place: tuple[str, str]
) -> KitError | None:
    """Return what is said of one entry when nothing else of its section could be complained about."""
    name, where = at
    section, key = place
    job = found.jobs[name]
    found.jobs[name] = {**job, section: {key: job[section][key]}}
    error = _refusal(found, base, name, where)
    found.jobs[name] = job
    return error


def _without(found: Imported, name: str, place: tuple[str, str], error: KitError) -> bool:
    section, key = place
    job = found.jobs[name]
    value = job[section].pop(key) if key else job.pop(section)
    if key and not job[section]:
        del job[section]
    fix = "" if error.fix.startswith(f"remove jobs.{name}.") else error.fix
    because = "; ".join(part for part in (error.what, error.why, fix) if part)
    changes = found.changes.get(name)
    if changes is not None:
        lines = changes.lines
        given = f"{key or section}: {shown(value)}"
        target = f"{section}.{key}" if key else section
        gone = [line for line in lines if line.becomes == target or line.becomes.startswith(f"{target}:")]
        changes.lines = [line for line in lines if line not in gone]
        changes.dropped(gone[-1].given if gone and gone[-1].given else given, because)
    return True


def _find_culprit(found: Imported, base: dict[str, Any], at: tuple[str, str], error: KitError) -> bool:
    """Leave out the argument without which that complaint is gone; a rule may name none of them."""
    name, where = at
    job = found.jobs[name]
    for key in list(job.get("args", {})):
        tried = {**job, "args": {other: value for other, value in job["args"].items() if other != key}}
        found.jobs[name] = tried
        after = _refusal(found, base, name, where)
        found.jobs[name] = job
        if after is None or after.what != error.what:
            return _without(found, name, ("args", key), error)
    return False


def _other_template(found: Imported, base: dict[str, Any], name: str, error: KitError) -> bool:
    job = found.jobs[name]
    models = merged(base, found.sections()).get("models") or {}
    model = models.get(job.get("model"), {})
    better = template_of(str(model.get("repo") or model.get("path") or ""))
    given = job["template"]
    if better == given:
        return False
    job["template"] = better
    changes = found.changes.get(name)
    if changes is not None:
        why = "; ".join(part for part in (error.what, error.why) if part)
        changes.lines = [line for line in changes.lines if line.becomes != "template"]
        changes.changed(
            f"template: {given}", f"template: {better}", f"{why}; this one goes with the model's name"
        )
    return True
