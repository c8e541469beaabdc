"""The tokens of a model on a host, asked through its sh and grep; by dash, and by busybox where it is."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.errors import ConfigError
from kit.host.local_machine import LocalMachine
from kit.host.port import Argv, Completed
from kit.project.load import parse_project
from kit.run.machine import Machine
from kit.run.model_tokens import check_template_there
from tests.unit.jobs.launch_factories import document, host_facts

SHELLS = [("sh",), ("bash",), ("busybox", "sh")]


class ShellMachine(LocalMachine):
    def __init__(self, shell: tuple[str, ...]) -> None:
        super().__init__("here")
        self._shell = shell

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        done = subprocess.run(
            (*self._shell, *argv[1:]), input=stdin, capture_output=True, check=False, timeout=timeout
        )
        return Completed(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_the_host_tells_which_tokens_its_model_has(shell: tuple[str, ...], tmp_path: Path) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    hosts = {"gpu1": {"address": "10.0.0.11", "root": str(tmp_path)}}
    made = document({"hosts": ["gpu1"]}, hosts=hosts)
    project = parse_project(made)
    machine = Machine(ShellMachine(shell), project.hosts["gpu1"], host_facts("gpu1", "10.0.0.11"), None, None)  # type: ignore[arg-type]
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    assert check_template_there(project, "train", machine) == ()

    def tokens(*names: str) -> None:
        (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": [{"content": n} for n in names]}))

    tokens("<|im_start|>", "<|im_end|>")
    assert check_template_there(project, "train", machine) == ()
    tokens("<|eot_id|>")
    with pytest.raises(ConfigError, match="does not fit tiny"):
        check_template_there(project, "train", machine)
    (folder / "tokenizer_config.json").write_text(json.dumps({"added": {"9": {"content": "<|im_end|>"}}}))
    assert check_template_there(project, "train", machine) == ()
    made["jobs"]["train"]["template"] = "alpaca"
    (note,) = check_template_there(parse_project(made), "train", machine)
    assert "<|im_end|>" in note
    assert check_template_there(project, "merge", machine) == ()
