"""Run while the serve image is built: vLLM imports, and its extensions fit torch and the lock."""

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

SERVING = (
    "vllm.entrypoints.openai.api_server",
    "vllm.engine.arg_utils",
    "vllm.v1.engine.core",
    "vllm.model_executor.models.qwen2",
    "vllm.model_executor.models.qwen3",
    "transformers.models.qwen3.modeling_qwen3",
    "torch._inductor.compile_fx",
)
GPU_EXTENSIONS = ("vllm/_C.abi3.so", "vllm/_moe_C.abi3.so", "vllm/cumem_allocator.abi3.so")
GPU_MODULES = ("vllm._C", "vllm._moe_C", "vllm.v1.worker.gpu_worker", "triton.runtime.build")
CPU_EXTENSIONS = ("vllm/_C*.so",)
STAND_INS = ("vllm",)


def main() -> None:
    """Raise ProofError unless the image works."""
    facts = expected()
    prove_versions(facts["packages"], STAND_INS)
    prove_files()
    prove_requirements(tuple(facts["dropped"]))
    if facts["stack"] == "cpu":
        prove_symbols(*CPU_EXTENSIONS)
        prove_imports("torch", *SERVING, "vllm.v1.worker.cpu_worker", "vllm.v1.attention.backends.cpu_attn")
    else:
        prove_symbols(*GPU_EXTENSIONS)
        with TemporaryDirectory() as folder:
            stub = driver_stub(Path(folder), *(SITE / name for name in GPU_EXTENSIONS))
            prove_imports("torch", *GPU_MODULES, library_path=stub)
        prove_imports("torch", *SERVING)
    print(f"serve {facts['stack']}: proven, {len(facts['packages'])} packages")


if __name__ == "__main__":
    try:
        main()
    except ProofError as error:
        sys.exit(f"PROOF FAILED: {error}")
