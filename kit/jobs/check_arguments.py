"""A job's `args` against what the engine's version takes, before anything is asked of a host. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.jobs.adapters import check_adapters
from kit.jobs.argument_table import Known, Table, known_arguments
from kit.jobs.argument_value import wrong_value
from kit.jobs.arguments import own_arguments
from kit.jobs.asking import chosen_models, own_body
from kit.jobs.data_forms import check_data_forms
from kit.jobs.export import OWNED as EXPORT_OWNED
from kit.jobs.holdings import check_gpus_key
from kit.jobs.reward import check_reward
from kit.jobs.serve_flags import OWNED_FLAGS, flag_of
from kit.jobs.suites import check_suites
from kit.jobs.talk import OWNED as TALK_OWNED
from kit.jobs.train_arguments import own_train_arguments
from kit.jobs.train_combinations import Asked, check_combinations
from kit.jobs.versions import has_gpus, version_of
from kit.project.job_model import EvalJob, ExportJob, InferJob, ServeJob, TalkJob, TrainJob

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kit.project.model import Project


def argument_errors(project: Project, name: str) -> tuple[ConfigError, ...]:
    """Return what is wrong with a job's arguments: names, types and choices, in the order of kit.yaml.

    Something that kit itself sets, or that cannot work here, comes alone.
    """
    try:
        _own(project, name)
    except ConfigError as error:
        return (error,)
    known = known_arguments(project, name)
    if known is None or (known.table is None and not isinstance(project.jobs[name], ServeJob)):
        return ()
    found = tuple(_errors(project, name, known, known.table)) if known.table is not None else ()
    return found or _together(project, name)


def _together(project: Project, name: str) -> tuple[ConfigError, ...]:
    """Return the error about what excludes each other in a training, or cannot be served, if there is one."""
    job = project.jobs[name]
    try:
        if isinstance(job, TrainJob):
            version = version_of(project, "llamafactory") or ""
            check_combinations(name, Asked(job.args, job.zero, version, rewarded=job.reward is not None))
        elif isinstance(job, ServeJob):
            check_adapters(project, name)
    except ConfigError as error:
        return (error,)
    return ()


def check_arguments(project: Project, name: str) -> None:
    """Raise ConfigError for the first wrong argument, the others named in it."""
    first, *others = argument_errors(project, name) or (None,)
    if first is None:
        return
    also = "; ".join(f"{error.where}: {error.what}" for error in others if error)
    why = "; also ".join(text for text in (first.why, also) if text)
    raise ConfigError(first.what, where=first.where, why=why, fix=first.fix)


def unchecked(project: Project, name: str) -> str:
    """Return the note that nothing can tell whether a job's `args` exist; empty when they were looked up."""
    known = known_arguments(project, name)
    if known is None or known.table is not None or not _args(project, name):
        return ""
    return f"jobs.{name}.args: kit has no list of what {known.program} takes; they are handed over unchecked"


def _args(project: Project, name: str) -> Mapping[str, Any]:
    job = project.jobs[name]
    return job.args if isinstance(job, TrainJob | ExportJob | ServeJob | TalkJob) else {}


def _own(project: Project, name: str) -> None:
    job = project.jobs[name]
    check_gpus_key(project, name)
    if isinstance(job, TrainJob):
        own_train_arguments(name, job, gpus=has_gpus(project))
        check_data_forms(project, name)
        check_reward(project, name)
    elif isinstance(job, ExportJob):
        own_arguments(name, job.args, EXPORT_OWNED)
    elif isinstance(job, ServeJob):
        own_arguments(name, job.args, OWNED_FLAGS)
    elif isinstance(job, TalkJob):
        own_arguments(name, job.args, TALK_OWNED)
    elif isinstance(job, InferJob | EvalJob):
        own_body(name, job)
        chosen_models(project, name, job)
        check_suites(project, name)


def _errors(project: Project, name: str, known: Known, table: Table) -> Iterator[ConfigError]:
    serves = isinstance(project.jobs[name], ServeJob)
    for given, value in _args(project, name).items():
        where = f"jobs.{name}.args.{given}"
        argument = flag_of(given, table) if serves else table.get(given)
        if argument is None:
            yield _unknown(given, where, known, table, serves=serves)
            continue
        wrong = wrong_value(argument, value)
        if wrong:
            what, why, fix = wrong
            yield ConfigError(what, where=where, why=why, fix=fix)


def _unknown(given: str, where: str, known: Known, table: Table, *, serves: bool) -> ConfigError:
    if given in known.others:
        kind = known.others[given].only
        return ConfigError(
            f"{known.program} takes {given!r} in a {kind} job only",
            where=where,
            fix=f"move it to the {kind} job, or remove {where}",
        )
    what = f"no flag --{given.replace('_', '-')}" if serves else f"no argument {given!r}"
    close = nearest_argument(given, table)
    return ConfigError(
        f"{known.program} has {what}",
        where=where,
        why=f"did you mean {close!r}?" if close else "",
        fix=f"write {close}, or remove {where}" if close else f"remove {where}",
    )


def nearest_argument(given: str, table: Table) -> str:
    """Return the known name that is most like a given one, spelt like it; empty when none is like it."""
    dashes = any("-" in name for name in table)
    close = get_close_matches(given.replace("_", "-") if dashes else given.replace("-", "_"), table, n=1)
    found = close[0] if close else ""
    return found if "-" in given else found.replace("-", "_")
