"""Run by `tests/setup/test_wheel.sh` beside an installed wheel; skipped in a checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

BIN = os.environ.get("KIT_WHEEL", "")
pytestmark = pytest.mark.skipif(not BIN, reason="no installed wheel: run tests/setup/test_wheel.sh")


@pytest.mark.parametrize("command", ["kit", "airgap-kit"])
def test_both_commands_answer(command: str) -> None:
    done = subprocess.run([f"{BIN}/{command}", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("kit ")


def test_the_wheel_brings_images_templates_and_bundles() -> None:
    import kit
    from kit.data_files import data_folder

    package = Path(kit.__file__).parent
    for name, member in (("images", "stacks.yaml"), ("templates", "compose"), ("bundles", "demo/kit.yaml")):
        folder = data_folder(name)
        assert folder.is_relative_to(package)
        assert (folder / member).exists()


def test_init_and_dry_run_work_away_from_the_checkout(tmp_path: Path) -> None:
    subprocess.run([f"{BIN}/kit", "init", "--stack", "cu126"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "kit.yaml").is_file()
