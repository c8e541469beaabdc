"""The ready-made GPU definitions, launched on hosts of the lab with eight GPUs each, which a hook records.

Images and model are stand-ins; kit, its image, the engines, compose and all that is between are real.
Each test builds on those above it. One host has engine 20.10 and compose 1.29, the other 26.1 and v2.
"""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.gpu_crossing import (
    BIG,
    OFFLINE,
    SCHEMA,
    SMALL,
    compose_of,
    lay_out,
    make_images,
    pack,
    remove_images,
)
from tests.e2e.gpu_hosts import DRIVER, card_uuids, fit_gpus, given_gpus
from tests.e2e.journey import Journey
from tests.lab import Lab, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.gpu_hosts import Given

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
KINDS = (("gpu1", "20.10"), ("gpu2", "26.1"))
HOSTS = tuple(name for name, _ in KINDS)
FIRST_FOUR = "0,1,2,3"
IDS = "0,1,4,5"


@pytest.fixture(scope="module")
def images(docker_host: str) -> Iterator[dict[str, str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", docker_host)
        made = make_images(docker_host)
    yield made
    remove_images(docker_host, made)


@pytest.fixture(scope="module")
def lab(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of its own name, whose hosts have GPUs as far as anybody can tell."""
    del images  # made first: the engine that makes them belongs to the usual lab
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "gpubundle")
        patch.setenv("KIT_LAB_STATE", str(tmp_path_factory.mktemp("lab")))
        started = Lab.up(KINDS)
        try:
            fit_gpus(started, "gpu1", "NVIDIA A800 80GB PCIe", 81920)
            fit_gpus(started, "gpu2", "NVIDIA L20", 46068)
            yield started
        finally:
            started.down(purge=True)


@pytest.fixture(scope="module")
def big(
    lab: Lab, images: dict[str, str], docker_host: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Journey]:
    """qwen3-32b on both hosts, shipped."""
    journey = Journey(tmp_path_factory.mktemp("big") / BIG, lab, environment(lab))
    lay_out(journey, BIG, {host: host for host in HOSTS}, "/aisys/kit")
    pack(journey.folder, images, docker_host)
    journey.kit("ship")
    yield journey
    shutil.rmtree(journey.folder)


@pytest.fixture(scope="module", params=HOSTS)
def small(request: pytest.FixtureRequest, big: Journey, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """qwen3-32b-4xl20 on one host or the other, below a root of its own, shipped out of the same bundle."""
    journey = Journey(tmp_path_factory.mktemp("small") / SMALL, big.lab, big.environment)
    lay_out(journey, SMALL, {"l20": request.param}, "/aisys/l20")
    (journey.folder / "bundle").symlink_to(big.folder / "bundle")
    journey.kit("ship")
    return journey


def _host_of(small: Journey) -> str:
    address = _document(small)["hosts"]["l20"]["address"]
    return next(host for host in HOSTS if small.lab.address(host) == address)


def _document(journey: Journey) -> dict[str, Any]:
    import yaml

    return dict(yaml.safe_load((journey.folder / "kit.yaml").read_text(encoding="utf-8")))


def _with_gpus(journey: Journey, gpus: int | str) -> str:
    """Return a variant of the definition in which each host gives these cards."""

    def change(document: dict[str, Any]) -> None:
        for host in document["hosts"].values():
            host["gpus"] = gpus

    return journey.variant("gpus.yaml", change)


def _started(journey: Journey, host: str, job: str, root: str = "/aisys/kit") -> dict[str, Any]:
    """Return what the newest container of a job wrote down about its own start."""
    path = f"{root}/runs/{job}/latest/logs/started.json"
    return dict(json.loads(journey.lab.exec(host, ("cat", path))))


def _given(journey: Journey, host: str, run_id: str) -> list[Given]:
    """Return the starts with GPUs that belong to a run."""
    return [given for given in given_gpus(journey.lab, host) if given.run_folder.endswith(f"/{run_id}")]


def _containers(journey: Journey, host: str, job: str) -> list[str]:
    """Return the containers of a job on a host, ended ones too."""
    return journey.lab.exec(host, ("docker", "ps", "-aq", "--filter", f"label=kit.job={job}")).split()


def _interface(lab: Lab, host: str) -> str:
    """Return the name of the interface that bears the host's address."""
    lines = lab.exec(host, ("ip", "-4", "-o", "addr")).splitlines()
    return next(line.split()[1] for line in lines if f" {lab.address(host)}/" in line)


def test_the_hook_tells_devices_apart_and_refuses_what_is_not_there(big: Journey) -> None:
    for host in HOSTS:
        image = next(
            tag
            for tag in big.lab.exec(
                host, ("docker", "images", "--format", "{{.Repository}}:{{.Tag}}")
            ).split()
            if "/train:" in tag
        )
        words = ("docker", "run", "--rm", "--entrypoint", "true")
        before = len(given_gpus(big.lab, host))
        big.lab.exec(host, (*words, image))
        big.lab.exec(host, (*words, "--gpus", '"device=6,2"', image))
        assert [given.cards for given in given_gpus(big.lab, host)[before:]] == ["6,2"]
        refused = big.lab.run(host, (*words, "--gpus", '"device=9"', image))
        assert refused.returncode != 0
        assert b"unknown device" in refused.stderr


def test_check_finds_both_hosts_fit(big: Journey) -> None:
    checked = big.kit("check")
    assert checked["fit"], checked
    found = {(item["host"], item["code"]): item for item in checked["findings"]}
    for host in HOSTS:
        assert found[host, "driver"]["text"] == f"NVIDIA driver {DRIVER}"
        assert found[host, "nvidia-runtime"]["level"] == "ok"
        assert found[host, "gpus"]["text"] == "8 GPUs there, 4 asked for"


@pytest.mark.parametrize("gpus", [9, "0,1,4,9", "GPU-00000000-dead"])
def test_cards_that_a_host_does_not_have_are_refused(big: Journey, gpus: int | str) -> None:
    code, said = big.refused("up", "train", definition=_with_gpus(big, gpus))
    assert code == 5, said
    assert "hosts.gpu1.gpus" in said
    assert _containers(big, "gpu1", "train") == []


def test_a_dry_run_shows_the_launch_and_leaves_the_hosts_alone(big: Journey) -> None:
    plan = big.kit("up", "train", "--dry-run")
    assert (plan["state"], [host["host"] for host in plan["plan"]]) == ("planned", list(HOSTS))
    for host, planned in zip(HOSTS, plan["plan"], strict=True):
        service = compose_of(planned)
        assert service["image"] == planned["image_tag"]
        assert service["pull_policy"] == "never"
        assert service["environment"]["MASTER_ADDR"] == big.lab.address("gpu1")
        listed = big.lab.exec(host, ("sh", "-c", "ls -A /aisys/kit/runs 2>/dev/null || true"))
        assert listed == ""
        assert _containers(big, host, "train") == []


def test_training_starts_four_ranks_on_each_of_two_hosts(big: Journey) -> None:
    result = big.kit("up", "train")
    assert (result["state"], result["steps"], result["made_on"]) == ("done", 3, "gpu1")
    assert result["first_loss"] > result["last_loss"]
    for rank, host in enumerate(HOSTS):
        started = _started(big, host, "train")
        assert started["argv"][1:] == ["train", "/kit/run/train.yaml"]
        assert started["uid"] == int(big.lab.exec(host, ("id", "-u", "ops")))
        interface = _interface(big.lab, host)
        expected = OFFLINE | {
            "FORCE_TORCHRUN": "1",
            "NPROC_PER_NODE": "4",
            "NNODES": "2",
            "NODE_RANK": str(rank),
            "MASTER_ADDR": big.lab.address("gpu1"),
            "MASTER_PORT": "29500",
            "PET_LOCAL_ADDR": big.lab.address(host),
            "NCCL_SOCKET_IFNAME": f"={interface}",
            "GLOO_SOCKET_IFNAME": interface,
        }
        assert expected.items() <= started["environment"].items()
        assert "NCCL_P2P_DISABLE" not in started["environment"]
        assert [given.cards for given in _given(big, host, result["run_id"])] == [FIRST_FOUR]
        assert _containers(big, host, "train") == []
    adapter = f"{result['made_at']}/adapter_model.safetensors"
    assert "by 8 ranks" in big.lab.exec("gpu1", ("cat", adapter))


@pytest.mark.parametrize("form", ["ids", "UUIDs"])
def test_training_on_shared_servers_gets_the_cards_that_are_named(big: Journey, form: str) -> None:
    def change(document: dict[str, Any]) -> None:
        for host, spec in document["hosts"].items():
            spec["gpus"] = _cards(host, form)

    result = big.kit("up", "train", definition=big.variant("shared.yaml", change))
    for host in HOSTS:
        assert [given.cards for given in _given(big, host, result["run_id"])] == [_cards(host, form)]


def _cards(host: str, form: str) -> str:
    return IDS if form == "ids" else ",".join(card_uuids(host)[4:])


def test_a_finished_training_stays_finished_when_its_engine_starts_anew(big: Journey) -> None:
    run_id = big.kit("up", "train", "--detach")["run_id"]
    for host in HOSTS:
        (container,) = _containers(big, host, "train")
        assert big.lab.exec(host, ("docker", "wait", container)).strip() == "0"
        shown = json.loads(big.lab.exec(host, ("docker", "inspect", container)))[0]
        assert shown["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
        big.lab.engine_stop(host)
        big.lab.engine_start(host)
    time.sleep(3)
    for host in HOSTS:
        (container,) = _containers(big, host, "train")
        shown = json.loads(big.lab.exec(host, ("docker", "inspect", container)))[0]
        assert (shown["State"]["Running"], shown["RestartCount"]) == (False, 0)
        assert len(_given(big, host, run_id)) == 1


def test_merging_takes_what_the_unwatched_training_made_and_needs_no_gpu(big: Journey) -> None:
    before = [len(given_gpus(big.lab, host)) for host in HOSTS]
    assert big.kit("up", "merge", "--dry-run")["state"] == "planned"
    result = big.kit("up", "merge")
    assert (result["state"], result["made_on"]) == ("done", "gpu1")
    started = _started(big, "gpu1", "merge")["environment"]
    assert started["CUDA_VISIBLE_DEVICES"] == ""
    assert "NVIDIA_VISIBLE_DEVICES" not in started
    assert OFFLINE.items() <= started.items()
    assert [len(given_gpus(big.lab, host)) for host in HOSTS] == before
    weights = big.lab.exec("gpu1", ("cat", f"{result['made_at']}/model.safetensors"))
    assert weights == "base weights\nlearnt from 2 samples by 8 ranks\n"


def test_serving_takes_four_cards_and_answers_out_of_what_was_merged(big: Journey) -> None:
    assert big.kit("up", "serve", "--dry-run")["state"] == "planned"
    result = big.kit("up", "serve")
    try:
        assert result["state"] == "running"
        assert [given.cards for given in _given(big, "gpu1", result["run_id"])] == [FIRST_FOUR]
        started = _started(big, "gpu1", "serve")
        assert "--tensor-parallel-size=4" in started["argv"]
        assert "--disable-custom-all-reduce" not in started["argv"]
        (container,) = _containers(big, "gpu1", "serve")
        asked = json.loads(big.lab.exec("gpu1", ("docker", "inspect", container)))[0]["HostConfig"]
        assert {"Name": "memlock", "Hard": -1, "Soft": -1} in asked["Ulimits"]
        assert OFFLINE.items() <= started["environment"].items()
        assert "NCCL_P2P_DISABLE" not in started["environment"]
        assert "by 8 ranks" in big.kit("ask", "serve", "What have you learnt?")["answer"]
        again = big.kit("up", "serve")
        assert (again["already_running"], again["run_id"]) == (True, result["run_id"])
    finally:
        big.kit("down", "serve")
    assert len(_given(big, "gpu1", result["run_id"])) == 1


def test_what_people_enter_in_the_data_tool_outlives_its_container(big: Journey) -> None:
    page = ("curl", "-sf", "http://127.0.0.1:1717/")
    for _ in range(2):
        assert big.kit("up", "data")["state"] == "running"
        assert big.lab.exec("gpu1", page).encode() == SCHEMA
        assert big.lab.run(
            "gpu2", ("curl", "-sf", "-m", "3", f"http://{big.lab.address('gpu1')}:1717/")
        ).returncode
        (container,) = _containers(big, "gpu1", "data")
        starts = big.lab.exec("gpu1", ("docker", "exec", container, "cat", "/app/local-db/starts"))
        big.kit("down", "data")
    assert starts == "started\nstarted\n"


# One host whose cards cannot reach each other's memory; once on each age of engine.


@pytest.mark.parametrize("form", ["count", "named"])
def test_cards_without_p2p_train_merge_and_serve(small: Journey, form: str) -> None:
    host = _host_of(small)
    named = _cards(host, "ids" if host == "gpu1" else "UUIDs")
    gpus, cards = (4, FIRST_FOUR) if form == "count" else (named, named)
    chosen = _with_gpus(small, gpus)
    assert small.kit("check", definition=chosen)["fit"]

    trained = small.kit("up", "train", definition=chosen)
    started = _started(small, host, "train", "/aisys/l20")["environment"]
    expected = OFFLINE | {
        "NPROC_PER_NODE": "4",
        "NNODES": "1",
        "NODE_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "NCCL_SOCKET_IFNAME": "=lo",
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_P2P_DISABLE": "1",
    }
    assert expected.items() <= started.items()
    assert [given.cards for given in _given(small, host, trained["run_id"])] == [cards]

    merged = small.kit("up", "merge", definition=chosen)
    assert _given(small, host, merged["run_id"]) == []

    served = small.kit("up", "serve", definition=chosen)
    try:
        words = _started(small, host, "serve", "/aisys/l20")
        assert "--disable-custom-all-reduce" in words["argv"]
        assert words["environment"]["NCCL_P2P_DISABLE"] == "1"
        assert [given.cards for given in _given(small, host, served["run_id"])] == [cards]
        assert "by 4 ranks" in small.kit("ask", "serve", "What have you learnt?", definition=chosen)["answer"]
    finally:
        small.kit("down", "serve", definition=chosen)


def test_fewer_ranks_than_cards_take_the_first_that_are_named(small: Journey) -> None:
    host = _host_of(small)

    def change(document: dict[str, Any]) -> None:
        document["hosts"]["l20"]["gpus"] = "5,1,4,0"
        document["jobs"]["serve"]["tensor_parallel"] = 2

    chosen = small.variant("two.yaml", change)
    served = small.kit("up", "serve", definition=chosen)
    small.kit("down", "serve", definition=chosen)
    assert [given.cards for given in _given(small, host, served["run_id"])] == ["5,1"]
