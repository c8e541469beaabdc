"""Measures a served model with the engine's own benchmark, several loads in turn; sent by kit.

Runs in the container that serves: `python3 - SPEC`, SPEC in JSON. A line that begins with MARK is a result.
"""

import argparse
import json
import os
import runpy
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

MARK = "kit-bench "
KEY = Path("/kit/run/secret/api-key")


def vllm(words: list[str], folder: str) -> dict[str, object]:
    """Run `vllm bench serve` and return what it found."""
    from vllm.benchmarks.serve import add_cli_args, main

    parser = argparse.ArgumentParser()
    add_cli_args(parser)
    more = ["--save-result", f"--result-dir={folder}", "--result-filename=result.json"]
    main(parser.parse_args([*words, *more]))
    found: dict[str, object] = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
    return found


def sglang(words: list[str], folder: str) -> dict[str, object]:
    """Run `python -m sglang.bench_serving` and return what it found."""
    file = Path(folder) / "result.jsonl"
    sys.argv = ["sglang.bench_serving", *words, f"--output-file={file}"]
    runpy.run_module("sglang.bench_serving", run_name="__main__", alter_sys=True)
    found: dict[str, object] = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])
    return found


def measure(spec: dict[str, list]) -> None:
    """Print a line for each load."""
    if KEY.is_file():
        os.environ["OPENAI_API_KEY"] = KEY.read_text(encoding="utf-8").strip()
    run = {"vllm": vllm, "sglang": sglang}[spec["engine"]]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        # What an engine compiles or allocates at its first requests is no part of how fast it is.
        run([*spec["words"], *spec["warm_up"]], folder)
    for load in spec["loads"]:
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
            found = run([*spec["words"], *load], folder)
        plain = {key: value for key, value in found.items() if isinstance(value, (int, float))}
        print(MARK + json.dumps(plain), flush=True)


if __name__ == "__main__":
    measure(json.loads(sys.argv[1]))
