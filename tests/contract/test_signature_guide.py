"""docs/guide/signatures.md is true: every command of it is run, and says what is printed there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kit.bundle.source import open_bundle
from tests.unit.bundle.factories import as_tarball, packed_bundle

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "signatures.md"

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH's client is not here")


@dataclass
class Step:
    """A command of the guide and the lines that it is said to print."""

    command: str
    lines: list[str] = field(default_factory=list)

    def is_printed(self, text: str) -> bool:
        patterns = (".*".join(map(re.escape, line.split("…"))) for line in self.lines)
        return all(re.search(f"^{pattern}$", text, re.MULTILINE) for pattern in patterns)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def steps_of(block: str) -> list[Step]:
    steps: list[Step] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            steps.append(Step(line[2:]))
        else:
            steps[-1].lines.append(line)
    return steps


class Machine:
    """A home, a bundle in the current folder, and kit on the path."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        self.here = folder / "here"
        packed_bundle(self.here)
        askpass = folder / "askpass"
        askpass.write_text("#!/bin/sh\necho correct horse\n")
        askpass.chmod(0o755)
        self.env = {
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SSH_ASKPASS": str(askpass),
            "SSH_ASKPASS_REQUIRE": "force",
        }

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.here,
            env=self.env,
            input="",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def follow(self, step: Step) -> None:
        done = self.run(step.command)
        assert done.returncode == 0, (step.command, done.stdout, done.stderr)
        assert step.is_printed(done.stdout + done.stderr), (step, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine on which the whole guide was followed, from top to bottom."""
    machine = Machine(tmp_path_factory.mktemp("guide"))
    policy = machine.home / ".config" / "airgap-kit" / "trust.yaml"
    for block in blocks("console"):
        steps = steps_of(block)
        if "kit verify" in block:
            policy.write_text(blocks("yaml")[0])
        if "crossing.tar" in block:
            as_tarball(open_bundle(machine.here / "bundle"), machine.here / "crossing.tar")
        for step in steps:
            machine.follow(step)
    return machine


def checks() -> list[str]:
    """The commands that check a bundle with plain tools and end with success or not."""
    found = [step.command for block in blocks("console") for step in steps_of(block)]
    return [command for command in found if "-Y verify" in command or "sha256sum" in command]


def test_the_whole_guide_can_be_followed(machine: Machine) -> None:
    assert len(checks()) == 5
    assert machine.run("kit inspect -b bundle").stdout.count("signed by release@example.com") == 1


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])


@pytest.fixture
def copy(machine: Machine, tmp_path: Path) -> Machine:
    """The same machine with a bundle of its own, to be spoiled."""
    other = object.__new__(Machine)
    other.home, other.env, other.here = machine.home, machine.env, tmp_path / "here"
    shutil.copytree(machine.here, other.here)
    return other


def failing(machine: Machine) -> list[str]:
    return [command for command in checks() if machine.run(command).returncode != 0]


def test_plain_tools_find_a_changed_manifest(copy: Machine) -> None:
    assert failing(copy) == []
    flip(copy.here / "bundle" / "kit.json")
    assert any("-Y verify" in command for command in failing(copy))


def test_plain_tools_find_a_changed_blob(copy: Machine) -> None:
    flip(max((copy.here / "bundle" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size))
    assert [command for command in failing(copy) if "--check" in command]


def test_plain_tools_find_a_changed_lock(copy: Machine) -> None:
    flip(copy.here / "bundle" / "kit.lock")
    assert [command for command in failing(copy) if "lock_digest" in command]


def test_plain_tools_find_a_foreign_blob(copy: Machine) -> None:
    foreign = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
    (copy.here / "bundle" / "blobs" / "sha256" / foreign).write_bytes(b"foo\n")
    (command,) = (
        step.command
        for block in blocks("console")
        for step in steps_of(block)
        if "is foreign" in step.command
    )
    assert copy.run(command).stdout == f"{foreign} is foreign\n"


def test_plain_tools_find_a_changed_tarball(copy: Machine) -> None:
    path, (command,) = copy.here / "crossing.tar", [text for text in checks() if "--to-command" in text]
    blob = max((copy.here / "bundle" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = path.read_bytes()
    place = data.index(blob.read_bytes()) + 100
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert copy.run(command).returncode != 0
