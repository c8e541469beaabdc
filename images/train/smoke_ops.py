"""Run after DeepSpeed's operators were compiled: they load and fit torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from prove import SITE, ProofError, driver_stub, expected, prove_imports, prove_symbols

PATTERNS = ("deepspeed/ops/adam/*_op*.so", "deepspeed/ops/comm/*_op*.so")


def prove_noted(extensions: list[Path]) -> None:
    """Raise ProofError unless DeepSpeed knows of the operators; else it would compile them on the host."""
    code = "from deepspeed.git_version_info_installed import installed_ops as ops; print(sum(ops.values()))"
    said = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)
    if said.stdout.split()[-1:] != [str(len(extensions))]:
        raise ProofError(f"DeepSpeed does not know its operators: {said.stdout}{said.stderr}")


def main() -> None:
    """Raise ProofError unless the operators work."""
    facts = expected()
    prove_symbols(*PATTERNS)
    extensions = [path for pattern in PATTERNS for path in sorted(SITE.glob(pattern))]
    modules = [str(path.relative_to(SITE)).split(".")[0].replace("/", ".") for path in extensions]
    with TemporaryDirectory() as folder:
        stub = driver_stub(Path(folder), *extensions)
        prove_imports("torch", "deepspeed", *modules, library_path=stub)
    prove_noted(extensions)
    print(f"train {facts['stack']}: proven, operators {', '.join(modules)}")


if __name__ == "__main__":
    try:
        main()
    except ProofError as error:
        sys.exit(f"PROOF FAILED: {error}")
