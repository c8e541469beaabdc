"""What is asked and done once runs exist: status, logs, collect, down, ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError, JobError, TransferError, UnfitError, UnreachableError, VerificationError
from kit.jobs.launch import AdapterShape
from kit.project.job_model import ServeJob
from kit.run.ask import Question, ask, model_choice, open_talk
from kit.run.collect import Collected, collect
from kit.run.down import down, require_choice
from kit.run.logs import choose_logs, collect_lines, logs
from kit.run.record import parse_record
from kit.run.status import status
from tests.unit.run.factories import World
from tests.unit.run.fakes import FakeHost, exited
from tests.unit.run.test_up import answer_probe, fail, record_at, serving, succeed, world_where

BOTH = ("gpu1", "gpu2")


def gather(world: World, job: str, out: Path | None = None, **options: Any) -> Collected:
    return collect(world.loaded, job, out, world.toolbox, world.notes, **options)


def trained(tmp_path: Path) -> World:
    world = world_where(tmp_path / "hosts")
    world.up("train")
    return world


def test_status_shows_hosts_and_the_newest_run_of_each_job(tmp_path: Path) -> None:
    world = serving(tmp_path)
    world.up("serve")
    found = status(world.loaded, BOTH, world.toolbox)
    assert [row.bundle for row in found.hosts] == ["demo", "demo"]
    assert {(row.job, row.host): row.state for row in found.runs} == {
        ("merge", "gpu1"): "done",
        ("serve", "gpu1"): "running",
        ("train", "gpu1"): "done",
        ("train", "gpu2"): "done",
    }
    assert found.exit_code == 0


def test_status_tells_an_end_that_nobody_recorded(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    world.up("train", detach=True)
    world.hosts["gpu2"].engine.containers = {}
    name = next(iter(world.hosts["gpu1"].engine.containers))
    world.hosts["gpu1"].engine.containers[name] = exited(3)
    found = status(world.loaded, BOTH, world.toolbox)
    assert [(row.state, row.exit_code) for row in found.runs] == [("ended", 3), ("lost", None)]


def test_status_of_a_host_that_is_away_is_a_row_and_an_exit_code(tmp_path: Path) -> None:
    world = trained(tmp_path)
    world.hosts["gpu2"].lost = True
    found = status(world.loaded, BOTH, world.toolbox)
    assert found.exit_code == UnreachableError.exit_code
    assert "connection is lost" in (found.hosts[1].error or "")
    assert [row.host for row in found.runs] == ["gpu1"]


def test_a_host_that_nothing_was_shipped_to_is_no_failure(tmp_path: Path) -> None:
    world = trained(tmp_path)
    (world.hosts["gpu2"].root / "bundles" / "current.json").unlink()
    found = status(world.loaded, BOTH, world.toolbox)
    assert found.exit_code == 0
    assert "nothing was shipped" in (found.hosts[1].error or "")


def test_collect_brings_record_logs_and_artifact_home(tmp_path: Path) -> None:
    world = trained(tmp_path)
    found = gather(world, "train", tmp_path / "home")
    home = tmp_path / "home"
    assert (home / "out" / "adapter.safetensors").read_bytes() == b"train"
    assert (home / "logs" / "gpu1.log").exists()
    assert (home / "hosts" / "gpu2" / "logs" / "gpu2.log").exists()
    assert parse_record((home / "run.json").read_bytes(), "run.json").run_id == found.run_id
    assert not (home / "out" / "checkpoint-10").exists()
    assert found.fetched_files == found.files


def test_collect_goes_by_default_beside_kit_yaml(tmp_path: Path) -> None:
    world = trained(tmp_path)
    found = gather(world, "train")
    assert found.folder == str(world.loaded.folder / "collected" / "train" / found.run_id)


def test_collect_again_fetches_only_what_is_not_right(tmp_path: Path) -> None:
    world = trained(tmp_path)
    gather(world, "train", tmp_path / "home")
    assert gather(world, "train", tmp_path / "home").fetched_files == 0
    (tmp_path / "home" / "out" / "adapter.safetensors").write_bytes(b"trai!")
    assert gather(world, "train", tmp_path / "home").fetched_files == 1
    assert (tmp_path / "home" / "out" / "adapter.safetensors").read_bytes() == b"train"


def test_collect_brings_what_a_job_keeps_from_run_to_run(tmp_path: Path) -> None:
    world = trained(tmp_path)
    kept = world.hosts["gpu1"].root / "kept" / "train" / "saves" / "out"
    (kept / "checkpoint-4").mkdir(parents=True)
    (kept / "adapter.safetensors").write_bytes(b"by hand")
    (kept / "checkpoint-4" / "optimizer.pt").write_bytes(b"on the way")
    (kept / "link").symlink_to("/etc/passwd")
    gather(world, "train", tmp_path / "home")
    home = tmp_path / "home" / "saves" / "out"
    assert {path.name: path.read_bytes() for path in home.iterdir()} == {"adapter.safetensors": b"by hand"}


def test_collect_refuses_bytes_that_are_not_the_recorded_ones(tmp_path: Path) -> None:
    world = trained(tmp_path)
    (world.run_folders("gpu1", "train")[0] / "out" / "adapter.safetensors").write_bytes(b"other")
    with pytest.raises(VerificationError, match="not the one that was recorded"):
        gather(world, "train", tmp_path / "home")
    assert [path.name for path in (tmp_path / "home" / "out").iterdir()] == []
    assert not (tmp_path / "home" / "run.json").exists()


def test_collect_says_when_a_file_cannot_be_read(tmp_path: Path) -> None:
    world = trained(tmp_path)
    (world.run_folders("gpu1", "train")[0] / "out" / "adapter.safetensors").unlink()
    with pytest.raises(TransferError, match="cannot be read"):
        gather(world, "train", tmp_path / "home")


def test_collect_does_not_mix_two_runs(tmp_path: Path) -> None:
    world = trained(tmp_path)
    gather(world, "train", tmp_path / "home")
    world.up("train")
    with pytest.raises(ConfigError, match="holds another run"):
        gather(world, "train", tmp_path / "home")


def test_collect_leaves_no_file_outside_its_folder(tmp_path: Path) -> None:
    world = trained(tmp_path)
    record = json.loads((world.run_folders("gpu1", "train")[0] / "run.json").read_text())
    escape = {"path": "../../escape", "digest": "sha256:" + "0" * 64, "size": 1}
    world.agents["gpu1"].answers["read_run"] = lambda _: {"record": record, "folder": "/x", "files": [escape]}
    with pytest.raises(VerificationError, match="not a plain relative path"):
        gather(world, "train", tmp_path / "home")
    assert not (tmp_path / "escape").exists()


def test_collect_does_not_follow_a_link_at_home(tmp_path: Path) -> None:
    world = trained(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home" / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VerificationError, match="a link stands"):
        gather(world, "train", tmp_path / "home")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_collect_dry_run_fetches_nothing(tmp_path: Path) -> None:
    world = trained(tmp_path)
    assert gather(world, "train", tmp_path / "home", dry_run=True).fetched_files > 0
    assert not (tmp_path / "home").exists()


def test_a_run_that_goes_on_is_not_collected(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    world.up("train", detach=True)
    with pytest.raises(UnfitError, match="still runs"):
        gather(world, "train")


def test_what_never_ran_cannot_be_collected(tmp_path: Path) -> None:
    with pytest.raises(UnfitError, match="no run of train"):
        gather(world_where(tmp_path), "train")


def test_a_failed_run_is_collected_with_its_logs(tmp_path: Path) -> None:
    world = world_where(tmp_path / "hosts", fail)
    with pytest.raises(JobError):
        world.up("train")
    found = gather(world, "train", tmp_path / "home")
    assert found.state == "failed"
    assert "line 49" in (tmp_path / "home" / "logs" / "gpu1.log").read_text()


def test_down_stops_removes_and_records(tmp_path: Path) -> None:
    world = serving(tmp_path)
    world.up("serve")
    found = down(world.loaded, BOTH, "serve", world.toolbox)
    assert [(run.job, run.state) for run in found.ended] == [("serve", "stopped")]
    assert world.hosts["gpu1"].engine.containers == {}
    assert record_at(world.run_folders("gpu1", "serve")[0]).state == "stopped"
    assert down(world.loaded, BOTH, "serve", world.toolbox).ended == ()


def test_down_of_a_run_that_had_ended_records_how(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    world.up("train", detach=True)
    found = down(world.loaded, BOTH, None, world.toolbox)
    assert [(run.host, run.state) for run in found.ended] == [("gpu1", "done"), ("gpu2", "done")]


def test_down_removes_a_container_whose_end_somebody_else_recorded(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    world.up("train", detach=True)
    gather(world, "train", tmp_path / "home")
    left = {name: dict(host.engine.containers) for name, host in world.hosts.items()}
    assert down(world.loaded, BOTH, "train", world.toolbox).ended == ()
    assert all(left.values())
    assert all(not host.engine.containers for host in world.hosts.values())


def test_down_dry_run_ends_nothing(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    world.up("train", detach=True)
    found = down(world.loaded, BOTH, None, world.toolbox, dry_run=True)
    assert [run.state for run in found.ended] == ["running", "running"]
    assert all(state.running for host in world.hosts.values() for state in host.engine.containers.values())


def test_down_deals_with_the_reachable_hosts_before_it_complains(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    world.up("train", detach=True)
    world.hosts["gpu2"].lost = True
    with pytest.raises(UnreachableError):
        down(world.loaded, BOTH, None, world.toolbox)
    assert world.hosts["gpu1"].engine.containers == {}


def test_down_passes_by_a_host_that_nothing_was_shipped_to(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    (world.hosts["gpu2"].root / "bundles" / "current.json").unlink()
    assert down(world.loaded, BOTH, None, world.toolbox).ended == ()


def test_down_wants_a_job_or_all_of_them(tmp_path: Path) -> None:
    project = world_where(tmp_path).loaded.project
    assert require_choice(project, "serve", every=False) == "serve"
    assert require_choice(project, None, every=True) is None
    for job, every in ((None, False), ("serve", True)):
        with pytest.raises(ConfigError, match="name a job, or say --all"):
            require_choice(project, job, every=every)


def test_logs_of_a_running_job_come_from_its_container(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    world.up("train", detach=True)
    for host in world.hosts.values():
        host.engine.written = dict.fromkeys(host.engine.containers, f"from {host.name}\n")
    found = collect_lines(
        world.loaded, choose_logs(world.loaded, "train", (), "5", follow=False), world.toolbox
    )
    assert [(line.host, line.text) for line in found.lines] == [
        ("gpu1", "from gpu1"),
        ("gpu2", "from gpu2"),
    ]
    assert world.hosts["gpu1"].ran[-1][-3:-1] == ("--tail", "5")


def test_logs_of_a_finished_job_come_from_what_was_kept(tmp_path: Path) -> None:
    world = trained(tmp_path)
    request = choose_logs(world.loaded, "train", ("gpu2",), "1", follow=False)
    assert [line.text for line in collect_lines(world.loaded, request, world.toolbox).lines] == [
        "the last line"
    ]


def test_following_asks_the_engine_to_follow(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    world.up("train", detach=True)
    logs(
        world.loaded,
        choose_logs(world.loaded, "train", (), "all", follow=True),
        world.toolbox,
        lambda _: None,
    )
    assert "--follow" in world.hosts["gpu2"].ran[-1]


@pytest.mark.parametrize(
    ("job", "hosts", "tail"),
    [("nope", (), "1"), ("serve", ("gpu2",), "1"), ("train", (), "-3"), ("train", ("x",), "1")],
)
def test_wrong_questions_about_logs_are_refused(
    tmp_path: Path, job: str, hosts: tuple[str, ...], tail: str
) -> None:
    with pytest.raises(ConfigError):
        choose_logs(world_where(tmp_path).loaded, job, hosts, tail, follow=False)


def test_a_question_goes_to_the_running_model(tmp_path: Path) -> None:
    world = serving(tmp_path)
    world.up("serve")
    asked: list[dict[str, Any]] = []

    def reply(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        answer = {
            "text": "yes",
            "reasoning": "",
            "usage": [["completion_tokens", 3], ["total_tokens", 9]],
            "seconds": 1.0,
        }
        return {**answer, "seconds_to_first_token": 0.5, "model": "merge", "run_id": "x"}

    world.agents["gpu1"].answers["ask"] = reply
    question = Question("Is it?", system="Be brief.", max_tokens=7, temperature=0.0, think=False)
    found = ask(world.loaded, "serve", question, world.toolbox)
    assert (found.answer, found.prompt_tokens, found.completion_tokens) == ("yes", None, 3)
    assert asked[0]["chat"] == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Is it?"}],
        "max_tokens": 7,
        "temperature": 0.0,
        "chat_template_kwargs": {"enable_thinking": False},
    }


@pytest.mark.parametrize(("engine", "key"), [("vllm", "model"), ("sglang", "lora_path")])
def test_an_adapter_is_asked_for_in_the_engines_own_words(engine: str, key: str) -> None:
    fields = {"kind": "serve", "engine": engine, "model": "tiny", "adapters": ("train",), "hosts": ("gpu1",)}
    job = ServeJob.model_validate(fields)
    assert model_choice("serve", job, "train") == {key: "train"}
    assert model_choice("serve", job, "tiny") == model_choice("serve", job, "") == {}
    with pytest.raises(ConfigError, match="serve serves no 'merge'") as caught:
        model_choice("serve", job, "merge")
    assert caught.value.fix == "one of tiny, train"


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ('{"r": 24, "base_model_name_or_path": "/kit/models/tiny"}', AdapterShape(24, "/kit/models/tiny")),
        ('{"peft_type": "OFT", "base_model_name_or_path": "/kit/models/tiny"}', None),
        ("[]", None),
    ],
)
def test_what_an_adapter_says_of_itself_is_recorded(
    tmp_path: Path, text: str, shape: AdapterShape | None
) -> None:
    def learn(host: FakeHost, container: str, folder: Path) -> None:
        succeed(host, container, folder)
        if host.name == "gpu1":
            (folder / "out" / "adapter_config.json").write_text(text)

    world = world_where(tmp_path, learn)
    world.up("train")
    assert record_at(world.run_folders("gpu1", "train")[0]).adapter == shape


def test_what_was_said_before_is_told_again(tmp_path: Path) -> None:
    world = serving(tmp_path)
    world.up("serve")
    asked: list[Any] = []

    def reply(request: dict[str, Any]) -> dict[str, Any]:
        asked.append([(item["role"], item["content"]) for item in request["chat"]["messages"]])
        if "fail" in request["chat"]["messages"][-1]["content"]:
            raise JobError("too long")
        answer = {"text": f"answer {len(asked)}", "reasoning": "hm", "usage": [], "seconds": 1.0}
        return {**answer, "seconds_to_first_token": 0.5, "model": "merge", "run_id": "x"}

    world.agents["gpu1"].answers["ask"] = reply
    with open_talk(world.loaded, "serve", Question("", system="Be brief."), world.toolbox) as talk:
        talk.say("one")
        with pytest.raises(JobError):
            talk.say("fail")
        talk.say("two")
    system, first = ("system", "Be brief."), ("user", "one")
    assert asked[0] == [system, first]
    assert asked[2] == [system, first, ("assistant", "answer 1"), ("user", "two")]


def test_a_model_that_is_not_served_cannot_be_asked(tmp_path: Path) -> None:
    world = world_where(tmp_path)
    with pytest.raises(JobError, match="does not run here"):
        ask(world.loaded, "serve", Question("?"), world.toolbox)
    with pytest.raises(ConfigError, match="serves no model"):
        ask(world.loaded, "train", Question("?"), world.toolbox)


def test_a_stopped_server_is_started_anew(tmp_path: Path) -> None:
    world = serving(tmp_path)
    world.up("serve")
    down(world.loaded, BOTH, "serve", world.toolbox)
    answer_probe(world)
    assert not world.up("serve").already_running
