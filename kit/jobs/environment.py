"""The variables a container is started with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.jobs.places import RUN

if TYPE_CHECKING:
    from collections.abc import Mapping

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
}
"""No library looks for a hub or a telemetry server; inside the container, where it counts."""

CACHE = f"{RUN}/cache"
HOME = f"{RUN}/home"
FOLDERS = ("out", "logs", "home", "cache")
"""Folders of a run that kit makes before the start."""

WRITABLE = {
    "HOME": HOME,
    # Libraries ask for the user's name, and the login user's uid is not in the image's passwd file.
    "USER": "kit",
    "LOGNAME": "kit",
    "XDG_CACHE_HOME": CACHE,
    "XDG_CONFIG_HOME": f"{HOME}/.config",
    "HF_HOME": f"{CACHE}/huggingface",
    "MPLCONFIGDIR": f"{CACHE}/matplotlib",
    "NUMBA_CACHE_DIR": f"{CACHE}/numba",
    "TORCH_EXTENSIONS_DIR": f"{CACHE}/torch_extensions",
    "TORCHINDUCTOR_CACHE_DIR": f"{CACHE}/inductor",
    "TRITON_CACHE_DIR": f"{CACHE}/triton",
    "VLLM_CACHE_ROOT": f"{CACHE}/vllm",
    "PYTHONUTF8": "1",
    "PYTHONUNBUFFERED": "1",
}
"""Everything a library writes by itself goes into the run's folder: the container's user is nobody."""

_OWNED_PREFIXES = ("PET_", "KIT_")
_OWNED = {
    **dict.fromkeys(OFFLINE, "nothing is fetched on the intranet"),
    **dict.fromkeys(WRITABLE, "kit points it into the run's folder"),
    **dict.fromkeys(
        (
            *("FORCE_TORCHRUN", "NNODES", "NODE_RANK", "NPROC_PER_NODE", "MASTER_ADDR", "MASTER_PORT"),
            *("RANK", "LOCAL_RANK", "WORLD_SIZE", "RDZV_ID", "MIN_NNODES", "MAX_NNODES", "USE_RAY"),
        ),
        "kit sets the ranks from hosts and port",
    ),
    **dict.fromkeys(
        (
            *("API_HOST", "API_PORT", "API_MODEL_NAME"),
            *("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_SHARE"),
        ),
        "bind, port and served_name of the job say it, and nothing is shared outside",
    ),
    **dict.fromkeys(
        ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"), "hosts.*.gpus says which GPUs a container gets"
    ),
}
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def owned_variable(variable: str) -> str | None:
    """Return why kit sets a variable itself; None for one that is free."""
    if variable.startswith(_OWNED_PREFIXES):
        return "kit sets what torchrun and kit itself read"
    return _OWNED.get(variable)


def merge_environment(
    name: str, ours: Mapping[str, str], theirs: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return kit's variables with the job's own `env` over them, sorted by name.

    Raises ConfigError when `env` sets what kit owns, or is no variable name.
    """
    for variable in theirs:
        key = f"jobs.{name}.env.{variable}"
        if not _NAME.match(variable):
            raise ConfigError("not the name of a variable", where=key, fix="letters, digits and _ only")
        reason = owned_variable(variable)
        if reason:
            raise ConfigError("kit sets this itself", where=key, why=reason, fix=f"remove {key}")
    return tuple(sorted({**WRITABLE, **OFFLINE, **ours, **theirs}.items()))
