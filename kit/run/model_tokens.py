"""What the tokenizer of a shipped model knows, asked on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.jobs.places import model_folder
from kit.jobs.template_fit import TOKENIZER_FILES, check_template_fit, quoted
from kit.jobs.versions import version_of
from kit.project.job_model import TrainJob

if TYPE_CHECKING:
    from kit.project.model import Project
    from kit.run.machine import Machine

_LOOK = """\
cd "$1" && [ -r "$3" ] || exit 2
token=$2; shift 2
cat "$@" 2>/dev/null | grep -q -F -e "$token"
"""
"""Status 0: it is there; 1: it is not; anything else: nobody can tell."""


def check_template_there(project: Project, name: str, machine: Machine) -> tuple[str, ...]:
    """Return notes about the chat template of a train job and its model on a host; none for other jobs.

    Raises ConfigError when they do not go together.
    """
    job = project.jobs[name]
    version = version_of(project, "llamafactory")
    if not isinstance(job, TrainJob) or version is None:
        return ()
    folder = model_folder(machine.spec, job.model)

    def knows(token: str) -> bool | None:
        words = ("sh", "-c", _LOOK, "sh", folder, quoted(token), *TOKENIZER_FILES)
        return {0: True, 1: False}.get(machine.run(words).status)

    note = check_template_fit(name, job, version, knows)
    return (note,) if note else ()
