"""Imports as a whole: kit itself loads and plans what comes out, and a kit.yaml keeps what it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.errors import ConfigError
from kit.importing.insert import insert, merged
from kit.jobs.quantise import PROVEN
from kit.project.job_model import TrainJob
from kit.project.load import parse_project
from kit.run.plan import plan_without_hosts
from kit.workflow.import_jobs import ImportRequest, ImportResult, import_jobs
from tests.unit.importing.import_factories import training

BASE = """\
# mine
version: 1
stack: cu126

images: [serve]   # for now

models:
  q: {source: huggingface, repo: Qwen/Qwen3-8B, revision: main}
  # the end of models

hosts:
  a1: {address: 10.9.9.9, gpus: 4}   # rack 3

# last words
"""
MERGE = "model_name_or_path: Qwen/Qwen3-8B\nadapter_name_or_path: saves/notes\nexport_dir: merged\n"


def script(text: str, **options: Any) -> ImportResult:
    return import_jobs(ImportRequest(text=text, **options))


def rows(result: ImportResult) -> dict[str, tuple[str, str]]:
    return {change.given or change.becomes: (change.action, change.because) for change in result.changes}


@pytest.mark.parametrize("stage", ["pt", "sft", "rm", "dpo", "kto"])
@pytest.mark.parametrize("stack", ["cu126", "cpu"])
def test_every_stage_loads_and_plans(stage: str, stack: str) -> None:
    result = script(training(stage=stage, pref_loss="orpo", bf16=True, quantization_bit=4), stack=stack)
    project = parse_project(yaml.safe_load(result.yaml))
    text = "".join(file.content for host in plan_without_hosts(project, "train", None) for file in host.files)
    assert f'stage: "{stage}"' in text
    assert project.packages == ({"train": ("bitsandbytes==0.45.5",)} if stack == "cu126" else {})
    assert (rows(result)["bf16: true"][0] == "dropped") is (stack == "cpu")


def test_a_training_its_merge_and_its_server_are_joined(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text(training(output_dir="saves/notes"))
    (tmp_path / "merge.yaml").write_text(MERGE)
    (tmp_path / "serve.sh").write_text("vllm serve ./merged --served-model-name it -tp 2")
    files = tuple(tmp_path / name for name in ("serve.sh", "train.yaml", "merge.yaml"))
    result = import_jobs(ImportRequest(files=files))
    project = parse_project(yaml.safe_load(result.yaml))
    assert result.jobs == ("train", "merge", "serve")
    assert result.document["jobs"]["merge"]["from"] == "train"
    assert result.document["jobs"]["serve"]["model"] == "merge"
    assert list(project.models) == ["qwen3-8b"]
    for job in result.jobs:
        assert plan_without_hosts(project, job, None)


def test_what_is_served_out_of_a_training_is_merged_first() -> None:
    command = (
        "llamafactory-cli api --model_name_or_path Qwen/Qwen3-8B --adapter_name_or_path saves/a/checkpoint-9 "
        "--infer_backend vllm"
    )
    train = "llamafactory-cli train --model_name_or_path Qwen/Qwen3-8B --dataset d --output_dir saves/a"
    result = script(f"{train}\n{command}")
    assert result.jobs == ("train", "merge", "serve")
    with pytest.raises(ConfigError, match="no training"):
        script(command)


def test_llamafactorys_own_endpoint_takes_the_adapter_as_it_is() -> None:
    talk = "llamafactory-cli {} --model_name_or_path Qwen/Qwen3-8B --adapter_name_or_path saves/a"
    train = "llamafactory-cli train --model_name_or_path Qwen/Qwen3-8B --dataset d --output_dir saves/a"
    lines = (train, f"API_PORT=8012 {talk.format('api')}", talk.format("chat"), "llamafactory-cli webui")
    result = script("\n".join(lines))
    assert result.jobs == ("train", "api", "chat", "board")
    jobs = result.document["jobs"]
    assert (jobs["api"]["from"], jobs["api"]["port"]) == ("train", 8012)
    assert jobs["chat"] == {"kind": "chat", "from": "train", "hosts": ["gpu1"]}
    assert jobs["board"]["models"] == ["qwen3-8b"]
    project = parse_project(yaml.safe_load(result.yaml))
    for job in result.jobs:
        assert plan_without_hosts(project, job, None)


def test_ppo_asks_the_reward_model_of_the_training_that_makes_it(tmp_path: Path) -> None:
    (tmp_path / "reward.yaml").write_text(training(stage="rm", output_dir="saves/reward"))
    ppo = training(stage="ppo", reward_model="./saves/reward", reward_model_type="lora")
    (tmp_path / "ppo.yaml").write_text(ppo)
    result = import_jobs(ImportRequest(files=(tmp_path / "reward.yaml", tmp_path / "ppo.yaml")))
    job = result.document["jobs"]["train-2"]
    assert (job["reward"], job["args"]["stage"]) == ("train", "ppo")
    assert not {"reward_model", "reward_model_type"} & job["args"].keys()
    assert plan_without_hosts(parse_project(yaml.safe_load(result.yaml)), "train-2", None)
    assert rows(result)["reward_model: ./saves/reward"][0] == "renamed"
    with pytest.raises(ConfigError, match=r"made the reward model \./saves/reward"):
        script(ppo)


def test_ppo_asks_the_only_reward_model_that_there_is(tmp_path: Path) -> None:
    into = tmp_path / "kit.yaml"
    into.write_text(script(training(stage="rm", output_dir="saves/reward")).yaml)
    result = script(training(stage="ppo", reward_model="elsewhere"), into=into)
    assert result.document["jobs"]["train-2"]["reward"] == "train"
    assert rows(result)["reward_model: elsewhere"][0] == "changed"


def test_a_served_reward_model_stays_an_address() -> None:
    told = {"reward_model": "http://10.0.0.9:8000", "reward_model_type": "api"}
    job = script(training(stage="ppo", **told)).document["jobs"]["train"]
    assert "reward" not in job
    assert told.items() <= job["args"].items()


GPTQ = """\
model_name_or_path: MODEL
template: qwen3
export_dir: output/gptq
export_quantization_bit: 4
export_quantization_dataset: data/c4_demo.jsonl
export_device: cpu
export_size: 2
"""


def test_a_quantised_export_brings_its_text_and_its_packages(tmp_path: Path) -> None:
    result = script(GPTQ.replace("MODEL", "Qwen/Qwen3-8B"))
    job = result.document["jobs"]["quantised"]
    assert job == {
        "kind": "export",
        "model": "qwen3-8b",
        "hosts": ["gpu1"],
        "template": "qwen3",
        "bits": 4,
        "args": {"export_size": 2},
        "calibration": "c4_demo",
    }
    assert rows(result)["export_device: cpu"][0] == "dropped"
    project = parse_project(yaml.safe_load(result.yaml))
    assert project.datasets["c4_demo"].path == "data/c4_demo.jsonl"
    assert project.packages["train"] == PROVEN["cu126"]
    assert plan_without_hosts(project, "quantised", None)
    (tmp_path / "train.yaml").write_text(training(output_dir="saves/notes"))
    (tmp_path / "merge.yaml").write_text(MERGE)
    (tmp_path / "gptq.yaml").write_text(GPTQ.replace("MODEL", "./merged"))
    files = tuple(tmp_path / name for name in ("train.yaml", "merge.yaml", "gptq.yaml"))
    assert import_jobs(ImportRequest(files=files)).document["jobs"]["quantised"]["model"] == "merge"


def test_quantising_text_that_is_no_file_must_be_filled_in() -> None:
    text = GPTQ.replace("MODEL", "Qwen/Qwen3-8B").replace("data/c4_demo.jsonl", "hub/c4")
    assert "# to fill in: calibration" in script(text).yaml


def test_a_model_is_exported_anew_without_an_adapter() -> None:
    result = script("model_name_or_path: Qwen/Qwen3-8B\nexport_dir: shards\nexport_size: 2\n")
    assert result.document["jobs"]["merge"]["model"] == "qwen3-8b"
    assert plan_without_hosts(parse_project(yaml.safe_load(result.yaml)), "merge", None)


def test_an_export_without_its_training_is_refused() -> None:
    with pytest.raises(ConfigError, match="no training is known that made saves/notes"):
        script(MERGE)


def test_what_this_version_refuses_is_left_out_with_its_reason() -> None:
    result = script("vllm serve a/b --reasoning-parser mistral --host here --max-num-seqs 4")
    assert "reasoning" not in result.document["jobs"]["serve"]
    assert "bind" not in result.document["jobs"]["serve"]
    action, because = rows(result)["--reasoning-parser mistral"]
    assert action == "dropped"
    assert "vLLM 0.8.5.post1 has no reasoning parser 'mistral'" in because
    twice = rows(script("USER=me vllm serve a/b --reasoning-parser mistral"))
    assert twice["--reasoning-parser mistral"] == (action, because)
    old = script("vllm serve a/b --swap-space 4 --seed 4", stack="cpu")
    assert old.document["jobs"]["serve"]["args"] == {"seed": 4}
    assert "dropped" in rows(old)["--swap-space 4"]


def test_a_template_that_does_not_exist_becomes_the_models() -> None:
    result = script(training(template="qwen33"))
    assert result.document["jobs"]["train"]["template"] == "qwen3"
    assert "did you mean 'qwen3'" in rows(result)["template: qwen33"][1]


def test_what_must_be_filled_in_stands_above() -> None:
    result = script("vllm serve $MODEL/x/y")
    head = [line for line in result.yaml.splitlines() if line.startswith("# to fill in: ")]
    assert any("hosts.gpu1.address" in line for line in head)
    assert any("$MODEL" in line for line in head)


def test_hosts_are_as_many_as_the_command_has() -> None:
    result = script(f"NNODES=2 NPROC_PER_NODE=8 llamafactory-cli train {_flags()}")
    assert result.document["hosts"] == {
        "gpu1": {"address": "10.0.0.11", "gpus": 8},
        "gpu2": {"address": "10.0.0.12", "gpus": 8},
    }


def _flags() -> str:
    return " ".join(f"--{name}={value}" for name, value in json.loads(training()).items())


def test_into_a_kit_yaml_the_rest_stays_to_the_letter(tmp_path: Path) -> None:
    path = tmp_path / "kit.yaml"
    path.write_text(BASE)
    path.chmod(0o640)
    first = script("vllm serve Qwen/Qwen3-8B -tp 4", into=path)
    second = script(training(), into=path, name="tune")
    text = path.read_text()
    assert (first.jobs, second.jobs, second.wrote) == (("serve",), ("tune",), str(path))
    assert path.stat().st_mode & 0o777 == 0o640
    left = iter(text.splitlines())
    changed = {"images: [serve]   # for now": "images: [serve, train]   # for now"}
    assert all(changed.get(line, line) in left for line in BASE.splitlines())
    project = parse_project(yaml.safe_load(text))
    assert list(project.models) == ["q"]
    assert project.jobs["tune"].hosts == ("a1",)
    assert plan_without_hosts(project, "serve", None)
    assert list(tmp_path.iterdir()) == [path]


def test_what_llama_board_trained_becomes_a_job_of_the_models_and_data_it_was_shown(tmp_path: Path) -> None:
    path = tmp_path / "kit.yaml"
    base = yaml.safe_load(BASE)
    base["datasets"] = {"notes": {"path": "own/notes.jsonl", "format": "sharegpt"}}
    path.write_text(yaml.safe_dump(base))
    given = training(model_name_or_path="/kit/models/q", dataset_dir="data", output_dir="saves/Custom/lora/x")
    result = script(given, into=path, name="again")
    project = parse_project(yaml.safe_load(path.read_text()))
    assert (list(project.models), list(project.datasets)) == (["q"], ["notes"])
    again = project.jobs["again"]
    assert isinstance(again, TrainJob)
    assert (again.model, again.datasets) == ("q", ("notes",))
    assert not [line for line in result.changes if line.action == "fill in"]


def test_taken_names_get_numbers(tmp_path: Path) -> None:
    path = tmp_path / "kit.yaml"
    path.write_text(BASE)
    assert script("vllm serve a/q", into=path).jobs == ("serve",)
    again = script("vllm serve a/q2", into=path)
    assert again.jobs == ("serve-2",)
    assert list(parse_project(yaml.safe_load(path.read_text())).models) == ["q", "q-2", "q2"]


def test_nothing_is_written_in_a_dry_run_or_where_it_cannot_be_added(tmp_path: Path) -> None:
    path = tmp_path / "kit.yaml"
    for text, wanted in ((BASE, ""), (json.dumps(yaml.safe_load(BASE)), "cannot be added")):
        path.write_text(text)
        if wanted:
            with pytest.raises(ConfigError, match=wanted) as caught:
                script("vllm serve a/b", into=path, dry_run=True)
            assert "jobs:" in caught.value.fix
        else:
            assert script("vllm serve a/b", into=path, dry_run=True).wrote == ""
        assert path.read_text() == text


def test_more_hosts_than_there_are_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kit.yaml"
    path.write_text(BASE)
    with pytest.raises(ConfigError, match="2 hosts, and there are 1"):
        script(f"NNODES=2 llamafactory-cli train {_flags()}", into=path)
    with pytest.raises(ConfigError, match="no host named 'b'"):
        script("vllm serve a/b", into=path, hosts=("b",))
    with pytest.raises(ConfigError, match="no stack"):
        script("vllm serve a/b", stack="rocm")


@pytest.mark.parametrize(
    "text",
    [
        "jobs:\n    a: {kind: data}\n",
        "jobs: {a: {kind: data}}\n",
        "jobs: {\n  a: {kind: data},\n}\n",
        "jobs:\n  a:\n    kind: data\n    note: |\n      x\n\n      y\n# end\n",
        "jobs:\r\n  a: {kind: data}\r\n",
        "jobs:\n  a: {kind: data}",
        "a: 1\n",
    ],
)
def test_entries_are_added_to_every_form(text: str) -> None:
    sections = {"jobs": {"b": {"kind": "serve", "args": {"x": "é $y"}}}}
    found = insert(text, sections)
    assert found is not None
    assert yaml.safe_load(found) == merged(yaml.safe_load(text), sections)
    left = iter(found)
    assert all(char in left for char in text)


@pytest.mark.parametrize(
    "text", ["jobs:\n", "jobs: {}\n", "a: &x {}\njobs: *x\n", "{a: 1}\n", "- a\n", "a: [\n"]
)
def test_what_cannot_be_added_to_is_left_alone(text: str) -> None:
    assert insert(text, {"jobs": {"b": {"kind": "data"}}}) is None
