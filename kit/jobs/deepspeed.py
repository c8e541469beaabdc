"""DeepSpeed's configuration for each ZeRO stage.

Stage 1 shards the optimizer states over the ranks, 2 also the gradients, 3 also the parameters.
Offloading moves the optimizer's states (stages 1 to 3) or also the parameters (stage 3) to host memory.

On a stack without GPUs all of it is there anyway: the same code runs, with PyTorch's own AdamW in place of
DeepSpeed's for CPUs, which nobody compiled into that image.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.jobs.render import render

if TYPE_CHECKING:
    from kit.project.job_model import TrainJob

FILE = "deepspeed.json"


def check_zero(name: str, job: TrainJob) -> None:
    """Raise ConfigError when stage and offload do not go together."""
    if job.offload == "none":
        return
    key = f"jobs.{name}.offload"
    if job.offload == "nvme":
        raise ConfigError(
            "no image can offload to NVMe",
            where=key,
            why="DeepSpeed does that by its operator async_io, which needs libaio; the images hold neither",
            fix="offload: all, to host memory",
        )
    if not job.zero:
        raise ConfigError(
            "needs DeepSpeed with ZeRO", where=key, fix=f"zero: 2 or 3 in jobs.{name}, or offload: none"
        )
    if job.offload == "all" and job.zero < 3:  # noqa: PLR2004
        raise ConfigError(
            f"'all' offloads parameters too, which ZeRO {job.zero} does not shard",
            where=key,
            fix=f"zero: 3 in jobs.{name}, or offload: optimizer",
        )


def deepspeed_json(job: TrainJob, *, gpus: bool = True) -> str:
    """Return the file for a job with a ZeRO stage. Sizes and batch are left to the Trainer (`auto`)."""
    text = render(
        "deepspeed/zero.json.j2",
        {
            "stage": job.zero,
            "offload_optimizer": job.offload != "none",
            "offload_parameters": job.offload == "all",
            "pin_memory": gpus,
            "own_optimizer": gpus,
        },
    )
    json.loads(text)
    return text
