from __future__ import annotations

from typing import Any

import pytest

from kit.errors import ConfigError
from kit.project.load import parse_project
from kit.run.fitness import job_ports
from tests.unit.jobs.launch_factories import document, file_of, gpu_document, launch_of, service_of, words_of

WIDE = {"hosts": ["gpu1", "gpu2"], "model": "tiny", "tensor_parallel": 4, "pipeline_parallel": 2}


def _wide(**job: Any) -> dict[str, Any]:
    return gpu_document({**WIDE, **job}, name="serve")


def test_vllms_head_waits_for_all_gpus_and_has_the_endpoint() -> None:
    launch = launch_of(_wide(), "serve")
    head, worker = launch.hosts
    assert (launch.rank_zero, head.host, worker.host) == ("gpu1", "gpu1", "gpu2")
    assert words_of(head)[:7] == ["python3", "/kit/run/ray_node.py", "head", "10.0.0.11", "6379", "4", "8"]
    assert words_of(head)[7:10] == ["python3", "-m", "vllm.entrypoints.openai.api_server"]
    assert {"--distributed-executor-backend=ray", "--pipeline-parallel-size=2"} <= set(words_of(head))
    assert words_of(worker) == [
        *("python3", "/kit/run/ray_node.py", "worker", "10.0.0.11", "6379", "10.0.0.12", "4")
    ]
    assert all("def worker(" in file_of(share, "ray_node.py") for share in launch.hosts)


def test_each_host_gives_its_gpus_and_speaks_over_the_network_between_them() -> None:
    for share, address in zip(launch_of(_wide(), "serve").hosts, ("10.0.0.11", "10.0.0.12"), strict=True):
        service = service_of(share)
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device["count"] == 4
        assert service["environment"]["VLLM_HOST_IP"] == address
        assert service["environment"]["GLOO_SOCKET_IFNAME"] == "eth1"
        assert service["extra_hosts"] == ["gpu1:10.0.0.11", "gpu2:10.0.0.12"]


def test_sglangs_nodes_know_their_rank_and_where_to_meet() -> None:
    made = _wide(engine="sglang", tensor_parallel=8, pipeline_parallel=1, cluster_port=7000)
    shares = launch_of(made, "serve").hosts
    for rank, share in enumerate(shares):
        words = words_of(share)
        assert words[:3] == ["python3", "-m", "sglang.launch_server"]
        assert {"--nnodes=2", f"--node-rank={rank}", "--dist-init-addr=10.0.0.11:7000", "--tp-size=8"} <= set(
            words
        )


def test_a_key_is_for_the_host_with_the_endpoint() -> None:
    first, second = launch_of(_wide(api_key_file="key"), "serve").hosts
    assert "/kit/run/with_key.py" in words_of(first)
    assert [file.path for file in second.files] == ["ray_node.py", "compose.yaml"]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (_wide(tensor_parallel=3, pipeline_parallel=1), "3 GPUs do not spread evenly over 2 hosts"),
        (document(WIDE, name="serve"), "on CPUs a model is served by one host"),
        (_wide(tensor_parallel=8), "8 GPUs are needed"),
    ],
)
def test_what_does_not_fit_these_hosts_is_refused(made: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        launch_of(made, "serve")


def test_its_ports_are_wanted_on_the_first_host() -> None:
    project = parse_project(_wide())
    assert job_ports(project, "serve", "gpu1") == ((8000, "serve"), (6379, "serve"))
    assert job_ports(project, "serve", "gpu2") == ()
