"""Where things stand: folders on a host, and the same folders as a container sees them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.errors import ConfigError

if TYPE_CHECKING:
    from kit.host.facts import HostFacts
    from kit.project.model import HostSpec

RUN = "/kit/run"
"""The run's folder; the only one a container may write to."""
OUT = f"{RUN}/out"
"""What the job makes."""
SECRETS = "secret"
"""Folder of a run for what only its owner may see; gone when the run is over."""
RESUME = f"{RUN}/resume"
"""The checkpoint from which a training goes on."""
MODELS = "/kit/models"
DATA = "/kit/data"
ADAPTERS = "/kit/adapters"
REWARD = "/kit/reward"
"""What the training of a reward model made."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the host inside the container."""

    source: str
    target: str
    read_only: bool = True


def run_folder(spec: HostSpec, job: str, run_id: str) -> str:
    """Return the folder of a run on a host. Raises ConfigError when its path is not plain."""
    return plain_path(f"{spec.root}/runs/{job}/{run_id}", f"the run folder of job {job}")


def model_folder(spec: HostSpec, model: str) -> str:
    """Return the folder of a shipped model on a host."""
    return f"{spec.root}/models/{model}"


def dataset_folder(spec: HostSpec, dataset: str) -> str:
    """Return the folder of a shipped dataset on a host."""
    return f"{spec.root}/datasets/{dataset}"


def kept_folder(spec: HostSpec, job: str, name: str) -> str:
    """Return a folder on a host that all runs of a job share. Raises ConfigError when it is not plain."""
    return plain_path(f"{spec.root}/kept/{job}/{name}", f"what is kept for job {job}")


def plain_path(path: str, what: str) -> str:
    """Return an absolute path unchanged. Raises ConfigError when torchrun or compose would cut it up.

    LLaMA-Factory joins its arguments and splits them at white space; `:` separates the parts of a mount.
    """
    if not path.startswith("/") or re.search(r"[\s:]", path) or ".." in path.split("/"):
        raise ConfigError(
            f"{what} is {path!r}: an absolute path without '..', spaces or ':' is needed",
            where="hosts.*.root",
            why="torchrun's arguments are split at spaces, and mounts at ':'",
            fix="choose a plain root in kit.yaml, e.g. /aisys/kit",
        )
    return path


def project_name(job: str, host: str, facts: HostFacts, root: str) -> str:
    """Return the compose project's name.

    It bears a mark of user and root, so that two people on a shared server, each with a job of
    the same name, never replace each other's containers.
    """
    mark = hashlib.sha256(f"{facts.uid}:{root}".encode()).hexdigest()[:6]
    return re.sub(r"[^a-z0-9_-]", "-", f"kit-{job}-{host}-{mark}")
