"""Large datasets are tokenised before the ranks meet, in a step of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kit.errors import ConfigError
from kit.jobs.make_launch import make_launch
from kit.jobs.tokenize_first import LARGE
from kit.project.load import parse_project
from tests.unit.jobs.launch_factories import (
    RUN_ID,
    context_of,
    document,
    file_of,
    gpu_document,
    launch_of,
    service_of,
    words_of,
)

if TYPE_CHECKING:
    from kit.jobs.launch import HostLaunch


def share(job: dict[str, Any], size: int | None = None, *, gpu: bool = False) -> HostLaunch:
    """Return the first host's share of the training, for datasets of so many bytes."""
    project = parse_project((gpu_document if gpu else document)(job))
    context = context_of(project, cores=32)
    if size is not None:
        context = replace(context, data_bytes={"questions": size})
    return make_launch(project, "train", RUN_ID, context).hosts[0]


def is_first(made: HostLaunch) -> bool:
    return words_of(made) == ["sh", "/kit/run/train.sh"]


@pytest.mark.parametrize(("size", "first"), [(None, False), (LARGE - 1, False), (LARGE, True)])
def test_the_size_of_the_data_decides(size: int | None, first: bool) -> None:  # noqa: FBT001
    assert is_first(share({}, size)) is first


def test_what_the_job_says_goes_before_the_size() -> None:
    assert is_first(share({"tokenize_first": True}, 1))
    assert not is_first(share({"tokenize_first": False}, LARGE))
    assert not is_first(share({"args": {"streaming": True, "max_steps": 9}}, LARGE))


def test_the_step_has_the_arguments_that_decide_on_tokens_and_no_others() -> None:
    args = {"packing": True, "cutoff_len": 512, "val_size": 0.1, "lora_rank": 4, "quantization_bit": 4}
    made = share({"tokenize_first": True, "args": args, "zero": 2}, gpu=True)
    step, training = (yaml.safe_load(file_of(made, name)) for name in ("tokenize.yaml", "train.yaml"))
    assert step["tokenized_path"] == training["tokenized_path"] == "/kit/run/tokenized"
    for key in ("packing", "cutoff_len", "val_size", "template", "dataset", "model_name_or_path", "stage"):
        assert step[key] == training[key]
    assert not {"deepspeed", "bf16", "lora_rank", "quantization_bit", "finetuning_type"} & step.keys()
    assert step["preprocessing_num_workers"] == 16
    assert step["output_dir"] != training["output_dir"]


def test_the_step_sees_no_gpus_and_ends_the_job_when_it_fails() -> None:
    script = file_of(share({"tokenize_first": True}), "train.sh")
    assert script.startswith("set -e\n")
    assert "env -u FORCE_TORCHRUN CUDA_VISIBLE_DEVICES= python3 /kit/run/tokenize_data.py" in script
    assert script.rstrip().endswith("exec llamafactory-cli train /kit/run/train.yaml")
    compile(file_of(share({"tokenize_first": True}), "tokenize_data.py"), "tokenize_data.py", "exec")


def test_the_ranks_of_one_host_wait_for_those_of_another() -> None:
    together = service_of(share({"tokenize_first": True}))["environment"]
    assert together["PET_RDZV_CONF"] == "timeout=10800,join_timeout=10800"
    assert "PET_RDZV_CONF" not in service_of(share({}))["environment"]


def test_a_folder_of_tokens_is_not_the_users_to_name() -> None:
    with pytest.raises(ConfigError, match="tokenize_first"):
        launch_of(document({"args": {"tokenized_path": "/data/tokens"}}))
