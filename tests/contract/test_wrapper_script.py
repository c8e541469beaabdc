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
    words = told(tmp_path, (), NAME=name, NUMBER=number)
    assert words[words.index("--user") + 1] == user
    assert f"USER={name if name != 'root' else 'ops'}" in words
    assert "sudo" not in words
    assert f"{tmp_path}/{'ops' if name == 'root' else 'caller'}/.ssh:/home/kit/.ssh:ro" in words


def told(tmp_path: Path, words: tuple[str, ...], cwd: Path | None = None, **env: str) -> list[str]:
    """Run the wrapper; return the words that docker gets."""
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
        "NAME": "eve",
        "NUMBER": "7",
        **env,
    }
    wrapper = tmp_path / "kit"
    wrapper.write_bytes(wrapper_script(str(tmp_path / "root"), "kit:1", str(tmp_path)))
    argv = ("sh", str(wrapper), *words)
    done = subprocess.run(argv, cwd=cwd or "/", env=environment, capture_output=True, check=True)
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize(
    ("verb", "mode"), [("load", "ro"), ("verify", "rw"), ("inspect", "rw"), ("recover", "rw")]
)
def test_a_medium_is_there_under_its_own_name(tmp_path: Path, verb: str, mode: str) -> None:
    medium = tmp_path / "my disk"
    medium.mkdir()
    words = told(tmp_path, (verb, "-b", f"{medium}/crossing.tar", "--json"))
    assert f"{medium}:{medium}:{mode}" in words
    assert words[words.index("kit:1") + 1 :] == [verb, "-b", f"{medium}/crossing.tar", "--json"]


def test_a_folder_is_mounted_once_and_what_kit_has_anyway_is_not(tmp_path: Path) -> None:
    medium = tmp_path / "disk"
    (medium / "bundle").mkdir(parents=True)
    words = told(tmp_path, ("load", f"{medium}/bundle", "-f", f"{medium}/bundle/kit.yaml"))
    assert words.count(f"{medium}/bundle:{medium}/bundle:ro") == 1
    (tmp_path / "root").mkdir(exist_ok=True)
    words = told(tmp_path / "again", ("load", f"{tmp_path}/again/root/x.tar"))
    assert not [word for word in words if word.endswith(":ro") and "/root" in word]


def test_loading_from_the_folder_one_stands_in_cannot_change_it(tmp_path: Path) -> None:
    medium = tmp_path / "disk"
    medium.mkdir()
    assert f"{medium}:{medium}:ro" in told(tmp_path, ("load", "crossing.tar"), medium)
    assert f"{medium}:{medium}:rw" in told(tmp_path / "again", ("status",), medium)


@pytest.mark.parametrize("place", ["/crossing.tar", "/opt/crossing.tar", "/usr/share/crossing.tar"])
def test_a_folder_of_the_image_is_seen_in_the_hosts_root(tmp_path: Path, place: str) -> None:
    words = told(tmp_path, ("load", place))
    assert words[words.index("kit:1") + 1 :] == ["load", f"/host{place}"]
    assert not [word for word in words if word.endswith(":ro") and ".ssh" not in word]


def test_groups_of_the_caller_open_media_to_kit(tmp_path: Path) -> None:
    words = told(tmp_path, ("load", "/srv/crossing.tar"))
    assert [words[i + 1] for i, word in enumerate(words) if word == "--group-add"] == ["1001", "7"]
    assert "7" not in told(tmp_path / "again", ("load", "/srv/x.tar"), NAME="root", NUMBER="0")


def test_whoever_is_not_in_the_engines_group_asks_sudo(tmp_path: Path) -> None:
    (tmp_path / "sudo").write_text('#!/bin/sh\nprintf "sudo %s\\n" "$*"\n')
    (tmp_path / "sudo").chmod(0o755)
    # Root may write every file but one that is not there.
    script = wrapper_script(str(tmp_path), "kit:1", str(tmp_path / "no-socket"))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(["sh"], input=script, env=environment, capture_output=True, check=True)
    assert done.stdout.startswith(b"sudo docker run ")
