"""Training data, held against what LLaMA-Factory accepts before anything is locked or launched.

A file that was found good is not read again: what was found is remembered by its sha256 and the form that
kit.yaml gives it, beside the digests of files in the project's `.kit`.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import kit
from kit.bundle.known_files import KnownFiles
from kit.dataset.check import Wanted, check_file, check_suite
from kit.dataset.registered import registered_form
from kit.errors import ConfigError
from kit.hub.hub_cache import default_cache
from kit.project.job_model import TrainJob
from kit.project.references import suites_of

if TYPE_CHECKING:
    from pathlib import Path

    from kit.dataset.check import FileReport
    from kit.dataset.form import Form
    from kit.progress import Progress
    from kit.project.load import LoadedProject

_SHOWN = 3
"""Faults of a file that its refusal shows."""


def check_job_data(loaded: LoadedProject, job: str, progress: Progress) -> None:
    """Check every dataset of a train job, and every suite of an eval job, whose file stands beside kit.yaml.

    On a host there is none: there lies what was checked when it was locked. Raises ConfigError naming file
    and line.
    """
    asked = loaded.project.jobs.get(job)
    for name in asked.datasets if isinstance(asked, TrainJob) else ():
        spec = loaded.project.datasets[name]
        path = loaded.path(spec.path)
        form = registered_form(name, spec)
        if path.is_file():
            _check(loaded.folder, job, path, form, progress)
    for name in suites_of(asked) if asked is not None else ():
        spec = loaded.project.datasets[name]
        path = loaded.path(spec.path)
        report = check_suite(path, spec.columns, _SHOWN) if path.is_file() else None
        if report is not None and not report.is_good:
            raise _refusal(f"{job} cannot ask what stands in this file", report)


def _check(folder: Path, job: str, path: Path, form: Form, progress: Progress) -> None:
    cache = default_cache(folder)
    mark = (
        cache / "checked" / _mark(KnownFiles.load(cache / "verified.jsonl").blob_of(path).digest, path, form)
    )
    if mark.is_file():
        return
    report = check_file(path, Wanted(limit=_SHOWN, exact=form), progress)
    if not report.is_good:
        raise _refusal(f"{job} cannot be trained on this file", report)
    # A mark that cannot be set costs another look next time, nothing else.
    with suppress(OSError):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _mark(digest: str, path: Path, form: Form) -> str:
    looked_at = [kit.__version__, digest, path.suffix, asdict(form)]
    return hashlib.sha256(json.dumps(looked_at).encode()).hexdigest()


def _refusal(what: str, report: FileReport) -> ConfigError:
    where = str(report.path)
    said = list(report.problems)
    if report.faults:
        where += f":{report.faults[0].line}"
        said += [f"line {fault.line}: {fault.text}" for fault in report.faults]
    more = report.faulty - len(report.faults)
    count = f": {report.faulty:,} of {report.records:,} records are not right" if report.faulty else ""
    return ConfigError(
        f"{what}{count}",
        where=where,
        why="; ".join(said) + (f"; and {more:,} more" if more > 0 else ""),
        fix=f"correct the file, or its entry in datasets; kit dataset check {report.path} tells more",
    )
