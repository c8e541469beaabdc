"""LLaMA-Factory's files and command lines become train, export and serve jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kit.errors import ConfigError
from kit.importing.recognise import drafts_of_text
from tests.unit.importing.import_factories import draft, draft_of, table, training


def test_arguments_keep_their_names_and_what_kit_sets_is_dropped() -> None:
    found = draft(
        training(lora_rank=8, learning_rate="1e-4", resume_from_checkpoint=None, report_to="mlflow")
    )
    assert found.kind == "train"
    assert found.body["template"] == "qwen3"
    assert found.body["args"]["lora_rank"] == 8
    assert found.body["args"]["learning_rate"] == 1e-4
    assert found.body["args"]["report_to"] == "none"
    assert (
        not {"model_name_or_path", "dataset", "output_dir", "resume_from_checkpoint"}
        & found.body["args"].keys()
    )
    lines = table(found)
    assert lines["output_dir: saves/notes"][0] == "dropped"
    assert lines["report_to: mlflow"][0] == "changed"
    assert lines["lora_rank: 8"] == ("taken", "args.lora_rank", "")


def test_trackers_that_write_offline_are_kept() -> None:
    kept = draft(training(report_to="wandb"))
    assert kept.body["args"]["report_to"] == "wandb"
    swan = draft(
        training(use_swanlab=True, swanlab_mode="cloud", swanlab_api_key="secret", report_to="tensorboard")
    )
    assert swan.body["args"]["report_to"] == ["tensorboard", "swanlab"]
    assert not [key for key in swan.body["args"] if "swanlab" in key]
    assert "secret" not in str(table(swan))


def test_what_was_not_said_stays_what_it_was() -> None:
    args = draft(training()).body["args"]
    assert args["per_device_train_batch_size"] == 8
    assert args["gradient_accumulation_steps"] == 1
    assert args["learning_rate"] == 5e-5
    assert args["lr_scheduler_type"] == "linear"
    assert args["bf16"] is False
    assert "bf16" not in draft(training(fp16=True)).body["args"]


def test_without_deepspeed_kit_uses_none() -> None:
    assert draft(training()).body["zero"] is None


@pytest.mark.parametrize(
    ("zero", "expected"),
    [
        ({"stage": 0}, (0, "none")),
        ({"stage": 2, "offload_optimizer": {"device": "cpu"}}, (2, "optimizer")),
        ({"stage": 2, "cpu_offload": True}, (2, "optimizer")),
        ({"stage": 3, "offload_optimizer": {"device": "none"}}, (3, "none")),
        (
            {"stage": 3, "offload_optimizer": {"device": "cpu"}, "offload_param": {"device": "cpu"}},
            (3, "all"),
        ),
    ],
)
def test_a_deepspeed_file_means_a_stage_and_offloading(
    zero: dict[str, Any], expected: tuple[int, str]
) -> None:
    found = draft(training(deepspeed="ds.json"), ds_json=json.dumps({"zero_optimization": zero}))
    assert (found.body["zero"], found.body["offload"]) == expected


def test_what_a_deepspeed_file_loses_is_told() -> None:
    config = {
        "train_micro_batch_size_per_gpu": 4,
        "gradient_clipping": 0.5,
        "zero_optimization": {"stage": 3, "offload_optimizer": {"device": "nvme"}, "overlap_comm": True},
        "activation_checkpointing": {"cpu_checkpointing": True},
        "zero_allow_untested_optimizer": True,
    }
    found = draft(training(deepspeed="ds.json"), ds_json=json.dumps(config))
    lines = table(found)
    assert found.body["args"]["per_device_train_batch_size"] == 4
    assert found.body["args"]["max_grad_norm"] == 0.5
    assert "NVMe" in lines["offload_optimizer: nvme (DeepSpeed)"][2]
    assert lines["activation_checkpointing.cpu_checkpointing: true (DeepSpeed)"][0] == "dropped"
    assert lines["zero_optimization.overlap_comm: true (DeepSpeed)"][0] == "changed"
    assert "zero_allow_untested_optimizer: true (DeepSpeed)" not in lines


def test_an_example_file_that_is_not_here_is_known_by_its_name() -> None:
    found = draft(training(deepspeed="examples/deepspeed/ds_z3_offload_config.json"))
    assert (found.body["zero"], found.body["offload"]) == (3, "all")


def test_the_list_of_datasets_says_which_files() -> None:
    info = {
        "notes": {
            "file_name": "n.json",
            "formatting": "sharegpt",
            "columns": {"messages": "对话"},
            "tags": {"role_tag": "role"},
            "ranking": True,
            "num_samples": 3,
        }
    }
    text = training(dataset_dir="d", dataset="notes, other")
    files = {"d/dataset_info.json": json.dumps(info)}
    (made,) = drafts_of_text(text, "it", files.get)
    assert made.datasets[0] == (
        "notes",
        {
            "path": "d/n.json",
            "format": "sharegpt",
            "columns": {"messages": "对话"},
            "tags": {"role_tag": "role"},
            "ranking": True,
        },
    )
    assert made.datasets[1] == ("other", {"path": "d/other.json", "format": "alpaca"})
    assert table(made)["notes: num_samples (dataset_info.json)"][0] == "dropped"
    assert table(made)["datasets.other: d/other.json"][0] == "fill in"


def test_command_lines_say_the_same_as_files() -> None:
    words = [f"--{name}={value}" for name, value in json.loads(training()).items() if name != "do_train"]
    line = draft_of("llamafactory-cli", "train", *words, "--do_train", "--run_name", "it's $5 中\n")
    file = draft(training(run_name="it's $5 中\n"))
    assert line.body["args"] == file.body["args"]
    over = draft("llamafactory-cli train t.yaml lora_rank=4 learning_rate=1e-5", t_yaml=training(lora_rank=8))
    assert (over.body["args"]["lora_rank"], over.body["args"]["learning_rate"]) == (4, 1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adapter_name_or_path": "a"}, "adapter"),
        ({"resume_from_checkpoint": "c"}, "goes on from a checkpoint"),
        ({"do_train": False, "do_predict": True, "adapter_name_or_path": "a"}, "prediction"),
        ({"deepspeed": "gone.json"}, "gone.json"),
        ({"deepspeed": {"zero_optimization": {"stage": 4}}}, "stage 4"),
        ({"deepspeed": ["x"]}, "no configuration"),
        ({"dataset": ""}, "no dataset"),
        ({"model_name_or_path": ""}, "no model"),
    ],
)
def test_what_kit_cannot_do_yet_is_refused_and_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        draft(training(**changes))
    assert caught.value.fix


@pytest.mark.parametrize("verb", ["eval", "webchat", "fly"])
def test_commands_without_a_job_are_refused(verb: str) -> None:
    with pytest.raises(ConfigError, match=f"llamafactory-cli {verb}"):
        draft(f"llamafactory-cli {verb}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("services: {a: {image: x}}", "compose"),
        ("zero_optimization: {stage: 2}", "DeepSpeed"),
        ("compute_environment: LOCAL_MACHINE", "accelerate"),
        ("jobs: {}", "kit.yaml"),
        ("model: a/b\ntrain_dataset: d.yaml\noutput_dir: o", "v1"),
        ("model_name_or_path: a\ntask: mmlu\nsave_dir: x", "benchmarks"),
    ],
)
def test_files_that_are_no_job_are_told_apart(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        draft(text)
    assert why in caught.value.why


def test_an_api_by_vllm_becomes_a_serve_job() -> None:
    found = draft(
        "API_PORT=8012 API_HOST=0.0.0.0 llamafactory-cli api --model_name_or_path a/b --template qwen3 "
        "--infer_backend vllm --vllm_maxlen 512 --temperature 0.1"
    )
    assert found.body == {"engine": "vllm", "max_model_len": 512, "bind": "0.0.0.0", "port": 8012}


def test_an_export_names_its_training_by_the_adapter() -> None:
    found = draft("model_name_or_path: a/b\nadapter_name_or_path: saves/x\nexport_dir: out\nexport_size: 2\n")
    assert (found.kind, found.made_from, found.made_at) == ("export", "saves/x", "out")
    assert found.body == {"args": {"export_size": 2}}
    with pytest.raises(ConfigError, match="quantised"):
        draft("model_name_or_path: a/b\nadapter_name_or_path: s\nexport_quantization_bit: 4\nexport_dir: out")
