"""Trainings of stack cu126 that are carried to a machine with GPUs and run there without a container.

python -m tests.jobs.carried render FOLDER --model MODEL [--gpus 2]
    writes the rows as kit renders them, their data and the model (bundles/demo/make_model.py makes one);
    FOLDER/run.py runs them on a machine that has the stack's packages, and writes FOLDER/results.json.
python -m tests.jobs.carried page RESULTS.json...
    prints docs/measurements/gpus.md out of that.

A row's command, arguments, DeepSpeed's JSON and environment are those of the compose file; what the compose
file mounts are links there.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.jobs.make_launch import make_launch
from kit.project.load import parse_project
from tests.jobs.data import write_datasets
from tests.jobs.trainings import training
from tests.unit.jobs.launch_factories import RUN_ID, context_of, gpus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = "/aisys/kit"
HALF: dict[str, Any] = {"bf16": True}
SHORT = {**HALF, "max_new_tokens": 16}
SHARDED = {"fsdp": "full_shard auto_wrap", **HALF}
JUDGE = "judge"
"""The row that trains the reward model of those after it."""


def _rows() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield (name, job, jobs that it refers to)."""
    one: dict[str, Any] = {"hosts": ["gpu1"]}
    adapter, whole = (training("rm", method, HALF, **one) for method in ("lora", "full"))
    judged = {**one, "reward": JUDGE}
    yield "sft × lora, DDP", training("sft", "lora", HALF, **one), {}
    yield "sft × full, DDP", training("sft", "full", HALF, **one), {}
    for bits in (4, 8):
        args = {"quantization_bit": bits, **HALF}
        yield f"sft × qlora, bitsandbytes {bits} bit", training("sft", "lora", args, **one), {}
    yield "sft × full, ZeRO-2", training("sft", "full", HALF, zero=2, **one), {}
    yield "sft × full, ZeRO-3", training("sft", "full", HALF, zero=3, **one), {}
    offloaded = training("sft", "full", HALF, zero=3, offload="all", **one)
    yield "sft × full, ZeRO-3, offload all", offloaded, {}
    yield "sft × lora, fp16", training("sft", "lora", {"fp16": True}, **one), {}
    yield "sft × lora, Liger", training("sft", "lora", {"enable_liger_kernel": True, **HALF}, **one), {}
    yield "sft × lora, flash_attn sdpa", training("sft", "lora", {"flash_attn": "sdpa", **HALF}, **one), {}
    yield "sft × full, FSDP", training("sft", "full", SHARDED, **one), {}
    spread = {**SHARDED, "fsdp": "full_shard auto_wrap offload"}
    yield "sft × lora, FSDP, offload", training("sft", "lora", spread, **one), {}
    for stage in ("dpo", "kto", "orpo"):
        yield f"{stage} × lora", training(stage, "lora", HALF, **one), {}
    yield "pt × full", training("pt", "full", HALF, **one), {}
    yield JUDGE, adapter, {}
    for method in ("lora", "full"):
        name = f"ppo × {method}, the reward adapter of another job"
        yield name, training("ppo", method, SHORT, **judged), {JUDGE: adapter}
    yield JUDGE, whole, {}
    yield (
        "ppo × lora, the whole reward model of another job",
        training("ppo", "lora", SHORT, **judged),
        {JUDGE: whole},
    )


def render(folder: Path, model: Path, count: int) -> int:
    """Write every row and what it reads; return how many there are."""
    tree = folder / "root"
    datasets = write_datasets(tree)
    for name, entry in datasets.items():
        place = tree / "datasets" / name
        place.mkdir(parents=True)
        (tree / str(entry["path"])).rename(place / Path(str(entry["path"])).name)
    shutil.copytree(model, tree / "models" / "tiny")
    host = {"address": "10.77.0.11", "user": "ops", "root": ROOT, "gpus": count}
    document = {
        "version": 1,
        "name": "carried",
        "stack": "cu126",
        "images": ["train"],
        "models": {"tiny": {"source": "folder", "path": "model"}},
        "datasets": datasets,
        "hosts": {"gpu1": host},
    }
    rows = list(_rows())
    for number, (name, job, others) in enumerate(rows):
        project = parse_project({**document, "jobs": {"row": job, **others}})
        context = context_of(project, gpus=gpus(count), nvidia_runtime=True)
        place = folder / "rows" / f"{number:02}"
        for file in make_launch(project, "row", RUN_ID, context).hosts[0].files:
            path = place / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.content, encoding="utf-8")
        (place / "NAME").write_text(name, encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name("inside") / "run_carried.py", folder / "run.py")
    return len(rows)


HEAD = """\
# Trainings of stack cu126 on GPUs

The launches that kit renders for stack `cu126`, run on {machine}: four steps of a model of 1 MB, two ranks
that torchrun started and NCCL joined, one for each GPU. Command, arguments, DeepSpeed's JSON and environment
are those of the rendered compose file. There was no container, since the machine had no engine: what the
compose file mounts were links. LLaMA-Factory and what it stands on were the stack's own releases
({versions}),
but PyTorch {torch} and bitsandbytes {bitsandbytes} stood in for 2.6.0 and 0.45.5, and LLaMA-Factory's
check of releases was off. So it shows that what kit writes is understood and computes on GPUs. It measures
nothing, and no image of the stack was run.

Written by `python -m tests.jobs.carried`. Seconds are those of the whole command, Python's start included.

| training | ranks | loss | seconds |
| --- | --- | --- | ---: |
"""


def page(results: Iterable[dict[str, Any]]) -> str:
    """Return the page of these results, each as `run.py` writes it; a row that failed says so."""
    found = list(results)
    about = found[0]["about"]
    versions = ", ".join(f"{name} {release}" for name, release in about["pinned"].items())
    head = HEAD.format(
        machine=about["machine"], torch=about["torch"], bitsandbytes=about["bitsandbytes"], versions=versions
    )
    rows = {_name(row["row"], row["method"]): row for result in found for row in result["rows"]}
    known = [_name(name, job["args"]["finetuning_type"]) for name, job, _ in _rows()]
    lines = [_line(name, rows[name]) for name in known if name in rows]
    left = "; ".join(f"`{name}`" for name in known if name not in rows)
    return f"{head}{''.join(lines)}\n{len(lines)} rows, run {about['day']}. Not run: {left or 'none'}.\n"


def _name(row: str, method: str) -> str:
    return f"rm × {method}" if row == JUDGE else row


def _line(name: str, row: dict[str, Any]) -> str:
    ranks = "; ".join(f"{rank} of {world} on {device}, {kind}" for rank, world, device, kind in row["ranks"])
    losses = row["losses"]
    loss = f"{losses[0]:.3f} → {losses[-1]:.3f}" if losses and row["status"] == 0 else "FAILED"
    return f"| {name} | {ranks} | {loss} | {row['seconds']:.0f} |\n"


def main() -> None:
    """Render or print."""
    parser = argparse.ArgumentParser(prog="python -m tests.jobs.carried")
    parts = parser.add_subparsers(dest="what", required=True)
    rendering = parts.add_parser("render")
    rendering.add_argument("folder", type=Path)
    rendering.add_argument("--model", type=Path, required=True)
    rendering.add_argument("--gpus", type=int, default=2)
    parts.add_parser("page").add_argument("results", type=Path, nargs="+")
    chosen = parser.parse_args()
    if chosen.what == "render":
        print(f"{render(chosen.folder, chosen.model, chosen.gpus)} rows in {chosen.folder}")
        return
    print(page(json.loads(path.read_text(encoding="utf-8")) for path in chosen.results), end="")


if __name__ == "__main__":
    main()
