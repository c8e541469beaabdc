"""The files that LLaMA-Factory reads: arguments for train and export, and the list of datasets."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError, KitError
from kit.jobs.places import DATA
from kit.jobs.render import render
from kit.jobs.versions import release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.project.model import DatasetSpec

DATASET_INFO = "dataset_info.json"


def arguments_yaml(title: str, arguments: Mapping[str, Any], version: str) -> str:
    """Return a LLaMA-Factory YAML file for that version of it. Raises KitError on a bug in the template."""
    import yaml

    # From 0.9.4 on the file is read by OmegaConf, which replaces ${NAME}.
    escape = release(version) >= (0, 9, 4)
    written = {key: _escaped(value) if escape else value for key, value in arguments.items()}
    text = render("llamafactory/arguments.yaml.j2", {"title": title, "arguments": written})
    if yaml.safe_load(text) != written:
        raise KitError("the rendered arguments are not the ones asked for", where=title)
    return text


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", value)
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value


def dataset_file(name: str, spec: DatasetSpec) -> str:
    """Return a dataset's file as the container sees it. Raises ConfigError for a name read as a pattern."""
    file = PurePosixPath(spec.path.replace("\\", "/")).name
    if re.search(r"[\s*?\[\]{}]", file):
        raise ConfigError(
            f"the file name {file!r} has a space or one of * ? [ ] {{ }}",
            where=f"datasets.{name}.path",
            why="the datasets library takes file names for patterns",
            fix="rename the file",
        )
    return f"{DATA}/{name}/{file}"


def dataset_info(datasets: Mapping[str, DatasetSpec]) -> str:
    """Return dataset_info.json. ASCII only: LLaMA-Factory opens it in the locale's encoding."""
    info: dict[str, Any] = {}
    for name, spec in datasets.items():
        info[name] = {"file_name": dataset_file(name, spec), "formatting": spec.format}
        if spec.columns:
            info[name]["columns"] = dict(spec.columns)
    return json.dumps(info, indent=2, sort_keys=True) + "\n"
