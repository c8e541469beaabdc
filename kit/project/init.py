"""What `kit init` writes: a kit.yaml to start from. Pure."""

from __future__ import annotations

STARTER = """\
# What kit carries across the air gap, and what it launches there.
# Every key: docs/reference/kit.yaml.md
version: 1
name: {name}
stack: {stack}                 # cu126: NVIDIA GPUs; cpu: machines without one

# Where to fetch from, when the public defaults are out of reach (used online only):
# mirrors: {{pip: https://…, apt: http://…, registry: registry.example, hub: https://…}}

images: [train, serve]

models:
  base: {{source: {source}}}

datasets:
  notes: {{path: data/notes.json, format: alpaca}}

hosts:
  gpu1: {{address: 10.0.0.11, user: ops, gpus: {gpus}, root: /aisys/kit}}
  gpu2: {{address: 10.0.0.12, user: ops, gpus: {gpus}, root: /aisys/kit}}

jobs:
  train:
    kind: train
    model: base
    datasets: [notes]
    hosts: [gpu1, gpu2]
    zero: {zero}
    args: {{finetuning_type: lora, lora_rank: 16, lora_target: all, cutoff_len: 2048, num_train_epochs: 3}}
  merge: {{kind: export, from: train}}
  serve: {{kind: serve, model: merge, hosts: [gpu1], tensor_parallel: {tensor_parallel}, max_model_len: 4096}}
"""

EXAMPLE_DATA = """\
[
  {"instruction": "What does kit carry?", "input": "", "output": "Verified bytes, across an air gap."},
  {"instruction": "kit 是做什么的？", "input": "", "output": "把训练和推理环境带到没有网络的机器上。"}
]
"""


def starter_files(stack: str, name: str) -> dict[str, str]:
    """Return path → text of the files that `kit init` writes for a stack."""
    cpu = stack == "cpu"
    text = STARTER.format(
        name=name,
        stack=stack,
        source="folder, path: model" if cpu else "modelscope, repo: Qwen/Qwen3-32B, revision: v1.0.0",
        gpus=0 if cpu else 4,
        zero=2 if cpu else 3,
        tensor_parallel=1 if cpu else 4,
    )
    return {"kit.yaml": text, "data/notes.json": EXAMPLE_DATA}
