"""A job's arguments against the rules of `images/rules.yaml`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.jobs.check_arguments import check_arguments
from kit.jobs.held_packages import held_packages
from kit.jobs.versions import version_of
from kit.project.job_model import ExportJob, ServeJob, TalkJob, TrainJob
from kit.rules.evaluate import Broken, broken_rules
from kit.rules.refuse import refuse
from kit.rules.rule import load_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.project.model import Project


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def job_facts(project: Project, name: str) -> dict[str, tuple[str, ...]]:
    """Return what the rules about jobs look at: kind, version of what runs, flags or arguments, packages."""
    job = project.jobs[name]
    found: dict[str, tuple[str, ...]] = {"stack": (project.stack,), "kind": (job.kind,)}
    program = job.engine if isinstance(job, ServeJob) else "llamafactory"
    version = version_of(project, program)
    args: Mapping[str, Any] = {}
    if isinstance(job, TrainJob | ExportJob | ServeJob | TalkJob):
        args = job.args
        if version:
            found[program] = (version,)
    if isinstance(job, ServeJob):
        flags = {key.replace("_", "-"): _value(value) for key, value in args.items()}
        found |= {f"flag.{flag}": (value,) for flag, value in flags.items()}
        if flags:
            found["flag"] = tuple(flags)
    else:
        found |= {f"arg.{key}": (_value(value),) for key, value in args.items()}
    found |= {f"held.{package}": (version,) for package, version in held_packages(project, name).items()}
    return found | {f"env.{key}": (value,) for key, value in job.env.items()}


def broken_job_rules(project: Project, name: str) -> tuple[Broken, ...]:
    """Return the rules that a job of kit.yaml breaks."""
    return broken_rules(load_rules(), "job", job_facts(project, name))


def check_job(project: Project, name: str) -> None:
    """Raise ConfigError when a job's flags or arguments cannot work in this stack."""
    broken = broken_job_rules(project, name)
    refuse(broken, f"jobs.{name}.{(*keys_of(project, name, broken[:1]), 'args')[0]}")
    check_arguments(project, name)


def keys_of(project: Project, name: str, broken: tuple[Broken, ...]) -> tuple[str, ...]:
    """Return the keys of the job that broken rules speak of (`args.NAME`), as the user wrote them."""
    facts = [condition for item in broken for condition in item.rule.when]
    named = {fact.partition(".")[2] for fact, _ in facts if fact.startswith(("flag.", "arg."))}
    named |= {word for fact, words in facts if fact == "flag" for word in words}
    written = getattr(project.jobs[name], "args", {})
    return tuple(f"args.{key}" for key in written if key in named or key.replace("_", "-") in named)
