"""The variables of a command: those that say where it runs, those that kit sets, and its own `env`. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kit.jobs.environment import owned_variable

if TYPE_CHECKING:
    from kit.importing.draft import Invocation

_SECRET = re.compile(r"(TOKEN|SECRET|PASSWORD|API_?KEY)S?$")
_SHELL = {
    **dict.fromkeys(("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "CUDA_HOME"), "kit's image has its own"),
    **dict.fromkeys(
        ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"), "fetching is online; mirrors.hub of kit.yaml says it"
    ),
    **dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"),
        "no job of the intranet reaches out",
    ),
    **dict.fromkeys(
        (
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "MODELSCOPE_CACHE",
            "TRANSFORMERS_CACHE",
            "HF_DATASETS_CACHE",
        ),
        "kit's caches lie in the run's folder",
    ),
    **dict.fromkeys(
        ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME"),
        "kit finds the interface by the route to the first host; hosts.*.nic names another",
    ),
}
MODELSCOPE = ("USE_MODELSCOPE_HUB", "VLLM_USE_MODELSCOPE", "SGLANG_USE_MODELSCOPE")
_TRUE = ("1", "true", "True", "yes", "y")


def uses_modelscope(invocation: Invocation) -> bool:
    """Return whether a variable chose ModelScope as the hub."""
    return any(invocation.env.get(name) in _TRUE for name in MODELSCOPE)


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() and text.isascii() and int(text) else None


def _says_where(invocation: Invocation, name: str, value: str) -> bool:
    """Note what a variable says of hosts; return whether it is one of those."""
    changes = invocation.changes
    if name in ("CUDA_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES"):
        invocation.gpus = value.replace(" ", "") or None
        changes.renamed(
            f"{name}={value}", f'hosts.*.gpus: "{invocation.gpus}"', "kit.yaml says it of the host"
        )
    elif name in ("NNODES", "MAX_NNODES"):
        invocation.hosts = _number(value.rpartition(":")[2]) or invocation.hosts
        changes.renamed(f"{name}={value}", f"{invocation.hosts} hosts", "kit counts the job's hosts")
    elif name == "NPROC_PER_NODE":
        invocation.gpus = invocation.gpus or _number(value)
        changes.renamed(f"{name}={value}", "hosts.*.gpus", "one process a GPU")
    elif name == "MASTER_ADDR":
        invocation.address = value if value not in ("localhost", "127.0.0.1") else invocation.address
        changes.renamed(f"{name}={value}", "the first of hosts", "kit finds the address by the route to it")
    elif name == "MASTER_PORT":
        invocation.port = _number(value) or invocation.port
        changes.renamed(f"{name}={value}", f"port: {invocation.port}")
    else:
        return False
    return True


def take_environment(invocation: Invocation, known: dict[str, str] | None = None) -> dict[str, str]:
    """Return the job's own `env`; what else the variables say goes into the invocation and its table.

    `known` are variables that the job's kind reads itself, each with what became of it.
    """
    own = {}
    for name, value in invocation.env.items():
        if known is not None and name in known:
            invocation.changes.renamed(f"{name}={value}", known[name])
        elif not _says_where(invocation, name, value):
            reason = owned_variable(name) or _SHELL.get(name)
            if name in MODELSCOPE:
                invocation.changes.renamed(f"{name}={value}", "models.*.source", "kit fetches online, once")
            elif reason:
                invocation.changes.dropped(f"{name}={value}", reason)
            elif _SECRET.search(name):
                invocation.changes.dropped(f"{name}=…", "a secret does not belong into kit.yaml")
            else:
                own[name] = value
                invocation.changes.taken(f"{name}={value}", f"env.{name}")
    return own
