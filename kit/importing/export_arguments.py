"""LLaMA-Factory's arguments for an export, and for `api` and `chat` by an engine of serving. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kit.importing.change import shown
from kit.importing.draft import Draft
from kit.importing.environment import take_environment
from kit.importing.train_arguments import take_model
from kit.jobs.export import OWNED

if TYPE_CHECKING:
    from kit.importing.draft import Invocation

_DEFAULT_DEVICE = "cpu"
_SERVED = {
    "template": "vLLM takes the chat template that stands with the model's tokenizer",
    "infer_backend": "kit serves with vLLM",
    "vllm_enforce_eager": "write enforce-eager: true into args if it is wanted",
    "finetuning_type": "what is served is a whole model",
    "default_system": "requests say it",
    "system": "requests say it",
}
_SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "do_sample",
    "max_new_tokens",
    "max_length",
    "repetition_penalty",
)
_API_PORT = 8000


def export_draft(invocation: Invocation, args: dict[str, Any]) -> Draft:
    """Return the export job of LLaMA-Factory's arguments. Raises ConfigError for what kit cannot do yet."""
    changes = invocation.changes
    adapter = str(args.get("adapter_name_or_path") or "")
    bits = args.get("export_quantization_bit")
    if adapter and bits:
        raise invocation.refusal(
            "an adapter is merged here, and what comes of it quantised",
            "LLaMA-Factory merges or quantises, not both at once",
            "write two files: the merge, and the quantised export of what it makes; kit import takes both",
        )
    model = take_model(invocation, args)
    made_at = str(args.get("export_dir") or "")
    body, calibration = _written_anew(invocation, args) if not adapter else ({}, None)
    kept: dict[str, Any] = {}
    for key, value in args.items():
        if key == "adapter_name_or_path" and adapter:
            changes.renamed(f"{key}: {shown(value)}", "from", OWNED[key])
        elif value is None or value == "":
            changes.dropped(f"{key}: {shown(value)}", "it says nothing")
        elif key in OWNED:
            changes.dropped(f"{key}: {shown(value)}", OWNED[key])
        else:
            kept[key] = value
            changes.taken(f"{key}: {shown(value)}", f"args.{key}")
    env = take_environment(invocation)
    body |= {"args": kept} if kept else {}
    if env:
        body["env"] = env
    return Draft(
        invocation,
        "export",
        body,
        model,
        made_at=made_at,
        made_from=adapter,
        calibration=calibration,
    )


def _written_anew(
    invocation: Invocation, args: dict[str, Any]
) -> tuple[dict[str, Any], tuple[str, dict[str, Any]] | None]:
    """Return what an export of a whole model says, and the text that it is quantised with."""
    changes, body = invocation.changes, {}
    if args.get("template"):
        body["template"] = str(args.pop("template"))
        changes.taken(f"template: {body['template']}", "template")
    bits, texts = args.pop("export_quantization_bit", None), args.pop("export_quantization_dataset", None)
    if not bits:
        return body, None
    if str(bits).isdigit():
        bits = int(bits)
    body["bits"] = bits
    device = args.pop("export_device", None)
    if device not in (None, "auto"):
        changes.dropped(f"export_device: {device}", "LLaMA-Factory quantises on the GPUs")
    changes.renamed(f"export_quantization_bit: {bits}", f"bits: {bits}")
    path = str(texts or "")
    if not path.endswith((".json", ".jsonl")):
        changes.fill_in("calibration", f"{path or 'nothing'} is no file of text; name one, as .jsonl")
        path = "data/calibration.jsonl"
    else:
        changes.renamed(f"export_quantization_dataset: {path}", "calibration", "kit ships it as a dataset")
    entry = {"path": invocation.on_host(path), "format": "alpaca", "columns": {"prompt": "text"}}
    return body, (PurePosixPath(path).stem, entry)


def api_draft(invocation: Invocation, args: dict[str, Any], verb: str) -> Draft:
    """Return the serve job that answers as `llamafactory-cli api` or `chat` does. Raises ConfigError."""
    changes = invocation.changes
    adapter = str(args.pop("adapter_name_or_path", None) or "")
    if adapter:
        changes.renamed(f"adapter_name_or_path: {adapter}", "model", "what is served is the merged model")
    model = take_model(invocation, args)
    body: dict[str, Any] = {"engine": "vllm"}
    _lengths(invocation, args, body)
    kept: dict[str, Any] = {}
    for key, value in args.items():
        if key in _SERVED or key in _SAMPLING or value is None:
            changes.dropped(f"{key}: {shown(value)}", _SERVED.get(key, "requests say it, each for itself"))
        elif key == "trust_remote_code":
            kept["trust-remote-code"] = value
            changes.renamed(f"{key}: {shown(value)}", "args.trust-remote-code")
        elif key.startswith("quantization"):
            changes.dropped(f"{key}: {shown(value)}", "quantising while loading is LLaMA-Factory's own way")
        else:
            changes.dropped(f"{key}: {shown(value)}", "vLLM knows no such thing")
    if verb == "api":
        _listen(invocation, body)
    else:
        changes.added(
            "a serve job", "kit ask JOB talks to it from the terminal, as llamafactory-cli chat does"
        )
    env = take_environment(
        invocation, {"API_PORT": "port", "API_HOST": "bind", "API_MODEL_NAME": "served_name"}
    )
    if invocation.gpus is None:
        invocation.gpus = 1
    if env:
        body["env"] = env
    if kept:
        body["args"] = kept
    return Draft(invocation, "serve", body, model, made_from=adapter)


def _lengths(invocation: Invocation, args: dict[str, Any], body: dict[str, Any]) -> None:
    for key, own, most in (
        ("vllm_maxlen", "max_model_len", 0),
        ("vllm_gpu_util", "gpu_memory_utilization", 1),
    ):
        value = args.pop(key, None)
        if isinstance(value, int | float) and value > 0 and (not most or value <= most):
            body[own] = value
            invocation.changes.renamed(f"{key}: {value}", f"{own}: {value}")


def _listen(invocation: Invocation, body: dict[str, Any]) -> None:
    env = invocation.env
    port = env.get("API_PORT", "")
    body["bind"] = env.get("API_HOST", "127.0.0.1")
    body["port"] = int(port) if port.isdigit() and port.isascii() else _API_PORT
    if "API_MODEL_NAME" in env:
        body["served_name"] = env["API_MODEL_NAME"]
    if "API_HOST" not in env:
        invocation.changes.added(
            "bind: 127.0.0.1",
            "LLaMA-Factory's api listens everywhere; write bind: 0.0.0.0 if the intranet is to reach it",
        )
