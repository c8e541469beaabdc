from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from kit.errors import ConfigError, UnfitError
from kit.jobs.launch import LaunchContext
from kit.jobs.make_launch import make_launch
from kit.jobs.network import Route
from kit.project.load import parse_project
from tests.unit.jobs.launch_factories import (
    RUN_ID,
    context_of,
    document,
    file_of,
    gpu_document,
    gpus,
    host_facts,
    launch_of,
    service_of,
    words_of,
)

OPTIONAL = {
    "packages": {
        "train": [
            "bitsandbytes==0.45.5",
            "galore-torch==1.0",
            "jieba==0.42.1",
            "nltk==3.9.1",
            "rouge-chinese==1.0.3",
        ]
    }
}
"""What some arguments need in the image."""


def _arguments(made: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = yaml.safe_load(file_of(launch_of(made).hosts[0], "train.yaml"))
    return arguments


def _environment(made: dict[str, Any], index: int = 0, **facts: Any) -> dict[str, str]:
    environment: dict[str, str] = service_of(launch_of(made, **facts).hosts[index])["environment"]
    return environment


def test_each_host_runs_one_rank_and_the_first_is_the_master() -> None:
    launch = launch_of(document())
    assert launch.rank_zero == "gpu1"
    assert [share.host for share in launch.hosts] == ["gpu1", "gpu2"]
    first, second = (service_of(share)["environment"] for share in launch.hosts)
    assert (first["NODE_RANK"], second["NODE_RANK"]) == ("0", "1")
    assert first["NNODES"] == second["NNODES"] == "2"
    assert first["MASTER_ADDR"] == second["MASTER_ADDR"] == "10.0.0.11"
    assert first["MASTER_PORT"] == "29500"
    assert first["FORCE_TORCHRUN"] == "1"
    assert words_of(launch.hosts[0]) == ["llamafactory-cli", "train", "/kit/run/train.yaml"]


def test_traffic_is_tied_to_the_interface_of_the_hosts_address() -> None:
    environment = _environment(document(), 1)
    assert environment["GLOO_SOCKET_IFNAME"] == "eth1"
    assert environment["NCCL_SOCKET_IFNAME"] == "=eth1"
    assert environment["PET_LOCAL_ADDR"] == "10.0.0.12"


def test_the_hosts_own_name_means_its_training_address_inside() -> None:
    assert service_of(launch_of(document()).hosts[1])["extra_hosts"] == [
        "gpu2:10.0.0.12",
        "gpu1:10.0.0.11",
    ]


def test_a_training_on_one_host_stays_on_its_loopback() -> None:
    environment = _environment(document({"hosts": ["gpu2"]}))
    assert environment["MASTER_ADDR"] == environment["PET_LOCAL_ADDR"] == "127.0.0.1"
    assert environment["GLOO_SOCKET_IFNAME"] == "lo"


def test_a_route_that_the_host_named_comes_before_the_address_in_kit_yaml() -> None:
    project = parse_project(document())
    context = context_of(project)
    routed = LaunchContext(context.images, context.facts, {}, {"gpu2": Route("ib0", "10.9.0.2")})
    environment = service_of(make_launch(project, "train", RUN_ID, routed).hosts[1])["environment"]
    assert environment["GLOO_SOCKET_IFNAME"] == "ib0"


def test_a_cpu_rank_has_one_process_float32_and_no_gpu() -> None:
    share = launch_of(document()).hosts[0]
    environment = service_of(share)["environment"]
    assert environment["NPROC_PER_NODE"] == "1"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["DS_ACCELERATOR"] == "cpu"
    assert environment["OMP_NUM_THREADS"] == "8"
    assert "deploy" not in service_of(share)
    arguments = yaml.safe_load(file_of(share, "train.yaml"))
    assert not {"bf16", "fp16", "use_cpu"} & arguments.keys()


def test_a_gpu_rank_has_a_process_a_gpu_and_bfloat16() -> None:
    share = launch_of(gpu_document(), gpus=gpus(4)).hosts[0]
    assert service_of(share)["environment"]["NPROC_PER_NODE"] == "4"
    (device,) = service_of(share)["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "device_ids": ["0", "1", "2", "3"], "capabilities": ["gpu"]}
    assert yaml.safe_load(file_of(share, "train.yaml"))["bf16"] is True
    assert "NCCL_P2P_DISABLE" not in service_of(share)["environment"]


def test_certain_gpus_are_asked_for_by_id() -> None:
    share = launch_of(gpu_document(gpus="0,1,5"), gpus=gpus(8)).hosts[0]
    (device,) = service_of(share)["deploy"]["resources"]["reservations"]["devices"]
    assert device["device_ids"] == ["0", "1", "5"]
    assert "count" not in device
    assert service_of(share)["environment"]["NPROC_PER_NODE"] == "3"


def test_cards_without_peer_to_peer_are_told_so() -> None:
    assert _environment(gpu_document(p2p=False))["NCCL_P2P_DISABLE"] == "1"


def test_the_container_is_the_login_user_with_shared_memory_and_no_restart() -> None:
    service = service_of(launch_of(document()).hosts[0])
    assert service["user"] == "1001:1002"
    assert service["network_mode"] == service["ipc"] == "host"
    assert service["restart"] == "no"
    assert service["pull_policy"] == "never"
    assert service["image"] == "kit.invalid/train:0123456789ab"
    whose = {"kit.host": "gpu1", "kit.job": "train", "kit.run": RUN_ID}
    assert service["labels"] == whose | {"kit.port": "29500"}


def test_only_the_run_folder_can_be_written_and_everything_is_cached_there() -> None:
    share = launch_of(document()).hosts[0]
    mounts = {mount["target"]: mount for mount in service_of(share)["volumes"]}
    assert [target for target, mount in mounts.items() if not mount["read_only"]] == ["/kit/run"]
    assert mounts["/kit/run"]["source"] == share.run_folder == f"/aisys/kit/runs/train/{RUN_ID}"
    assert mounts["/kit/models/tiny"]["source"] == "/aisys/kit/models/tiny"
    assert mounts["/kit/data/questions"]["source"] == "/aisys/kit/datasets/questions"
    environment = service_of(share)["environment"]
    for variable in ("HOME", "HF_HOME", "TRITON_CACHE_DIR", "TORCH_EXTENSIONS_DIR", "PET_LOG_DIR"):
        assert environment[variable].startswith("/kit/run/")
        assert environment[variable].split("/")[3] in share.folders


def test_nothing_looks_for_a_hub() -> None:
    environment = _environment(document())
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "DO_NOT_TRACK"):
        assert environment[variable] == "1"


def test_arguments_are_defaults_then_the_users_then_kits() -> None:
    arguments = _arguments(document({"args": {"cutoff_len": 64, "learning_rate": "1e-4", "lora_rank": 4}}))
    assert arguments["cutoff_len"] == 64
    assert arguments["learning_rate"] == 1e-4
    assert arguments["lora_rank"] == 4
    assert arguments["report_to"] == "none"
    assert arguments["model_name_or_path"] == "/kit/models/tiny"
    assert arguments["output_dir"] == "/kit/run/out"
    assert arguments["dataset"] == "questions"
    assert arguments["dataset_dir"] == "/kit/run"
    assert arguments["deepspeed"] == "/kit/run/deepspeed.json"


@pytest.mark.parametrize("text", ["${HOME}", "\\n", "$5", 'a "b"', "行\n二", "null", "{{ x }}", "# no"])
def test_awkward_arguments_survive(text: str) -> None:
    for made in (document, gpu_document):
        assert _arguments(made({"args": {"default_system": text}}))["default_system"] == text


@pytest.mark.parametrize(
    ("argument", "value"),
    [("default_system", "${"), ("default_system", "a ${b:c"), ("lr_scheduler_kwargs", {"deep": ["${x"]})],
)
def test_half_a_reference_is_refused_where_omegaconf_would_die_of_it(argument: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"jobs\.train\.args\.{argument}"):
        launch_of(document({"args": {argument: value}}))
    assert _arguments(gpu_document({"args": {argument: value}}))[argument] == value


def test_datasets_are_named_by_absolute_files_in_ascii() -> None:
    datasets = {
        "one": {"path": "data/one.json"},
        "two": {"path": "数据/二.json", "format": "sharegpt", "columns": {"messages": "对话"}},
    }
    share = launch_of(document({"datasets": ["one", "two"]}, datasets=datasets)).hosts[0]
    text = file_of(share, "dataset_info.json")
    assert text.isascii()
    assert json.loads(text) == {
        "one": {"file_name": "/kit/data/one/one.json", "formatting": "alpaca"},
        "two": {
            "file_name": "/kit/data/two/二.json",
            "formatting": "sharegpt",
            "columns": {"messages": "对话"},
        },
    }


def test_pairs_and_tags_of_a_dataset_reach_llama_factory() -> None:
    tags = {"role_tag": "role", "content_tag": "content"}
    columns = {"messages": "messages", "chosen": "chosen", "rejected": "rejected"}
    entry = {"path": "one.jsonl", "format": "sharegpt", "ranking": True, "tags": tags, "columns": columns}
    made = document({"datasets": ["one"], "args": {"stage": "dpo"}}, datasets={"one": entry})
    info = json.loads(file_of(launch_of(made).hosts[0], "dataset_info.json"))["one"]
    assert (info["ranking"], info["tags"], info["columns"]) == (True, tags, columns)


def test_without_deepspeed_no_configuration_is_written() -> None:
    share = launch_of(document({"zero": None})).hosts[0]
    assert "deepspeed.json" not in {file.path for file in share.files}
    assert "deepspeed" not in yaml.safe_load(file_of(share, "train.yaml"))


def test_the_users_variables_win_where_kit_does_not_own_them() -> None:
    environment = _environment(document({"env": {"OMP_NUM_THREADS": "1", "NCCL_DEBUG": "$INFO"}}))
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["NCCL_DEBUG"] == "$$INFO"


def test_two_people_with_jobs_of_one_name_do_not_share_a_project() -> None:
    one = launch_of(document(), uid=1001).hosts[0].compose_project
    two = launch_of(document(), uid=1002).hosts[0].compose_project
    again = launch_of(document(), uid=1001).hosts[0].compose_project
    assert one != two
    assert one == again
    assert one.startswith("kit-train-gpu1-")


def test_the_same_input_gives_the_same_launch() -> None:
    assert launch_of(document()) == launch_of(document())


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"args": {"output_dir": "/tmp"}}, "jobs.train.args.output_dir"),
        ({"args": {"use_cpu": True}}, "ZeRO-3 fails"),
        ({"args": {"model-name-or-path": "x"}}, "`model` says which model"),
        ({"args": {"--lora_rank": 3}}, "jobs.train.args.--lora_rank"),
        ({"args": {"bf16": True}}, "stack cpu trains in float32"),
        ({"args": {"fp16": "true"}}, "stack cpu trains in float32"),
        ({"args": {"quantization_bit": 4}}, "needs a GPU"),
        ({"args": {"report_to": "mlflow"}}, "jobs.train.args.report_to"),
        ({"args": {"report_to": ["tensorboard", "all"]}}, "jobs.train.args.report_to"),
        ({"zero": 3, "args": {"predict_with_generate": True}}, "under ZeRO-3"),
        ({"zero": 3, "args": {"additional_target": "embed_tokens,lm_head"}}, "dies under ZeRO-3"),
        ({"zero": 2, "args": {"use_galore": True}}, "zero: null"),
        ({"offload": "nvme"}, "needs libaio"),
        ({"args": {"fsdp": "full_shard"}, "zero": None}, "accelerate would shard nothing"),
        ({"template": "qwen-3"}, "did you mean 'qwen3'"),
        ({"template": ""}, "has no template ''"),
        ({"env": {"MASTER_ADDR": "1.2.3.4"}}, "jobs.train.env.MASTER_ADDR"),
        ({"env": {"PET_TEE": "1"}}, "jobs.train.env.PET_TEE"),
        ({"env": {"HF_HUB_OFFLINE": "0"}}, "nothing is fetched on the intranet"),
        ({"env": {"BAD NAME": "x"}}, "not the name of a variable"),
    ],
)
def test_what_cannot_work_is_refused_with_key_and_fix(job: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        launch_of(document(job) | OPTIONAL)
    assert message in str(caught.value)
    assert caught.value.where.startswith("jobs.train.")
    assert caught.value.fix


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"zero": 3, "args": {"pure_bf16": True}}, "under ZeRO-3"),
        ({"zero": 3, "args": {"quantization_bit": 8}}, "4-bit bitsandbytes only"),
        (
            {"zero": 3, "args": {"quantization_bit": 4, "quantization_method": "hqq"}},
            "4-bit bitsandbytes only",
        ),
        ({"zero": 2, "offload": "all"}, "zero: 3 in jobs.train"),
        ({"offload": "nvme"}, "offload: all, to host memory"),
        ({"args": {"fsdp": "full_shard"}}, "zero: null in jobs.train"),
        ({"zero": 0, "offload": "optimizer"}, "needs DeepSpeed with ZeRO"),
        ({"zero": None, "offload": "optimizer"}, "needs DeepSpeed with ZeRO"),
        ({"template": "qwen3_nothink"}, "LLaMA-Factory 0.9.3 has no template"),
    ],
)
def test_what_cannot_work_on_gpus_is_refused(job: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        launch_of(gpu_document(job) | OPTIONAL)
    assert message in str(caught.value)


def test_four_bit_quantisation_under_zero_3_is_allowed() -> None:
    job = gpu_document({"zero": 3, "args": {"quantization_bit": 4}}) | OPTIONAL
    assert _arguments(job)["quantization_bit"] == 4


def test_a_date_among_the_arguments_is_refused() -> None:
    made = yaml.safe_load("args: {seed: 2026-01-01}")
    with pytest.raises(ConfigError, match=r"jobs\.train\.args\.seed"):
        launch_of(document(made))


@pytest.mark.parametrize("path", ["data/my notes.json", "data/notes[1].json", "data/*.json"])
def test_a_dataset_file_whose_name_is_a_pattern_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"datasets\.questions\.path"):
        launch_of(document(datasets={"questions": {"path": path}}))


def test_a_run_id_that_would_break_a_path_is_refused() -> None:
    project = parse_project(document())
    with pytest.raises(ConfigError, match="split at spaces"):
        make_launch(project, "train", "a run", context_of(project))


def test_an_interface_that_is_not_there_is_named_with_those_that_are() -> None:
    hosts = {name: {"address": f"10.0.0.1{name[-1]}", "nic": "ib0"} for name in ("gpu1", "gpu2")}
    with pytest.raises(UnfitError) as caught:
        launch_of(document(hosts=hosts))
    assert caught.value.where == "hosts.gpu1.nic"
    assert "eth1 (10.0.0.11)" in str(caught.value)


def test_several_possible_interfaces_are_not_guessed_among() -> None:
    made = document(hosts={"gpu1": {"address": "node-a"}, "gpu2": {"address": "node-b"}})
    with pytest.raises(UnfitError, match="not certain"):
        launch_of(made, interfaces=(("eth1", "10.0.0.5"), ("eth2", "10.1.0.5")))


def test_a_host_without_facts_or_a_bundle_without_the_image_is_refused() -> None:
    project = parse_project(document())
    context = context_of(project)
    facts = {"gpu1": host_facts("gpu1", "10.0.0.11")}
    with pytest.raises(UnfitError, match="gpu2"):
        make_launch(project, "train", RUN_ID, LaunchContext(context.images, facts))
    with pytest.raises(ConfigError, match="'train'"):
        make_launch(project, "train", RUN_ID, LaunchContext({}, context.facts))


def test_a_job_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    project = parse_project(document())
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        make_launch(project, "trian", RUN_ID, context_of(project))


def test_a_rank_asks_no_resolver_for_names() -> None:
    host = launch_of(document()).hosts[0]
    (file,) = (file for file in host.files if file.path == "nsswitch.conf")
    assert "hosts: files\n" in file.content
    targets = {mount["target"]: mount["source"] for mount in service_of(host)["volumes"]}
    assert targets["/etc/nsswitch.conf"] == f"{host.run_folder}/nsswitch.conf"


def test_an_elastic_training_meets_by_its_run_and_may_lose_hosts() -> None:
    launch = launch_of(document({"elastic": {"min_hosts": 1, "restarts": 5}}))
    for share in launch.hosts:
        environment = service_of(share)["environment"]
        assert environment["RDZV_ID"] == RUN_ID
        assert (environment["MIN_NNODES"], environment["MAX_NNODES"]) == ("1", "2")
        assert environment["MAX_RESTARTS"] == "5"
    assert launch.may_lose == 1
    plain = launch_of(document())
    assert "RDZV_ID" not in service_of(plain.hosts[0])["environment"]
    assert plain.may_lose == 0


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"hosts": ["gpu1"], "elastic": {}}, "one host alone"),
        ({"elastic": {"min_hosts": 3}}, "3 hosts are the fewest"),
        ({"hosts": ["gpu2", "gpu1"], "elastic": {}}, "name gpu1 first"),
    ],
)
def test_an_elastic_training_that_cannot_be_is_refused(job: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        launch_of(document(job))


@pytest.mark.parametrize(
    ("zero", "args", "off"),
    [
        (None, {"stage": "rm", "finetuning_type": "full"}, True),
        (None, {"stage": "rm", "finetuning_type": "lora"}, False),
        (2, {"stage": "rm", "finetuning_type": "full"}, False),
        (None, {"stage": "sft", "finetuning_type": "full"}, False),
    ],
)
def test_a_whole_reward_model_under_ddp_checkpoints_without_reentering(
    zero: int | None,
    args: dict[str, Any],
    off: bool,  # noqa: FBT001
) -> None:
    pairs = {"ranking": True, "columns": {"prompt": "a", "chosen": "b", "rejected": "c"}}
    more = pairs if args["stage"] == "rm" else {}
    datasets = {"questions": {"path": "data/questions.json", **more}}
    made = document({"zero": zero, "args": args}, datasets=datasets)
    assert (_arguments(made).get("use_reentrant_gc") is False) is off
