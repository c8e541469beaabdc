"""What is wrapped around a command says where it runs."""

from __future__ import annotations

import pytest

from kit.errors import ConfigError
from tests.unit.importing.import_factories import draft, drafts, table, training


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "torchrun --nproc_per_node=8 --nnodes 2 --master_addr h0 --master_port 6000 src/train.py t.yaml",
            (2, 8, "h0", 6000),
        ),
        ("torchrun --standalone --nproc-per-node 4 -m llamafactory.launcher t.yaml", (1, 4, "", None)),
        ("python -m torch.distributed.run --nproc_per_node 2 src/train.py t.yaml", (1, 2, "", None)),
        ("torchrun --nnodes 1:4 --rdzv_endpoint h1:29400 src/train.py t.yaml", (4, None, "h1", 29400)),
        ("deepspeed --num_gpus 8 --master_port=9901 src/train.py t.yaml", (1, 8, "", 9901)),
        ("deepspeed --include localhost:1,3 src/train.py t.yaml", (1, "1,3", "", None)),
        ("deepspeed --hostfile hosts.txt src/train.py t.yaml", (2, 4, "n1", None)),
        (
            "FORCE_TORCHRUN=1 NNODES=2 MASTER_ADDR=10.0.0.5 MASTER_PORT=29501 llamafactory-cli train t.yaml",
            (2, None, "10.0.0.5", 29501),
        ),
        ("CUDA_VISIBLE_DEVICES=0,2 nohup llamafactory-cli train t.yaml &", (1, "0,2", "", None)),
        (
            "accelerate launch --num_processes 16 --num_machines 2 --main_process_port 9 src/train.py t.yaml",
            (2, 8, "", 9),
        ),
        ("bash -c 'cd /x && env A=1 llamafactory-cli train t.yaml'", (1, None, "", None)),
        ("conda activate x; uv run llamafactory-cli train t.yaml", (1, None, "", None)),
    ],
)
def test_launchers_say_hosts_gpus_and_where_ranks_meet(line: str, expected: tuple[object, ...]) -> None:
    hostfile = "n1 slots=4\nn2 slots=4  # the other\n"
    found = draft(line, t_yaml=training(), hosts_txt=hostfile)
    call = found.invocation
    assert found.kind == "train"
    assert (call.hosts, call.gpus, call.address, call.port) == expected


def test_ranks_are_dropped_and_other_variables_kept() -> None:
    found = draft(
        "export NCCL_DEBUG=INFO WANDB_API_KEY=abc\nRANK=0 LOCAL_RANK=0 llamafactory-cli train t.yaml",
        t_yaml=training(),
    )
    assert found.body["env"] == {"NCCL_DEBUG": "INFO"}
    assert table(found)["RANK=0"][0] == "dropped"


def test_accelerate_files_say_deepspeed_and_fsdp() -> None:
    zero = "distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 3, offload_optimizer_device: cpu}\n"
    found = draft(
        "accelerate launch --config_file a.yaml src/train.py t.yaml", a_yaml=zero, t_yaml=training()
    )
    assert (found.body["zero"], found.body["offload"]) == (3, "optimizer")
    shards = "distributed_type: FSDP\nmixed_precision: bf16\n"
    shards += "fsdp_config: {fsdp_offload_params: true, fsdp_version: 2}\n"
    found = draft(
        "accelerate launch --config_file a.yaml src/train.py t.yaml", a_yaml=shards, t_yaml=training()
    )
    assert found.body["zero"] is None
    assert found.body["args"]["fsdp"] == "full_shard offload auto_wrap"
    assert found.body["args"]["bf16"] is True
    assert table(found)["fsdp_version: 2 (accelerate)"][0] == "dropped"


def test_a_container_gives_its_command_mounts_ports_and_gpus() -> None:
    found = draft(
        "docker run -it --rm --gpus '\"device=1,2\"' --shm-size=16g -p 127.0.0.1:9000:8000 "
        "-v /srv/models:/models -e A='x y' vllm/vllm-openai:v0.8.5 --model /models/q --tensor-parallel-size 2"
    )
    assert found.model is not None
    assert found.model.name == "/srv/models/q"
    assert found.body["bind"] == "127.0.0.1"
    assert found.body["port"] == 9000
    assert found.body["env"] == {"A": "x y"}
    assert found.invocation.gpus == "1,2"
    assert table(found)["--shm-size 16g"][0] == "dropped"


def test_files_of_a_container_are_read_where_its_host_has_them() -> None:
    found = draft(
        'docker run -v cfg:/app/cfg hiyouga/llamafactory bash -c "llamafactory-cli train /app/t.yaml" '
        "&& echo done".replace("cfg:/app/cfg", "t.yaml:/app/t.yaml"),
        t_yaml=training(model_name_or_path="/app/model"),
    )  # fmt: skip
    assert found.kind == "train"
    assert found.model is not None
    assert found.model.name == "/app/model"


def test_easy_dataset_is_a_data_job() -> None:
    found = draft("docker run -d -p 1718:1717 -v ./db:/app/local-db ghcr.io/conardli/easy-dataset")
    assert (found.kind, found.body) == ("data", {"bind": "0.0.0.0", "port": 1718})


def test_a_script_may_hold_several() -> None:
    text = "#!/bin/sh\nset -e\nllamafactory-cli train t.yaml\nvllm serve a/b\n"
    assert [one.kind for one in drafts(text, t_yaml=training())] == ["train", "serve"]


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"t\.yaml"):
        draft("llamafactory-cli train t.yaml")
