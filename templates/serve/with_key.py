"""Starts an engine with the API key of a file; written by kit.

So the key stands in no command line, no compose file, and nothing that the engine of containers tells.
"""

import os
import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    key = (Path(__file__).parent / "secret" / "api-key").read_text(encoding="utf-8").strip()
    module = sys.argv.pop(1)
    if module.startswith("vllm"):
        os.environ["VLLM_API_KEY"] = key
    elif module.startswith("llamafactory"):
        os.environ["API_KEY"] = key
    else:
        sys.argv += ["--api-key", key]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
