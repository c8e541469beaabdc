"""Run while the serve-sglang image is built: SGLang imports, and its extensions fit torch and the lock."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from prove import (
    SITE,
    ProofError,
    driver_stub,
    expected,
    prove_files,
    prove_imports,
    prove_requirements,
    prove_symbols,
    prove_versions,
)

# Without a GPU SGLang's server takes vLLM's kernels, which are not here: it is imported on a host alone.
SERVING = ("sglang", "sglang.srt.server_args", "triton.runtime.build")
EXTENSIONS = ("sgl_kernel/*.so",)


def main() -> None:
    """Raise ProofError unless the image works."""
    facts = expected()
    prove_versions(facts["packages"])
    prove_files()
    prove_requirements(tuple(facts["dropped"]))
    prove_symbols(*EXTENSIONS)
    extensions = [path for pattern in EXTENSIONS for path in SITE.glob(pattern)]
    with TemporaryDirectory() as folder:
        stub = driver_stub(Path(folder), *extensions)
        prove_imports("torch", "sgl_kernel", *SERVING, library_path=stub)
    print(f"serve-sglang {facts['stack']}: proven, {len(facts['packages'])} packages")


if __name__ == "__main__":
    try:
        main()
    except ProofError as error:
        sys.exit(f"PROOF FAILED: {error}")
