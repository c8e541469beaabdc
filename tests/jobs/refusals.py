"""Rows of what cannot work: kit refuses them by name, with the reason, before any host is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.jobs.make_launch import make_launch
from kit.project.load import parse_project
from tests.jobs.on_gpus import gpu_project
from tests.jobs.row import REFUSED, Row
from tests.unit.jobs.launch_factories import RUN_ID, context_of

if TYPE_CHECKING:
    from tests.jobs.scene import Scene


def refused(
    kind: str, options: str, job: dict[str, Any], *, stack: str = "cpu", says: str = "", **others: Any
) -> Row:
    """Return the row of a job that kit must refuse with exit code 2; `others` are jobs that it refers to.

    `says` must stand in what is refused, where another refusal could pass for it.
    """

    def prove(scene: Scene) -> str:
        error = _refusal(scene.document, {"row": job, **others}, stack)
        assert error is not None, "it was not refused"
        assert error.exit_code == 2
        assert error.fix, "nothing says what to do"
        assert says in error.what, error.what
        where = f"`{error.where.removeprefix('jobs.row.')}`"
        return f"{where}: {error.what}" + (f": {error.why}" if error.why else "")

    return Row(kind, f"{options}" + ("" if stack == "cpu" else f" ({stack})"), REFUSED, prove)


def _refusal(document: dict[str, Any], jobs: dict[str, Any], stack: str) -> ConfigError | None:
    try:
        project = parse_project({**document, "jobs": jobs}) if stack == "cpu" else gpu_project(document, jobs)
        make_launch(project, "row", RUN_ID, context_of(project))
    except ConfigError as error:
        return error
    return None
