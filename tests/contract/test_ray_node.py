"""The hosts of a served model meet: ray_node.py with a `ray` that writes down what it is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.data_files import data_folder

SCRIPT = data_folder("templates") / "serve" / "ray_node.py"
PROGRAM = """#!/bin/sh
printf '%s\\n' "$*" >> "$(dirname "$0")/told"
"""
# The second question finds all GPUs.
LIBRARY = """
asked = []
def init(**words): open(__file__ + ".init", "w").write(repr(words))
def cluster_resources():
    asked.append(1)
    return {"GPU": 4.0 * len(asked)}
def shutdown(): pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ray").write_text(PROGRAM)
    (tmp_path / "ray").chmod(0o755)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "ray.py").write_text(LIBRARY)
    return tmp_path


def _start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PATH": f"{folder}:/usr/bin:/bin", "PYTHONPATH": str(folder / "lib")}
    return subprocess.Popen((sys.executable, str(SCRIPT), *words), env=env, stdout=subprocess.PIPE)


def test_the_head_becomes_the_engine_once_all_gpus_are_there(folder: Path) -> None:
    node = _start(folder, "head", "10.0.0.11", "6379", "4", "8", "sh", "-c", 'echo "$RAY_ADDRESS $0"', "tiny")
    out, _ = node.communicate(timeout=30)
    assert (node.returncode, out) == (0, b"10.0.0.11:6379 tiny\n")
    assert (folder / "told").read_text() == (
        "start --head --node-ip-address=10.0.0.11 --port=6379 --num-gpus=4 --include-dashboard=false"
        " --disable-usage-stats\n"
    )
    assert (
        folder / "lib" / "ray.py.init"
    ).read_text() == "{'address': '10.0.0.11:6379', 'log_to_driver': False}"


def test_a_worker_waits_until_the_head_listens(folder: Path) -> None:
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        port = str(head.getsockname()[1])
        node = _start(folder, "worker", "127.0.0.1", port, "10.0.0.12", "4")
        time.sleep(1.5)
        assert node.poll() is None
        assert not (folder / "told").exists()
        head.listen()
        assert node.wait(30) == 0
    told = (folder / "told").read_text()
    where = f"--address=127.0.0.1:{port} --node-ip-address=10.0.0.12"
    assert told == f"start --block {where} --num-gpus=4 --disable-usage-stats\n"
