"""The ready-made GPU definitions as they stand, on a machine without hosts or network: planned and locked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.gpu_crossing import BIG, OFFLINE, SMALL, compose_of
from tests.e2e.journey import REPOSITORY

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
JOBS = [(BIG, job) for job in ("train", "merge", "serve", "data")]
JOBS += [(SMALL, job) for job in ("train", "merge", "serve")]


@pytest.mark.parametrize(("bundle", "job"), JOBS)
def test_every_job_is_planned_without_a_host(bundle: str, job: str, tmp_path: Path) -> None:
    planned = json.loads(_kit(_copy(bundle, tmp_path), "plan", job, "--offline", "--json").stdout)
    for host in planned["plan"]:
        service = compose_of(host)
        assert service["pull_policy"] == "never"
        assert OFFLINE.items() <= service["environment"].items()
        gpus = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        assert [device["count"] for device in gpus] == ([4] if job in ("train", "serve") else [])
        assert service["restart"] == ("unless-stopped" if job == "data" else "no")


@pytest.mark.parametrize(("bundle", "more"), [(BIG, ["data"]), (SMALL, [])])
def test_a_lock_without_a_network_names_what_is_pending(bundle: str, more: list[str], tmp_path: Path) -> None:
    folder = _copy(bundle, tmp_path / "one")
    locked = json.loads(_kit(folder, "lock", "--offline", "--json").stdout)
    pending = [text.partition(": ") for text in locked["pending"]]
    assert {name for name, _, _ in pending} >= {"kit", "train", "serve", "qwen3-32b", *more}
    assert all(
        text.startswith(("digest of ", "torch==", "the files of modelscope:")) for _, _, text in pending
    )
    elsewhere = _copy(bundle, tmp_path / "elsewhere")
    _kit(elsewhere, "lock", "--offline", "--json")
    first, second = (json.loads((place / "kit.lock").read_bytes()) for place in (folder, elsewhere))
    assert first | {"locked": ""} == second | {"locked": ""}
    refused = _kit(folder, "bundle", check=False)
    assert refused.returncode == 2
    assert "kit lock, on a machine with a network" in refused.stderr
    assert "modelscope:Qwen/Qwen3-32B at v1.0.0" in refused.stderr


def _copy(bundle: str, folder: Path) -> Path:
    shutil.copytree(REPOSITORY / "bundles" / bundle, folder, dirs_exist_ok=True)
    return folder


def _kit(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    argv = (sys.executable, "-m", "kit", *words, "-f", str(folder / "kit.yaml"))
    return subprocess.run(argv, capture_output=True, text=True, check=check)
