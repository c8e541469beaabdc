"""What a job works on, looked at beside kit.yaml: before it is locked, and before a host is asked."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from kit.jobs.template_fit import TOKENIZER, TOKENIZER_FILES, check_template_fit, quoted
from kit.jobs.versions import version_of
from kit.project.job_model import TrainJob
from kit.workflow.check_data import check_job_data

if TYPE_CHECKING:
    from pathlib import Path

    from kit.progress import Progress
    from kit.project.load import LoadedProject


def check_job_inputs(loaded: LoadedProject, job: str, progress: Progress) -> None:
    """Check a train job's data, and its chat template against its model. Raises ConfigError."""
    check_job_data(loaded, job, progress)
    asked = loaded.project.jobs.get(job)
    version = version_of(loaded.project, "llamafactory")
    if not isinstance(asked, TrainJob) or version is None:
        return
    model = loaded.project.models[asked.model]
    if model.source == "folder" and model.path:
        # What is only a note is said once, by the host that has the model.
        check_template_fit(job, asked, version, _Tokens(loaded.path(model.path)))


class _Tokens:
    """The tokens of a model in a folder here."""

    def __init__(self, folder: Path) -> None:
        self._texts: dict[str, bytes] | None = None
        self._folder = folder

    def __call__(self, token: str) -> bool | None:
        """Tell whether there is such a token; None when that cannot be seen."""
        if self._texts is None:
            self._texts = {}
            for name in TOKENIZER_FILES:
                with suppress(OSError):
                    self._texts[name] = (self._folder / name).read_bytes()
        if TOKENIZER not in self._texts:
            return None
        return any(quoted(token).encode() in text for text in self._texts.values())
