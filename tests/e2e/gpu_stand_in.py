"""What stands for LLaMA-Factory, vLLM and easy-dataset inside a container.

Writes down how it was started, checks what the real program would trip over (mounts, ranks, the
number of GPUs), and leaves what the real one would leave. Runs in images made from kit's own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RUN = Path("/kit/run")
WEIGHTS = "model.safetensors"
ADAPTER = "adapter_model.safetensors"
MEETING_SECONDS = 60
STEPS = 3


def write_down(path: Path) -> None:
    started = {"argv": sys.argv, "environment": dict(os.environ), "uid": os.getuid()}
    path.write_text(json.dumps(started), encoding="utf-8")


def require_gpus(count: int) -> None:
    """Stop as CUDA does when a rank has no GPU of its own."""
    given = [card for card in os.environ.get("NVIDIA_VISIBLE_DEVICES", "").split(",") if card]
    if len(given) != count:
        sys.exit(f"{count} ranks, and the container was given {len(given)} GPUs: {given}")


def read_arguments(path: str) -> dict[str, Any]:
    import yaml

    return dict(yaml.safe_load(Path(path).read_text(encoding="utf-8")))


def llamafactory() -> None:
    """`llamafactory-cli train|export FILE`."""
    write_down(RUN / "logs" / "started.json")
    verb, file = sys.argv[1:]
    {"train": train, "export": export}[verb](read_arguments(file))


def train(arguments: dict[str, Any]) -> None:
    model = Path(arguments["model_name_or_path"])
    datasets = json.loads((Path(arguments["dataset_dir"]) / "dataset_info.json").read_text())
    samples = [json.loads(Path(datasets[name]["file_name"]).read_text()) for name in datasets]
    json.loads(Path(arguments["deepspeed"]).read_text())
    require_gpus(int(os.environ["NPROC_PER_NODE"]))
    ranks = meet()
    print(f"{model}: {ranks} ranks", flush=True)
    if os.environ["NODE_RANK"] == "0":
        leave_adapter(Path(arguments["output_dir"]), ranks, sum(map(len, samples)))


def meet() -> int:
    """Return how many ranks all nodes have together, told to node 0 at the address that all were given."""
    master = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    here, others = int(os.environ["NPROC_PER_NODE"]), int(os.environ["NNODES"]) - 1
    if os.environ["NODE_RANK"] == "0":
        # Binding fails unless the address is this host's own.
        with socket.create_server(master) as server:
            server.settimeout(MEETING_SECONDS)
            return here + sum(hear_ranks(server) for _ in range(others))
    own = (os.environ["PET_LOCAL_ADDR"], 0)
    until = time.monotonic() + MEETING_SECONDS
    while time.monotonic() < until:
        with suppress(ConnectionRefusedError):
            with socket.create_connection(master, timeout=5, source_address=own) as connection:
                connection.sendall(str(here).encode())
            return here
        time.sleep(0.2)
    sys.exit(f"nobody answers at {master}")


def hear_ranks(server: socket.socket) -> int:
    connection, _ = server.accept()
    with connection:
        return int(connection.recv(16))


def leave_adapter(out: Path, ranks: int, samples: int) -> None:
    lines = [
        {"current_steps": step, "total_steps": STEPS, "loss": 4.0 / step} for step in range(1, STEPS + 1)
    ]
    (out / "trainer_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (out / "all_results.json").write_text(json.dumps({"train_loss": 4.0 / STEPS, "epoch": 3.0}))
    (out / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    (out / ADAPTER).write_text(f"learnt from {samples} samples by {ranks} ranks\n")


def export(arguments: dict[str, Any]) -> None:
    model, adapter = Path(arguments["model_name_or_path"]), Path(arguments["adapter_name_or_path"])
    out = Path(arguments["export_dir"])
    shutil.copytree(model, out, copy_function=shutil.copyfile, dirs_exist_ok=True)
    with (out / WEIGHTS).open("a", encoding="utf-8") as weights:
        weights.write((adapter / ADAPTER).read_text(encoding="utf-8"))


def vllm() -> None:
    """`python3 -m vllm.entrypoints.openai.api_server`, with the flags of 0.8.5 that kit uses."""
    write_down(RUN / "logs" / "started.json")
    parser = argparse.ArgumentParser()
    for flag in ("model", "served-model-name", "host", "reasoning-parser"):
        parser.add_argument(f"--{flag}", required=True)
    for flag in ("port", "tensor-parallel-size", "max-model-len"):
        parser.add_argument(f"--{flag}", required=True, type=int)
    parser.add_argument("--gpu-memory-utilization", type=float)
    for flag in ("enable-reasoning", "disable-custom-all-reduce"):
        parser.add_argument(f"--{flag}", action="store_true")
    chosen = parser.parse_args()
    require_gpus(chosen.tensor_parallel_size)
    said = (Path(chosen.model) / WEIGHTS).read_text(encoding="utf-8").splitlines()[-1]
    answers = {"/v1/completions": b'{"choices": [{"text": "1"}]}', "/v1/chat/completions": stream(said)}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = self.path in answers and request["model"] == chosen.served_model_name
            reply(self, 200 if known else 404, answers[self.path] if known else b"no such model")

    ThreadingHTTPServer((chosen.host, chosen.port), Handler).serve_forever()


def stream(text: str) -> bytes:
    events = [{"choices": [{"delta": {"content": word + " "}}]} for word in text.split()]
    return (
        b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
    )


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def easy_dataset() -> None:
    """A web page, once the database's schema is where the real one needs it."""
    schema = Path("/app/prisma/schema.prisma").read_bytes()
    starts = Path("/app/local-db/starts")
    with starts.open("a", encoding="utf-8") as file:
        file.write("started\n")
    write_down(Path("/app/local-db/started.json"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply(self, 200, schema)

    # The real one has no setting for its address, either.
    ThreadingHTTPServer(("0.0.0.0", 1717), Handler).serve_forever()
