"""A data job: easy-dataset, a web tool that turns documents into training data.

It has no setting for the address it listens on, so it gets a network of its own and only the
address `bind` of the host leads to it. What people enter stays in two volumes of the compose
project, from run to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kit.jobs.compose import Service
from kit.jobs.environment import OFFLINE
from kit.jobs.launch import Launch
from kit.jobs.serve import check_bind
from kit.jobs.share import Place, host_launch, labels_of

if TYPE_CHECKING:
    from kit.jobs.launch import LaunchContext
    from kit.project.job_model import DataJob
    from kit.project.model import Project

_PORT = 1717
"""Where easy-dataset listens inside its container."""


def data_launch(project: Project, name: str, run_id: str, context: LaunchContext) -> Launch:
    """Return the launch of a data job. Raises ConfigError."""
    place = Place(project, name, run_id, project.jobs[name].hosts[0], context)
    job = cast("DataJob", place.job)
    check_bind(name, job.bind)
    address = f"[{job.bind}]" if ":" in job.bind else job.bind
    service = Service(
        name=job.kind,
        image=place.image,
        container_name=place.compose_project,
        user="",
        command=(),
        environment=tuple(sorted({**OFFLINE, "NEXT_TELEMETRY_DISABLED": "1", **job.env}.items())),
        mounts=(),
        labels=labels_of(place),
        ports=(f"{address}:{job.port}:{_PORT}",),
    )
    share = host_launch(place, service, (), ("logs",))
    return Launch(
        job=name,
        kind=job.kind,
        run_id=run_id,
        hosts=(share,),
        rank_zero=place.host,
        endpoint_port=job.port,
        endpoint_bind=job.bind,
    )
