"""Run after DeepSpeed's operators were added: they load, and fit torch."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from prove import SITE, ProofError, driver_stub, expected, prove_imports, prove_symbols

PATTERNS = ("deepspeed/ops/adam/*_op*.so",)
OPERATORS = ("deepspeed.ops.adam.cpu_adam_op", "deepspeed.ops.adam.fused_adam_op")


def main() -> None:
    """Raise ProofError unless the operators work."""
    facts = expected()
    prove_symbols(*PATTERNS)
    extensions = [path for pattern in PATTERNS for path in SITE.glob(pattern)]
    with TemporaryDirectory() as folder:
        stub = driver_stub(Path(folder), *extensions)
        prove_imports("torch", "deepspeed", *OPERATORS, library_path=stub)
    print(f"train {facts['stack']}: proven, {len(extensions)} operators of DeepSpeed")


if __name__ == "__main__":
    try:
        main()
    except ProofError as error:
        sys.exit(f"PROOF FAILED: {error}")
