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
from kit.own_yaml import read_own_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.project.model import DatasetSpec

DATASET_INFO = "dataset_info.json"
_REFERENCE = re.compile(r"\$\{[A-Za-z_][\w.]*\}")


def arguments_yaml(job: str, arguments: Mapping[str, Any], version: str) -> str:
    """Return a LLaMA-Factory YAML file for that version of it.

    Raises ConfigError for text that its reader stumbles over, KitError on a bug in the template.
    """
    # From 0.9.4 on OmegaConf reads the file. It hands a whole ${NAME} on as it is, and dies of half a one.
    if release(version) >= (0, 9, 4):
        for key, value in arguments.items():
            _check_references(value, f"jobs.{job}.args.{key}")
    text = render("llamafactory/arguments.yaml.j2", {"job": job, "arguments": arguments})
    if read_own_yaml(text) != arguments:
        raise KitError("the rendered arguments are not the ones asked for", where=f"jobs.{job}")
    return text


def _check_references(value: Any, key: str) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _check_references(item, f"{key}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_references(item, f"{key}[{index}]")
    elif isinstance(value, str) and "${" in _REFERENCE.sub("", value):
        raise ConfigError(
            "LLaMA-Factory takes '${' for the start of a reference, and this is none",
            where=key,
            fix="write '${NAME}' or avoid '${'",
        )


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
        if spec.ranking:
            info[name]["ranking"] = True
        if spec.tags:
            info[name]["tags"] = dict(spec.tags)
    return json.dumps(info, indent=2, sort_keys=True) + "\n"
