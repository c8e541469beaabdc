"""Runs trainings that `tests.jobs.carried` rendered, where LLaMA-Factory and GPUs are: run.py [NUMBER...]."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = Path("/aisys/kit")
RUN = Path("/kit/run")
LIMIT = 120
PINNED = (
    "llamafactory",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "datasets",
    "deepspeed",
    "liger-kernel",
)
RANK = re.compile(r"Process rank: (\d+), world size: (\d+), device: (\S+?),.*?compute dtype: torch\.(\w+)")


def about() -> dict[str, Any]:
    """Return what this machine is and holds."""
    import torch

    name, count = torch.cuda.get_device_name(0), torch.cuda.device_count()
    return {
        "machine": f"{count} {name}" if count > 1 else name,
        "torch": torch.__version__,
        "bitsandbytes": version("bitsandbytes"),
        "pinned": {name: version(name) for name in PINNED},
        "day": f"{datetime.now(timezone.utc):%Y-%m-%d}",
    }


def mount(service: dict[str, Any], row: Path) -> None:
    """Lay links where the compose file mounts something; the run's folder is a fresh copy of the row."""
    for volume in service["volumes"]:
        source, target = Path(volume["source"]), Path(volume["target"])
        if target.parts[1] == "etc":
            continue  # this machine's own stays
        if target == RUN:
            shutil.rmtree(source, ignore_errors=True)
            shutil.copytree(row, source)
            for name in ("out", "logs", "home/.config", "cache"):
                (source / name).mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        target.symlink_to(source)


def run(row: Path) -> dict[str, Any]:
    """Run one row to its end; return what became of it."""
    service = yaml.safe_load((row / "compose.yaml").read_text(encoding="utf-8"))["services"]["train"]
    arguments = yaml.safe_load((row / "train.yaml").read_text(encoding="utf-8"))
    mount(service, row)
    env = {**os.environ, **{name: str(value) for name, value in service["environment"].items()}}
    command = [*service["entrypoint"], *service["command"]]
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            env=env,
            cwd=RUN,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
        status, said = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        status, said = -1, (error.stdout or b"").decode(errors="replace")
    log = RUN / "out" / "trainer_log.jsonl"
    steps = (
        [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    )
    if status:
        print(said[-1500:], flush=True)
    return {
        "row": (row / "NAME").read_text(encoding="utf-8"),
        "method": arguments["finetuning_type"],
        "status": status,
        "seconds": round(time.monotonic() - started, 1),
        "losses": [step["loss"] for step in steps if "loss" in step],
        "ranks": sorted(set(RANK.findall(said))),
    }


def main() -> None:
    """Run the rows that are named, or all."""
    if not ROOT.exists():
        shutil.copytree(HERE / "root", ROOT)
    found = []
    for row in sorted((HERE / "rows").iterdir()):
        if sys.argv[1:] and row.name not in sys.argv[1:]:
            continue
        found.append(run(row))
        print(row.name, json.dumps(found[-1], ensure_ascii=False), flush=True)
        if found[-1]["row"] == "judge" and found[-1]["status"] == 0:
            made = ROOT / "runs" / "judge" / "20251231-000000-0000" / "out"
            shutil.rmtree(made, ignore_errors=True)
            shutil.copytree(RUN / "out", made)
        text = json.dumps({"about": about(), "rows": found}, indent=1, ensure_ascii=False)
        (HERE / "results.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
