"""ROOT/bin/kit, run by a real shell: whom it acts as."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kit.ship.wrapper_script import wrapper_script

TOLD = {
    "docker": 'printf "%s\\n" "$@"',
    "id": "case $1 in -un) echo $NAME ;; *) echo $NUMBER ;; esac",
    "stat": "case $3 in %U) echo ops ;; *) echo 1001 ;; esac",
    "getent": 'echo "ops:x:1001:1001::$OPS_HOME:/bin/sh"',
}


@pytest.mark.parametrize(
    ("name", "number", "user"),
    [("root", "0", "1001:1001"), ("ops", "1001", "1001:1001"), ("eve", "7", "7:7")],
)
def test_root_acts_as_the_one_whom_the_folder_belongs_to(
    tmp_path: Path, name: str, number: str, user: str
) -> None:
    commands = tmp_path / "commands"
    for folder in (commands, tmp_path / "root", tmp_path / "ops/.ssh", tmp_path / "caller/.ssh"):
        folder.mkdir(parents=True)
    for command, script in TOLD.items():
        (commands / command).write_text(f"#!/bin/sh\n{script}\n")
        (commands / command).chmod(0o755)
    environment = {
        "PATH": f"{commands}:/usr/bin:/bin",
        "HOME": str(tmp_path / "caller"),
        "OPS_HOME": str(tmp_path / "ops"),
        "NAME": name,
        "NUMBER": number,
    }
    script = wrapper_script(str(tmp_path / "root"), "kit:1", str(tmp_path))
    done = subprocess.run(["sh"], input=script, env=environment, capture_output=True, check=True)
    words = done.stdout.decode().splitlines()
    assert words[words.index("--user") + 1] == user
    assert f"USER={name if name != 'root' else 'ops'}" in words
    assert "sudo" not in words
    assert f"{tmp_path}/{'ops' if name == 'root' else 'caller'}/.ssh:/home/kit/.ssh:ro" in words


def test_whoever_is_not_in_the_engines_group_asks_sudo(tmp_path: Path) -> None:
    (tmp_path / "sudo").write_text('#!/bin/sh\nprintf "sudo %s\\n" "$*"\n')
    (tmp_path / "sudo").chmod(0o755)
    # Root may write every file but one that is not there.
    script = wrapper_script(str(tmp_path), "kit:1", str(tmp_path / "no-socket"))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(["sh"], input=script, env=environment, capture_output=True, check=True)
    assert done.stdout.startswith(b"sudo docker run ")
