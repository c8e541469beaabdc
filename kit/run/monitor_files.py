"""What trackers wrote, once it is home: the commands that show or sync it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from kit.jobs.monitors import FOLDER, SWANLAB, TENSORBOARD, WANDB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def ways_to_look(folder: Path) -> tuple[str, ...]:
    """Return a command for each run that a tracker left in a collected folder."""
    return tuple(_ways(folder / FOLDER))


def _ways(folder: Path) -> Iterator[str]:
    if any((folder / TENSORBOARD).rglob("*tfevents*")):
        yield f"tensorboard --logdir {shlex.quote(str(folder / TENSORBOARD))}"
    for run in sorted((folder / WANDB).glob("offline-run-*")):
        yield f"wandb sync {shlex.quote(str(run))}"
    for run in sorted((folder / SWANLAB).glob("run-*")):
        yield f"swanlab sync {shlex.quote(str(run))}"
