"""What `kit check` and `kit up` say of a driver, a card or a flag: this machine, with a host's programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.bundle.manifest import Blob, Image, Layer, Manifest, dump_manifest
from tests.factories import project_document

REQUIRE = "cuda>=12.6 brand=tesla,driver>=535,driver<536 brand=quadrortx,driver>=550,driver<551"
GEFORCE, DATA_CENTRE = "NVIDIA GeForce RTX 4090", "NVIDIA A100-SXM4-80GB"
NVIDIA_SMI = "#!/bin/sh\necho '0, GPU-1, {card}, 81920, {driver}'\n"
DOCKER = """#!/bin/sh
case "$*" in
  "version"*) echo 24.0.7 ;;
  *Runtimes*) echo '{{"nvidia": {{}}, "runc": {{}}}}' ;;
  "info"*) echo /var/lib/docker ;;
  *"image ls"*--quiet*) echo 0123456789ab ;;
  *"image inspect"*) echo 'kit:image_env {tag} NVIDIA_REQUIRE_CUDA={require}' ;;
  "compose version"*) echo 2.24.0 ;;
  *) exit 1 ;;
esac
"""


def _manifest() -> Manifest:
    blob = Blob("sha256:" + "1" * 64, 10)
    layer = Layer("sha256:" + "2" * 64, 10, "sha256:" + "3" * 64, 40)
    images = tuple(Image(name, blob, blob, (layer,)) for name in ("kit", "serve"))
    return Manifest("demo", "cu126", "0.1.0", "sha256:" + "4" * 64, "2026-05-01T12:30:00Z", images, (), ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project for this machine, to which a bundle was shipped."""
    current = tmp_path / "root" / "bundles" / "current.json"
    current.parent.mkdir(parents=True)
    current.write_bytes(dump_manifest(_manifest()))
    return tmp_path


def kit(
    folder: Path, *words: str, driver: str, card: str = DATA_CENTRE, require: str = "", **job: Any
) -> tuple[int, str, str]:
    """Run a command; return its exit code, what it printed, and what it complained of."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (tag,) = (image.identity_tag for image in _manifest().images if image.name == "serve")
    texts = {
        "nvidia-smi": NVIDIA_SMI.format(card=card, driver=driver),
        "docker": DOCKER.format(tag=tag, require=require),
    }
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    serve = {"kind": "serve", "model": "tiny", "hosts": ["gpu1"], **job}
    gpu1 = {"address": "local", "gpus": 1, "root": str(folder / "root")}
    document = project_document(stack="cu126", hosts={"gpu1": gpu1}, jobs={"serve": serve})
    (folder / "kit.yaml").write_text(yaml.safe_dump(document))
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    argv = (sys.executable, "-m", "kit", *words, "-f", str(folder / "kit.yaml"))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    return done.returncode, done.stdout, done.stderr


def failures(folder: Path, code: str, **setting: Any) -> list[str]:
    """Return the findings of that code which make a host unfit."""
    status, printed, _ = kit(folder, "check", "--json", **setting)
    found = [item for item in json.loads(printed)["findings"] if item["level"] == "fail"]
    assert status == (5 if found else 0)
    return [f"{item['text']} -> {item['fix']}" for item in found if item["code"] == code]


@pytest.mark.parametrize(
    ("driver", "refused"), [("470.199.02", True), ("524.99", True), ("525.60.13", False)]
)
def test_check_refuses_a_driver_below_525(folder: Path, driver: str, refused: bool) -> None:  # noqa: FBT001
    found = failures(folder, "driver", driver=driver)
    if not refused:
        assert found == []
        return
    (text,) = found
    assert f"NVIDIA driver {driver} cannot run CUDA 12.6: CUDA 12 needs driver 525 or newer" in text
    assert "install NVIDIA driver 525 or newer" in text


def test_up_refuses_a_driver_below_525_before_anything_starts(folder: Path) -> None:
    status, _, said = kit(folder, "up", "serve", driver="470.199.02")
    assert status == 5
    assert "NVIDIA driver 470.199.02 cannot run CUDA 12.6" in said
    assert not (folder / "root" / "runs").exists()


def test_check_refuses_a_geforce_that_the_image_will_not_run_on(folder: Path) -> None:
    (text,) = failures(folder, "driver", driver="550.54.14", card=GEFORCE, require=REQUIRE)
    assert f"the container runtime will refuse {GEFORCE} with driver 550.54.14" in text
    assert 'set NVIDIA_DISABLE_REQUIRE: "1"' in text


@pytest.mark.parametrize(
    "setting",
    [
        {"env": {"NVIDIA_DISABLE_REQUIRE": "1"}},
        {"driver": "560.28.03"},
        {"card": DATA_CENTRE},
        {"require": ""},
    ],
    ids=["overridden", "newer driver", "data-centre card", "image without it"],
)
def test_a_geforce_that_will_run_is_fit(folder: Path, setting: dict[str, Any]) -> None:
    geforce = {"driver": "550.54.14", "card": GEFORCE, "require": REQUIRE}
    assert failures(folder, "driver", **(geforce | setting)) == []


def test_up_refuses_a_geforce_under_require_cuda(folder: Path) -> None:
    status, _, said = kit(folder, "up", "serve", driver="550.54.14", card=GEFORCE, require=REQUIRE)
    assert status == 5
    assert f"the container runtime will refuse {GEFORCE}" in said
    assert not (folder / "root" / "runs").exists()


def test_check_and_up_refuse_qwen3_as_such_for_vllm_0_8_5(folder: Path) -> None:
    args = {"reasoning-parser": "qwen3"}
    (text,) = failures(folder, "job", driver="535.104.05", args=args)
    assert "serve: vLLM 0.8.5.post1 has no reasoning parser qwen3" in text
    status, _, said = kit(folder, "up", "serve", driver="535.104.05", args=args)
    assert status == 2
    assert "jobs.serve.args.reasoning-parser: vLLM 0.8.5.post1 has no reasoning parser qwen3" in said
    assert failures(folder, "job", driver="535.104.05", reasoning="qwen3") == []
