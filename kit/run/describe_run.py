"""The names and records of runs. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from kit.run.record import RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.jobs.launch import HostLaunch, Launch, ModelSource

_ANY_RUN = "THE-RUN"


def make_run_id(now: float, token: str) -> str:
    """Return a run's name: its start in UTC, so that names sort by time, and a token against twins."""
    return f"{datetime.fromtimestamp(now, timezone.utc):%Y%m%d-%H%M%S}-{token}"


def launch_digest(share: HostLaunch, run_id: str) -> str:
    """Return the sha256 of a host's share of a launch; its run id does not count."""
    text = json.dumps(asdict(share), sort_keys=True).replace(run_id, _ANY_RUN)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def describe(launch: Launch, sources: Mapping[str, ModelSource]) -> dict[str, RunRecord]:
    """Return host → the record that a run begins with there."""
    return {
        share.host: RunRecord(
            job=launch.job,
            kind=launch.kind,
            run_id=launch.run_id,
            host=share.host,
            hosts=tuple(each.host for each in launch.hosts),
            rank_zero=launch.rank_zero,
            compose_project=share.compose_project,
            service=share.service,
            image_tag=share.image_tag,
            launch_digest=launch_digest(share, launch.run_id),
            endpoint_port=launch.endpoint_port,
            endpoint_bind=launch.endpoint_bind,
            endpoint_tls=launch.endpoint_tls,
            served_name=launch.served_name,
            inputs=tuple((job, source.at(share.host)) for job, source in sources.items()),
        )
        for share in launch.hosts
    }
