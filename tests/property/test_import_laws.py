"""Laws of imports: what a shell would hand over is read, values survive, and what comes out is a kit.yaml.

Whatever is given, there are jobs that kit plans, or a ConfigError.
"""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.errors import ConfigError
from kit.importing.insert import insert, merged
from kit.importing.options import typed
from kit.importing.recognise import drafts_of_text
from kit.importing.shell_words import read_commands
from kit.importing.written import section_text
from kit.project.load import parse_project
from kit.project.model import Project
from kit.run.plan import plan_without_hosts
from kit.workflow.import_jobs import ImportRequest, ImportResult, import_jobs
from tests.factories import project_document

pytestmark = pytest.mark.property
UNHURRIED = settings(max_examples=50, deadline=None)
LIMITED = settings(max_examples=12, deadline=None)

SPECIAL = "\"'$`\\\n\t #&|;<>(){}[]!*?~=%:,-中文é😀 yesNo01e.~@"
text = st.text(st.one_of(st.sampled_from(SPECIAL), st.characters(exclude_categories=["Cs"])), max_size=20)
scalar = st.one_of(text, st.booleans(), st.integers(), st.floats(allow_nan=False), st.none())
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)
FLAGS = (
    *(
        "--model",
        "--port",
        "--host",
        "--tensor-parallel-size",
        "-tp",
        "--max_model_len",
        "--dtype",
        "--template",
    ),
    *(
        "--reasoning-parser",
        "--enable-reasoning",
        "--served-model-name",
        "--rope-scaling",
        "--revision",
        "--api-key",
    ),
    *(
        "--gpu-memory-utilization",
        "--lora-modules",
        "--trust-remote-code",
        "--config",
        "--no-enable-x",
        "--a.b",
    ),
)
VALUES = (
    "1",
    "0",
    "-1",
    "a/b",
    "/m",
    "32k",
    "0.9",
    "1.5",
    "{}",
    '{"a": "$b 中"}',
    "qwen3",
    "::1",
    "x",
    "",
    "true",
)
PROGRAMS = (
    ("vllm", "serve", "Qwen/Qwen3-8B"),
    ("python3", "-m", "vllm.entrypoints.openai.api_server"),
    ("docker", "run", "-p", "80:8000", "--gpus", "all", "vllm/vllm-openai:v1", "--model", "a/b"),
    ("bash", "-c", "vllm serve a/b"),
)


ARGUMENTS = (
    *("stage", "deepspeed", "bf16", "report_to", "template", "quantization_bit", "learning_rate", "optim"),
    *("dataset_dir", "use_unsloth", "fsdp", "lora_target", "val_size", "infer_backend", "output_dir"),
)


def refusal(project: Project, job: str) -> str:
    """Return the key that `kit plan` would complain about, or nothing."""
    try:
        plan_without_hosts(project, job, None)
    except ConfigError as error:
        return error.where
    return ""


def planned(result: ImportResult) -> None:
    """Load what came out as kit does, and plan each of its jobs."""
    project = parse_project(yaml.safe_load(result.yaml))
    told = {change.becomes for change in result.changes if change.action == "fill in"}
    assert {refusal(project, job) for job in result.jobs} <= {"", *told}


@UNHURRIED
@given(st.lists(text, max_size=6))
@example(["it's", '"', "$HOME", "a\nb", "\\", "", "#x", "数据"])
def test_a_quoted_command_line_is_read_as_it_was(words: list[str]) -> None:
    line = shlex.join(["run", *(word.replace("\r\n", "\n") for word in words)])
    (command,) = read_commands(line)
    assert list(command.words) == ["run", *(word.replace("\r\n", "\n") for word in words)]
    assert command.unknown == ()


@UNHURRIED
@given(
    st.lists(st.one_of(st.sampled_from(["export A=1\n", "$A", "${A:-b}", "(", ")", "A=(", "<<E\n"]), text))
)
def test_any_script_is_read_or_refused(pieces: list[str]) -> None:
    try:
        commands = read_commands("".join(pieces))
    except ConfigError:
        return
    assert all(command.words for command in commands)


@UNHURRIED
@given(st.dictionaries(text, value, max_size=4))
def test_a_written_section_says_what_was_meant(entries: dict[str, Any]) -> None:
    assert yaml.safe_load(section_text("jobs", entries)) == {"jobs": entries}
    assert yaml.safe_load(section_text("models", entries)) == {"models": entries}


@UNHURRIED
@given(text)
@example("yes")
@example("012")
@example("2026-01-01")
@example("1_000")
@example("1e999")
def test_a_value_stays_the_text_that_it_was(word: str) -> None:
    found = typed(word)
    if isinstance(found, str):
        assert found == word
        assert yaml.safe_load(section_text("models", {"a": found})) == {"models": {"a": word}}
    elif not isinstance(found, bool | dict):
        assert float(found) == float(word)


@UNHURRIED
@given(st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), text, max_size=4))
def test_arguments_of_a_training_survive(own: dict[str, str]) -> None:
    args = {f"x_{name}": word for name, word in own.items()}
    document = {"model_name_or_path": "a/b", "dataset": "d", "do_train": True, **args}
    (draft,) = drafts_of_text(yaml.safe_dump(document), "train.yaml", lambda _: None)
    numbers = {name: word for name, word in args.items() if draft.body["args"][name] != word}
    assert all(float(word) == draft.body["args"][name] for name, word in numbers.items())


@LIMITED
@given(st.sampled_from(PROGRAMS), st.lists(st.sampled_from([*FLAGS, *VALUES]), max_size=8))
def test_any_served_line_becomes_a_job_that_is_planned_or_is_refused(
    program: tuple[str, ...], words: list[str]
) -> None:
    try:
        result = import_jobs(ImportRequest(words=(*program, *words)))
    except ConfigError:
        return
    planned(result)


@LIMITED
@given(
    st.dictionaries(
        st.sampled_from(ARGUMENTS),
        st.one_of(value, st.sampled_from(["dpo", "ds_z3_config.json", "wandb", 4, True, "qwen2", "true"])),
    ),
    st.sampled_from(["cu126", "cpu"]),
)
def test_any_training_becomes_a_job_that_is_planned_or_is_refused(args: dict[str, Any], stack: str) -> None:
    document = {"model_name_or_path": "a/b", "dataset": "d", "do_train": True, **args}
    try:
        result = import_jobs(ImportRequest(text=yaml.safe_dump(document), stack=stack))
    except ConfigError:
        return
    planned(result)


styles = st.sampled_from([True, False, None])


@UNHURRIED
@given(
    styles, st.integers(2, 6), st.sampled_from(["\n", "\r\n"]), st.sets(st.sampled_from(["remarks", "cut"]))
)
def test_what_is_added_touches_nothing_else(flow: Any, indent: int, newline: str, traits: set[str]) -> None:
    base = project_document()
    if "cut" in traits:
        del base["datasets"]
    written = yaml.safe_dump(base, default_flow_style=flow, indent=indent, sort_keys=False)
    if "remarks" in traits:
        written = "".join(
            f"{line}  # said\n" if line.endswith(":") else f"{line}\n" for line in written.splitlines()
        )
        written += "# the end\n"
    written = written.replace("\n", newline)
    sections = {
        "images": ["data"],
        "datasets": {"new": {"path": "é $x.json"}},
        "jobs": {"j2": {"kind": "data"}},
    }
    found = insert(written, sections)
    if found is None:
        assert flow is True
        return
    assert yaml.safe_load(found) == merged(base, sections)
    left = iter(found)
    assert all(char in left for char in written)
