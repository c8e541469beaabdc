"""Run while the train image is built: LLaMA-Factory and DeepSpeed start, and fit torch and the lock."""

from __future__ import annotations

import sys
from pathlib import Path

from prove import (
    ProofError,
    expected,
    prove_command,
    prove_files,
    prove_imports,
    prove_requirements,
    prove_versions,
)

LLAMAFACTORY = (
    "llamafactory.cli",
    "llamafactory.launcher",
    "llamafactory.train.tuner",
    "llamafactory.train.sft.workflow",
    "llamafactory.chat",
    "llamafactory.eval.evaluator",
)
TRAINING = (
    "torch.distributed.run",
    "torch.distributed.elastic.agent.server.local_elastic_agent",
    "deepspeed.runtime.engine",
    "deepspeed.runtime.zero.stage3",
    "deepspeed.runtime.zero.stage_1_and_2",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.models.qwen3.modeling_qwen3",
    "transformers.integrations.deepspeed",
    "peft.tuners.lora",
)


def main() -> None:
    """Raise ProofError unless the image works."""
    facts = expected()
    prove_versions(facts["packages"])
    prove_files()
    prove_requirements(tuple(facts["dropped"]))
    prove_imports("torch", *LLAMAFACTORY, *TRAINING)
    prove_command("llamafactory-cli", "version")
    if facts["stack"] == "cpu":
        prove_command(sys.executable, str(Path(__file__).with_name("smoke_exit.py")))
    print(f"train {facts['stack']}: proven, {len(facts['packages'])} packages")


if __name__ == "__main__":
    try:
        main()
    except ProofError as error:
        sys.exit(f"PROOF FAILED: {error}")
