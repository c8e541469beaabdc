"""Parsing, exit codes and the JSON contract. What the commands do is tested where they do it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

import kit
from kit.__main__ import main
from kit.cli.group import KitGroup
from kit.cli.main import COMMANDS, app
from kit.errors import (
    ConfigError,
    EngineError,
    JobError,
    KitError,
    TransferError,
    UnfitError,
    UnreachableError,
    VerificationError,
)
from tests.factories import project_document

KINDS = (
    ConfigError,
    VerificationError,
    UnreachableError,
    UnfitError,
    TransferError,
    EngineError,
    JobError,
)


def run(*words: str, **options: Any) -> Any:
    return CliRunner().invoke(app, list(words), **options)


def run_raising(failure: BaseException, *words: str) -> Any:
    """Run a command that fails so, under kit's own group."""
    failing = typer.Typer(cls=KitGroup, pretty_exceptions_enable=False, rich_markup_mode=None)

    @failing.callback()
    def start() -> None:
        pass

    @failing.command()
    def work(*, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
        del as_json
        raise failure

    return CliRunner().invoke(failing, ["work", *words])


def project_file(folder: Path, **overrides: Any) -> str:
    path = folder / "kit.yaml"
    path.write_text(yaml.safe_dump(project_document(**overrides)))
    return str(path)


@pytest.mark.parametrize("name", [command.__name__ for command, _ in COMMANDS])
def test_every_command_has_help_with_an_example(name: str) -> None:
    found = run(name, "--help")
    assert found.exit_code == 0
    assert f"Example: kit {name}" in found.stdout
    assert "--json" in found.stdout


def test_the_agent_is_there_and_in_no_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "agent" not in run("--help").stdout
    monkeypatch.setattr(sys, "argv", ["kit", "agent", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "--root" in capsys.readouterr().out


def test_the_version_is_shown() -> None:
    assert run("--version").stdout == f"kit {kit.__version__}\n"


def test_without_a_command_the_help_is_shown() -> None:
    found = run()
    assert found.exit_code == 0
    assert "Commands:" in found.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_failure_has_its_exit_code(kind: type[KitError]) -> None:
    found = run_raising(kind("it broke", where="gpu1", why="no power", fix="plug it in"))
    assert found.exit_code == kind.exit_code
    assert found.stdout == ""
    assert found.stderr == "kit: gpu1: it broke (no power)\n  to mend it: plug it in\n"


def test_exit_codes_are_all_different() -> None:
    assert sorted(kind.exit_code for kind in KINDS) == list(range(2, 9))


def test_a_failure_is_one_json_document(tmp_path: Path) -> None:
    found = run("up", "nope", "-f", project_file(tmp_path), "--json")
    assert found.exit_code == 2
    error = json.loads(found.stdout)["error"]
    assert set(error) == {"what", "where", "why", "fix", "exit_code"}
    assert error["exit_code"] == 2
    assert "nope" in found.stderr


@pytest.mark.parametrize("words", [("upp",), ("up",), ("up", "train", "--nope"), ("ask",), ("--nope",)])
def test_wrong_usage_is_exit_code_2_in_words_and_in_json(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2
    found = run(*words, "--json")
    assert found.exit_code == 2
    assert json.loads(found.stdout)["error"]["fix"].endswith("--help")


def test_a_bug_is_owned_up_to_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KIT_DEBUG", raising=False)
    found = run_raising(ZeroDivisionError("by zero"), "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["error"]["what"] == "a bug in kit"
    assert "Traceback" not in found.stderr


def test_with_kit_debug_a_bug_shows_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_DEBUG", "1")
    assert "Traceback" in run_raising(ZeroDivisionError("by zero")).stderr


def test_ctrl_c_is_130_and_says_how_things_stand() -> None:
    found = run_raising(KeyboardInterrupt("train goes on"), "--json")
    assert found.exit_code == 130
    assert json.loads(found.stdout)["error"]["why"] == "train goes on"
    assert found.stderr == "kit: interrupted: train goes on\n"
    assert "the same command goes on" in run_raising(KeyboardInterrupt()).stderr


def test_an_unknown_key_of_kit_yaml_is_named(tmp_path: Path) -> None:
    found = run("up", "train", "-f", project_file(tmp_path, surprise=1))
    assert found.exit_code == 2
    assert "surprise: unknown key" in found.stderr


def test_without_a_kit_yaml_init_is_recommended(tmp_path: Path) -> None:
    found = run("status", "-f", str(tmp_path / "kit.yaml"))
    assert found.exit_code == 2
    assert "kit init" in found.stderr


def test_init_writes_a_project_that_kit_reads(tmp_path: Path) -> None:
    folder = tmp_path / "My Project"
    found = run("init", str(folder), "--stack", "cpu", "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout)["files"] == [
        str(folder / "kit.yaml"),
        str(folder / "data" / "notes.json"),
    ]
    assert run("plan", "train", "--offline", "-f", str(folder / "kit.yaml")).exit_code == 0


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "kit.yaml").write_text("mine")
    found = run("init", str(tmp_path))
    assert found.exit_code == 2
    assert (tmp_path / "kit.yaml").read_text() == "mine"
    assert not (tmp_path / "data").exists()


def test_init_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert run("init", str(tmp_path), "--dry-run").exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_init_knows_its_stacks(tmp_path: Path) -> None:
    found = run("init", str(tmp_path), "--stack", "cuda")
    assert found.exit_code == 2
    assert "cu126" in found.stderr


def test_an_offline_plan_is_one_json_document(tmp_path: Path) -> None:
    found = run("plan", "train", "--offline", "--json", "-f", project_file(tmp_path))
    document = json.loads(found.stdout)
    assert [host["host"] for host in document["plan"]] == ["gpu1", "gpu2"]
    assert found.exit_code == 0


def test_a_bundle_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    for words in (("inspect",), ("verify",), ("ship",)):
        found = run(*words, "-f", project_file(tmp_path))
        assert found.exit_code == 2
        assert "no bundle here" in found.stderr


def test_bundle_wants_a_lock_first(tmp_path: Path) -> None:
    found = run("bundle", "-f", project_file(tmp_path))
    assert found.exit_code == 2
    assert "kit lock" in found.stderr


def test_an_unknown_host_is_refused_before_anything_is_reached(tmp_path: Path) -> None:
    for command in ("check", "status"):
        found = run(command, "--host", "gpu9", "-f", project_file(tmp_path))
        assert found.exit_code == 2
        assert "gpu9" in found.stderr


def test_down_wants_a_job_or_all(tmp_path: Path) -> None:
    assert run("down", "-f", project_file(tmp_path)).exit_code == 2
    assert run("down", "serve", "--all", "-f", project_file(tmp_path)).exit_code == 2


def test_following_and_json_exclude_each_other(tmp_path: Path) -> None:
    found = run("logs", "train", "-f", "--json", "--file", project_file(tmp_path))
    assert found.exit_code == 2
    assert "cannot follow" in json.loads(found.stdout)["error"]["what"]


def test_jobs_and_hosts_complete_from_kit_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kit.cli.options import complete_host, complete_job

    project_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert complete_job("") == ["merge", "serve", "train"]
    assert complete_job("t") == ["train"]
    assert complete_host("gpu2") == ["gpu2"]
    monkeypatch.chdir("/")
    assert complete_job("") == []


def test_what_a_message_quotes_cannot_rewrite_the_terminal() -> None:
    quoted = "a\x1b[2J\r\x9b\u202etxt\udcff 文件"
    found = run_raising(VerificationError(f"no blob {quoted}", where="bundle"), "--json")
    for text in (found.stdout, found.stderr):
        assert not {"\x1b", "\r", "\x9b", "\u202e", "\udcff"} & set(text)
        assert "文件" in text
    assert json.loads(found.stdout)["error"]["what"] == f"no blob {quoted}"
