"""Several jobs on one host: GPUs and ports that a running one holds are not given twice."""

from __future__ import annotations

from typing import Any

import pytest

from kit.errors import ConfigError, UnfitError
from kit.host.facts import Held
from kit.jobs.job_rules import check_job
from kit.project.load import parse_project
from tests.unit.jobs.launch_factories import document, gpu_document, gpus, launch_of, service_of

OTHER = "kit-other-gpu1-2c2f62"


def other(*ids: str, container: str = OTHER, port: int | None = None) -> tuple[Held, ...]:
    return (Held(container, "other", ids, port),)


def ids(made: dict[str, Any], job: str = "train", **facts: Any) -> list[str]:
    """Return the GPUs that the job's container is given on its first host."""
    service = service_of(launch_of(made, job, **({"gpus": gpus(8)} | facts)).hosts[0])
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert service["labels"]["kit.gpus"] == ",".join(device["device_ids"])
    return list(device["device_ids"])


def serve(**job: Any) -> dict[str, Any]:
    return gpu_document({"tensor_parallel": 2, **job}, name="serve", gpus=8)


def test_a_count_is_met_out_of_what_is_free() -> None:
    assert ids(serve(), "serve") == ["0", "1"]
    assert ids(serve(), "serve", held=other("0", "2")) == ["1", "3"]
    assert ids(gpu_document({"gpus": 2}), held=other("0", "1")) == ["2", "3"]


def test_too_few_that_are_free_are_refused_with_who_has_them() -> None:
    with pytest.raises(UnfitError) as caught:
        ids(gpu_document(), held=other("1", "3"))
    assert caught.value.what == "4 GPUs are needed, and 2 of 0, 1, 2, 3 are free"
    assert "GPU 1 is held by job other" in caught.value.why
    assert "kit down other" in caught.value.fix
    assert caught.value.exit_code == 5


def test_a_gpu_that_is_named_and_taken_is_refused() -> None:
    assert ids(gpu_document({"gpus": "2,3"}), held=other("0", "1")) == ["2", "3"]
    with pytest.raises(UnfitError, match="1 of 2, 3 are free"):
        ids(gpu_document({"gpus": "2,3"}), held=other("3"))


def test_index_and_uuid_are_one_gpu() -> None:
    third = gpus(8)[2].uuid
    with pytest.raises(UnfitError):
        ids(gpu_document({"gpus": "2"}), held=other(third))
    with pytest.raises(UnfitError):
        ids(gpu_document({"gpus": third}), held=other("2"))
    assert ids(gpu_document({"gpus": third})) == [third]


def test_what_a_run_of_the_job_itself_holds_is_its_own_again() -> None:
    launch = launch_of(serve(), "serve", gpus=gpus(8))
    own = launch.hosts[0].compose_project
    assert ids(serve(), "serve", held=other("4", "5", container=own)) == ["4", "5"]


@pytest.mark.parametrize(
    ("job", "key", "said"),
    [
        ({"gpus": "6,7"}, "jobs.train.gpus", "GPU 6, 7 is not among those"),
        ({"gpus": 5}, "jobs.train.gpus", "5 GPUs are needed, 4 given"),
    ],
)
def test_a_job_gets_no_more_than_kit_yaml_gives_of_the_host(job: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        ids(gpu_document(job))
    assert caught.value.where == key


@pytest.mark.parametrize("given", [1, "3", "0,1,2"])
def test_a_served_model_gets_as_many_as_it_is_spread_over(given: int | str) -> None:
    with pytest.raises(ConfigError) as caught:
        ids(serve(gpus=given), "serve")
    assert caught.value.where == "jobs.serve.gpus"
    assert "gpus: 2" in caught.value.fix


def test_a_stack_without_gpus_gives_none() -> None:
    with pytest.raises(ConfigError) as caught:
        check_job(parse_project(document({"gpus": 1})), "train")
    assert caught.value.where == "jobs.train.gpus"


@pytest.mark.parametrize("given", [0, -1, "", "0,0", "one"])
def test_what_is_no_choice_of_gpus_is_refused(given: int | str) -> None:
    with pytest.raises(ConfigError, match=r"jobs\.train\.gpus"):
        parse_project(gpu_document({"gpus": given}))


def port_of(made: dict[str, Any], **facts: Any) -> list[str]:
    """Return where each rank is told to meet."""
    return [service_of(share)["environment"]["MASTER_PORT"] for share in launch_of(made, **facts).hosts]


def test_ranks_meet_where_nobody_listens_and_no_other_training_meets() -> None:
    assert port_of(document()) == ["29500", "29500"]
    assert port_of(document(), listening=(29500, 29501)) == ["29502", "29502"]
    assert port_of(document(), held=other(port=29500)) == ["29501", "29501"]
    assert port_of(document({"port": 4000}), held=other(port=29500)) == ["4000", "4000"]


def test_the_port_is_held_on_the_first_host_alone() -> None:
    labels = [service_of(share)["labels"].get("kit.port") for share in launch_of(document()).hosts]
    assert labels == ["29500", None]


def test_a_host_whose_ports_are_all_taken_is_not_fit() -> None:
    with pytest.raises(UnfitError, match="no port from 29500 to 29599 is free"):
        port_of(document(), listening=tuple(range(29500, 29600)))
