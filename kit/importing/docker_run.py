"""`docker run …`: what it says about the command inside. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kit.importing.options import read_options

if TYPE_CHECKING:
    from kit.importing.draft import Invocation
    from kit.importing.options import Option

_SWITCHES = (
    *("d", "detach", "i", "interactive", "t", "tty", "it", "ti", "itd", "dit", "tid", "idt", "dti", "di"),
    *("td", "dt", "id", "rm", "init", "privileged", "P", "publish_all", "q", "quiet", "read_only"),
    *("no_healthcheck", "oom_kill_disable", "sig_proxy"),
)
_KNOWN = {
    "d": "kit up waits, or starts with --detach",
    "rm": "kit names and removes its containers itself",
    "name": "kit names the container after the job",
    "restart": "a container that starts again by itself would repeat what was finished",
    "shm_size": "kit's compose file says it",
    "ipc": "kit's compose file says it",
    "ulimit": "kit's compose file says it",
    "runtime": "GPUs are reserved in kit's compose file",
    "network": "training and serving use the host's network",
    "net": "training and serving use the host's network",
    "w": "the container works in the run's folder",
    "workdir": "the container works in the run's folder",
    "user": "the container's user is the login user",
    "u": "the container's user is the login user",
    "privileged": "nothing that kit starts needs it",
    "pull": "nothing is pulled on the intranet",
    "env_file": "write its variables into the job's env",
}
_TERMINAL = {"i", "t", "it", "ti", "itd", "dit", "tid", "idt", "dti", "di", "td", "dt", "id", "interactive"}
_ENGINE_IMAGES = (
    ("vllm-openai", ("python3", "-m", "vllm.entrypoints.openai.api_server")),
    ("easy-dataset", ("easy-dataset",)),
)


def enter_container(invocation: Invocation) -> bool:
    """Put the command inside a `docker run` in the place of it; return whether there is one."""
    words = invocation.words[1:]
    if words[:1] == ("container",):
        words = words[1:]
    if words[:1] != ("run",):
        return False
    line = read_options(words[1:], switches=_SWITCHES, stops=True)
    if not line.rest:
        raise invocation.refusal("no image", "docker run needs one", "give the whole command")
    invocation.image, command = line.rest[0], line.rest[1:]
    environment: dict[str, str] = {}
    entrypoint: str | None = None
    for option in line.options:
        if option.name in ("e", "env") and option.values:
            name, sign, value = option.values[0].partition("=")
            environment[name] = value if sign else invocation.env.get(name, f"${name}")
        elif option.name == "entrypoint" and option.values:
            entrypoint = option.values[0]
        else:
            _option(invocation, option)
    # What the shell outside exports does not reach the container.
    invocation.env = environment
    invocation.words = (entrypoint, *command) if entrypoint else _command(invocation.image, command)
    invocation.changes.changed(
        f"image {invocation.image}",
        "",
        "kit's own image of the stack stands in its place, with its pinned packages",
    )
    return True


def _command(image: str, command: tuple[str, ...]) -> tuple[str, ...]:
    for name, entrypoint in _ENGINE_IMAGES:
        if name in image:
            return (*entrypoint, *command)
    return command


def _option(invocation: Invocation, option: Option) -> None:
    value = option.values[0] if option.values else ""
    given = f"{option.given} {value}".strip()
    if option.name in ("v", "volume"):
        parts = value.split(":")
        if len(parts) > 1:
            invocation.mounts += ((parts[1], parts[0]),)
            invocation.changes.dropped(
                given, "kit mounts the models and datasets that the job names, read-only"
            )
    elif option.name == "mount":
        _mount(invocation, given, value)
    elif option.name in ("p", "publish"):
        _publish(invocation, given, value)
    elif option.name == "gpus":
        _gpus(invocation, given, value)
    elif option.name in _KNOWN:
        invocation.changes.dropped(given, _KNOWN[option.name])
    elif option.name not in _TERMINAL:
        invocation.changes.dropped(given, "kit writes its own compose file, which has no such setting")


def _mount(invocation: Invocation, given: str, value: str) -> None:
    parts = dict(part.partition("=")[::2] for part in value.split(","))
    target = next((parts[key] for key in ("target", "dst", "destination") if key in parts), "")
    source = next((parts[key] for key in ("source", "src") if key in parts), "")
    if target and source:
        invocation.mounts += ((target, source),)
    invocation.changes.dropped(given, "kit mounts the models and datasets that the job names, read-only")


def _publish(invocation: Invocation, given: str, value: str) -> None:
    found = re.fullmatch(r"(?:(\[[0-9a-fA-F:]+\]|[0-9.]+):)?(\d{1,5}):(\d{1,5})(?:/tcp)?", value)
    if not found:
        invocation.changes.dropped(given, "kit takes ADDRESS:PORT:PORT or PORT:PORT")
        return
    address = (found[1] or "0.0.0.0").strip("[]")  # noqa: S104 - what docker means by leaving it out
    invocation.published += ((address, int(found[2]), int(found[3])),)


def _gpus(invocation: Invocation, given: str, value: str) -> None:
    ids = re.search(r"device=([\w,-]+)", value)
    if ids:
        invocation.gpus = ids[1]
    elif value.isdigit():
        invocation.gpus = int(value)
    becomes = f"hosts.*.gpus: {invocation.gpus}" if invocation.gpus is not None else "hosts.*.gpus"
    invocation.changes.renamed(given, becomes, "kit.yaml says it of the host")
