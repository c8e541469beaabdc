"""`torchrun`, `accelerate launch` and `deepspeed`: how many hosts and GPUs, and where ranks meet. Pure.

kit starts LLaMA-Factory under torchrun itself, one process a GPU, on the hosts that the job lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.importing.accelerate_file import take_accelerate_file
from kit.importing.options import read_options, typed

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.importing.draft import Invocation
    from kit.importing.options import Line

_RANKS = "kit sets ranks, addresses and the rendezvous from hosts and port"
_TORCHRUN_SWITCHES = ("standalone", "no_python", "run_path", "use_env")
_ACCELERATE_SWITCHES = (
    *("multi_gpu", "cpu", "use_deepspeed", "use_fsdp", "tpu", "same_network", "no_python", "quiet", "debug"),
    *("use_xpu", "mps", "use_cpu"),
)
_DEEPSPEED_SWITCHES = (
    "no_python",
    "no_local_rank",
    "force_multi",
    "no_ssh",
    "no_ssh_check",
    "bind_cores_to_rank",
)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() and text.isascii() and int(text) else None


def _note(invocation: Invocation, line: Line, launcher: str) -> None:
    given = " ".join(" ".join((option.given, *option.values)) for option in line.options)
    invocation.changes.changed(f"{launcher} {given}".strip(), "hosts, port", _RANKS)


def _program(rest: tuple[str, ...], *, module: str | None = None) -> tuple[str, ...]:
    """Return the started program; launchers put python before a script or module themselves."""
    return ("python", "-m", module, *rest) if module else ("python", *rest)


def torchrun(invocation: Invocation) -> tuple[str, ...]:
    """Return the program behind `torchrun`, and note what was asked of hosts and GPUs."""
    line = read_options(invocation.words[1:], switches=_TORCHRUN_SWITCHES, stops=True)
    _note(invocation, line, "torchrun")
    nodes = (line.last("nnodes") or "").split(":")
    invocation.hosts = _number(nodes[-1]) or invocation.hosts
    if len(nodes) > 1:
        invocation.changes.changed(
            f"--nnodes {':'.join(nodes)}", f"{nodes[-1]} hosts", "kit starts a fixed number of hosts"
        )
    invocation.gpus = _number(line.last("nproc_per_node")) or invocation.gpus
    _meet(invocation, line.last("master_addr"), line.last("master_port"))
    endpoint = (line.last("rdzv_endpoint") or "").rpartition(":")
    _meet(invocation, endpoint[0] or None, endpoint[2] or None)
    return _program(line.rest, module=line.last("m", "module"))


def _meet(invocation: Invocation, address: str | None, port: str | None) -> None:
    if address and address not in ("localhost", "127.0.0.1"):
        invocation.address = address
    invocation.port = _number(port) or invocation.port


def accelerate(invocation: Invocation) -> tuple[str, ...]:
    """Return the program behind `accelerate launch`, and note what it and its config file ask for."""
    words = invocation.words[1:]
    if words[:1] != ("launch",):
        raise invocation.refusal(
            f"accelerate {' '.join(words[:1])} starts nothing", "", "give the accelerate launch line"
        )
    line = read_options(words[1:], switches=_ACCELERATE_SWITCHES, stops=True)
    _note(invocation, line, "accelerate launch")
    given = {
        option.name: typed(option.values[-1]) if option.values else True
        for option in line.options
        if option.name != "config_file"
    }
    path = line.last("config_file")
    take_accelerate_file(invocation, path, given)
    return _program(line.rest, module=line.last("m", "module"))


def deepspeed(invocation: Invocation) -> tuple[str, ...]:
    """Return the program behind `deepspeed`, and note what was asked of hosts and GPUs."""
    line = read_options(invocation.words[1:], switches=_DEEPSPEED_SWITCHES, stops=True)
    _note(invocation, line, "deepspeed")
    invocation.hosts = _number(line.last("num_nodes")) or invocation.hosts
    invocation.gpus = _number(line.last("num_gpus")) or invocation.gpus
    _meet(invocation, line.last("master_addr"), line.last("master_port"))
    include = line.last("i", "include")
    if include:
        places = [place.partition(":") for place in include.split("@")]
        invocation.hosts = len(places)
        invocation.gpus = places[0][2] or invocation.gpus
    hostfile = line.last("H", "hostfile")
    if hostfile and not include:
        _hostfile(invocation, invocation.text_of(hostfile))
    return _program(line.rest, module=line.last("m", "module"))


def _hostfile(invocation: Invocation, text: str | None) -> None:
    lines = [line.split("#")[0].split() for line in (text or "").splitlines()]
    hosts = [words for words in lines if words]
    if not hosts:
        return
    invocation.hosts = len(hosts)
    invocation.address = hosts[0][0]
    slots = [word.partition("=")[2] for word in hosts[0] if word.startswith("slots=")]
    invocation.gpus = _number(slots[0]) if slots else invocation.gpus


LAUNCHERS: dict[str, Callable[[Invocation], tuple[str, ...]]] = {
    "torchrun": torchrun,
    "accelerate": accelerate,
    "deepspeed": deepspeed,
}
"""Program → what to do with its command line."""
