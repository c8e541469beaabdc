"""The user's dataset_info.json: which file each dataset of a training is. Pure.

Keys: LLaMA-Factory 0.9.3, `data/parser.py`.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.importing.draft import Invocation

_FILE = "dataset_info.json"
_HUBS = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
_GUESSED: dict[str, dict[str, Any]] = {
    "pt": {"columns": {"prompt": "text"}},
    "rm": {"ranking": True, "columns": {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"}},
    "kto": {"columns": {"prompt": "instruction", "response": "output", "kto_tag": "kto_tag"}},
}
_GUESSED["dpo"] = _GUESSED["rm"]
"""Stage → what an entry must say at least, where no dataset_info.json does."""
_TAKEN = ("file_name", "formatting", "columns", "tags", "ranking", *_HUBS)


def _names(value: Any) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else str(value).split(",")
    return tuple(str(part).strip() for part in parts if str(part).strip())


def take_datasets(invocation: Invocation, args: dict[str, Any]) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return (name, entry of kit.yaml) of every dataset that `dataset` and `dataset_dir` name.

    Both leave `args`. Raises ConfigError when none is named.
    """
    names = _names(args.pop("dataset", ""))
    folder = str(args.pop("dataset_dir", None) or "data")
    if not names:
        raise invocation.refusal("no dataset", "a training needs one", "write dataset: NAME into it")
    info = _info(invocation, folder)
    invocation.changes.renamed(f"dataset: {','.join(names)}", "datasets")
    stage = str(args.get("stage", ""))
    return tuple(
        (name, _entry(invocation, name, folder, info) or _guess(invocation, name, folder, info, stage))
        for name in names
    )


def _info(invocation: Invocation, folder: str) -> dict[str, Any] | None:
    text = invocation.text_of(f"{folder.rstrip('/')}/{_FILE}")
    if text is None:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invocation.refusal(f"{folder}/{_FILE} is no JSON", str(error), "correct it") from error
    return document if isinstance(document, dict) else None


def _guess(
    invocation: Invocation, name: str, folder: str, info: dict[str, Any] | None, stage: str
) -> dict[str, Any]:
    where = invocation.on_host(folder).rstrip("/")
    why = f"{where}/{_FILE} was not found" if info is None else f"{where}/{_FILE} has no {name}"
    path = f"{where}/{name}.json"
    invocation.changes.fill_in(f"datasets.{name}: {path}", f"{why}; name the file, its format and columns")
    return {"path": path, "format": "alpaca", **_GUESSED.get(stage, {})}


def _entry(
    invocation: Invocation, name: str, folder: str, info: dict[str, Any] | None
) -> dict[str, Any] | None:
    found = (info or {}).get(name)
    if not isinstance(found, dict):
        return None
    where = invocation.on_host(folder).rstrip("/")
    entry: dict[str, Any] = {"path": _path(invocation, name, where, found)}
    form = str(found.get("formatting", "alpaca"))
    entry["format"] = form if form in ("alpaca", "sharegpt") else "alpaca"
    if form != entry["format"]:
        invocation.changes.dropped(f"{name}: formatting {form}", "kit.yaml knows alpaca and sharegpt")
    for key, wanted in (("columns", dict), ("tags", dict), ("ranking", bool)):
        value = found.get(key)
        if isinstance(value, wanted) and value:
            entry[key] = {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else value
    for key in found:
        if key not in _TAKEN:
            invocation.changes.dropped(f"{name}: {key} ({_FILE})", "kit takes the whole file")
    invocation.changes.renamed(f"{name} ({_FILE})", f"datasets.{name}", "kit writes the list itself")
    return entry


def _path(invocation: Invocation, name: str, where: str, found: dict[str, Any]) -> str:
    file = found.get("file_name")
    if isinstance(file, str) and file:
        if not PurePosixPath(file).suffix:
            invocation.changes.fill_in(
                f"datasets.{name}", f"{file} looks like a folder; kit carries one file a dataset"
            )
        return str(PurePosixPath(where) / file)
    hub = next((str(found[key]) for key in _HUBS if found.get(key)), "")
    path = f"{where}/{name}.json"
    invocation.changes.fill_in(f"datasets.{name}: {path}", f"it stood on a hub ({hub}); put its file there")
    return path
