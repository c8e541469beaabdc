"""What LLaMA-Factory's own parser makes of a file of arguments; run by the Python of a train image.

python ask_llamafactory.py FILE prints `PARSED ` and JSON, argument → value. Its checks are those of one rank
of a training; told it is only that the GPU knows bfloat16. What would run next is imported.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

import transformers.training_args
import yaml

transformers.training_args.is_torch_bf16_gpu_available = lambda: True

from llamafactory.hparams import get_infer_args, get_train_args  # noqa: E402 - after what it is told

PROGRAMS = {"api": "llamafactory.api.app", "chat": "llamafactory.chat.hf_engine"}
"""File → what reads it; a training's is that of its stage."""

path = Path(sys.argv[1])
given = yaml.safe_load(path.read_text(encoding="utf-8"))
parsed = {}
for part in (get_train_args if path.stem == "train" else get_infer_args)(dict(given)):
    parsed.update(vars(part))
import_module(PROGRAMS.get(path.stem) or f"llamafactory.train.{parsed['stage']}.workflow")
print("PARSED", json.dumps({name: parsed[name] for name in given}, default=str))
