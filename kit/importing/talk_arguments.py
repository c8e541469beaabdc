"""LLaMA-Factory's `api`, `chat` and `webui`: jobs of kind api, chat and board. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.importing.change import shown
from kit.importing.draft import Draft
from kit.importing.environment import take_environment
from kit.importing.train_arguments import take_model, take_template
from kit.jobs.talk import OWNED

if TYPE_CHECKING:
    from kit.importing.draft import Invocation

_API = {"API_PORT": "port", "API_HOST": "bind", "API_MODEL_NAME": "served_name"}
_BOARD = {"GRADIO_SERVER_PORT": "port", "GRADIO_SERVER_NAME": "bind"}


def talk_draft(invocation: Invocation, args: dict[str, Any], verb: str) -> Draft:
    """Return the job of `llamafactory-cli api` or `chat`. Raises ConfigError when no model is named."""
    changes = invocation.changes
    adapter = str(args.pop("adapter_name_or_path", None) or "")
    if adapter:
        changes.renamed(f"adapter_name_or_path: {adapter}", "from", OWNED["adapter_name_or_path"])
    model = take_model(invocation, args)
    body: dict[str, Any] = {"template": take_template(invocation, args, model)}
    kept: dict[str, Any] = {}
    for key, value in args.items():
        if key in OWNED or value is None:
            changes.dropped(f"{key}: {shown(value)}", OWNED.get(key, "it says nothing"))
        else:
            kept[key] = value
            changes.taken(f"{key}: {shown(value)}", f"args.{key}")
    if verb == "api":
        _listen(invocation, body, _API)
    env = take_environment(invocation, _API if verb == "api" else None)
    if invocation.gpus is None:
        invocation.gpus = 1
    body |= {key: value for key, value in (("env", env), ("args", kept)) if value}
    return Draft(invocation, verb, body, model, made_from=adapter)


def board_draft(invocation: Invocation) -> Draft:
    """Return the job of `llamafactory-cli webui`, which names no model: kit.yaml's are shown in it."""
    body: dict[str, Any] = {}
    _listen(invocation, body, _BOARD)
    share = invocation.env.pop("GRADIO_SHARE", None)
    if share is not None:
        invocation.changes.dropped(f"GRADIO_SHARE={share}", "nothing is shared outside the intranet")
    env = take_environment(invocation, _BOARD)
    if env:
        body["env"] = env
    return Draft(invocation, "board", body)


def _listen(invocation: Invocation, body: dict[str, Any], variables: dict[str, str]) -> None:
    """Take where it listens out of variables, or out of `docker run -p`."""
    said = {key: invocation.env[name] for name, key in variables.items() if name in invocation.env}
    if invocation.published:
        address, outside, inside = invocation.published[0]
        said |= {"bind": address, "port": str(outside)}
        invocation.changes.renamed(f"-p {outside}:{inside}", f"bind: {address}, port: {outside}")
    if "bind" not in said:
        invocation.changes.added(
            "bind: 127.0.0.1",
            "LLaMA-Factory listens everywhere; kit open leads to it, or write bind: 0.0.0.0",
        )
    port = said.pop("port", "")
    body |= said
    if port.isdigit() and port.isascii():
        body["port"] = int(port)
