"""Rows of served models: adapters, workers, replicas behind a proxy, keys and certificates, the benchmark."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.jobs.on_gpus import rendered
from tests.jobs.refusals import refused
from tests.jobs.row import RAN, Row
from tests.jobs.trainings import training
from tests.unit.run.test_access import write_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jobs.scene import Scene

SERVE = {
    "kind": "serve",
    "model": "tiny",
    "hosts": ["gpu1"],
    "dtype": "float32",
    "max_model_len": 256,
    "env": {"VLLM_CPU_KVCACHE_SPACE": "1"},
    "args": {"enforce_eager": True},
}
QUESTION = "What does kit carry?"
TRAIN = training(
    "sft", "lora", {"max_steps": 60, "learning_rate": 5.0e-3}, hosts=["gpu1"], datasets=["questions"]
)
SECONDS, KILL_AFTER, CLIENTS = 24, 8, 4
# What clients see of a proxy while a replica dies: on the proxy's host, several at a time.
# Key and certificate come through standard input.
CLIENT = """
import collections, http.client, json, ssl, sys, threading, time
port, seconds, clients = map(int, sys.argv[1:])
key, _, certificate = sys.stdin.read().partition("\\n")
headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
make, more = http.client.HTTPConnection, {}
if certificate:
    trust = ssl.create_default_context(cadata=certificate)
    trust.check_hostname = False
    make, more = http.client.HTTPSConnection, {"context": trust}
seen, until = collections.Counter(), time.monotonic() + seconds
def ask():
    while time.monotonic() < until:
        try:
            to = make("127.0.0.1", port, timeout=120, **more)
            body = {"model": "tiny", "prompt": "1 2 3", "max_tokens": 96, "ignore_eos": True}
            to.request("POST", "/v1/completions", json.dumps(body), headers)
            answer = to.getresponse()
            whole = json.loads(answer.read())["usage"]["completion_tokens"] == 96
            seen["answered" if answer.status == 200 and whole else f"status {answer.status}"] += 1
        except Exception as error:
            seen[f"failed: {error!r}"] += 1
threads = [threading.Thread(target=ask) for _ in range(clients)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(seen))
"""


KEY = "0123456789abcdef"
TLS_FILES = {"cert": "serve.pem", "key": "serve.key"}
"""What `write_pair` writes."""


def key_file(scene: Scene) -> str:
    """Write a file with KEY beside kit.yaml; return its name there."""
    path = scene.journey.folder / "api-key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    return path.name


def status_of(scene: Scene, url: str, *words: str) -> str:
    """Return the HTTP status that curl sees on gpu1, 000 for none."""
    argv = ("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", *words, url)
    return scene.lab.run("gpu1", argv).stdout.decode().strip()


def shown_of(scene: Scene, host: str, job: str) -> str:
    """Return what the engine tells of a job's container, and every process on the host with its words."""
    inspect = f'docker inspect "$(docker ps -q -f label=kit.job={job})"; cat /proc/[0-9]*/cmdline; true'
    return scene.lab.exec(host, ("sh", "-c", inspect))


@contextmanager
def _up(scene: Scene, jobs: dict[str, Any], *names: str) -> Iterator[str]:
    """Yield the definition with these jobs, those that are named running."""
    definition = scene.define(jobs)
    try:
        for name in names:
            up = scene.kit("up", name, definition=definition)
            assert up["state"] == "running", up
        yield definition
    finally:
        for name in reversed(names):
            scene.kit("down", name, definition=definition)


def _adapter(scene: Scene) -> str:
    jobs = {
        "row-train": {**TRAIN, "port": scene.port},
        "row-serve": {**SERVE, "adapters": ["row-train"], "port": scene.port + 20},
    }
    scene.kit("up", "row-train", definition=scene.define(jobs))
    with _up(scene, jobs, "row-serve") as definition:
        words = (QUESTION, "--max-tokens", "24")
        plain = scene.kit("ask", "row-serve", *words, definition=definition)
        tuned = scene.kit("ask", "row-serve", "--model", "row-train", *words, definition=definition)
    assert tuned["model"] == "row-train", tuned
    assert plain["answer"] != tuned["answer"], (plain, tuned)
    return f"the model: {plain['answer'][:24]!r}, with the adapter: {tuned['answer'][:48]!r}"


def _two_workers(scene: Scene) -> str:
    jobs = {"row-serve": {**SERVE, "tensor_parallel": 2, "port": scene.port + 21}}
    with _up(scene, jobs, "row-serve") as definition:
        asked = scene.kit("ask", "row-serve", QUESTION, "--max-tokens", "8", definition=definition)
        log = scene.lab.exec(
            "gpu1", ("sh", "-c", 'docker logs "$(docker ps -q -f label=kit.job=row-serve)" 2>&1')
        )
    assert "world_size=2" in log, log[-2000:]
    return f"{asked['completion_tokens']} tokens by two workers"


def _replicas(scene: Scene, more: dict[str, Any]) -> dict[str, Any]:
    serve = {**SERVE, "port": scene.port + 22, **more}
    return {
        "one": serve,
        "two": {**serve, "hosts": ["gpu2"], "bind": "0.0.0.0"},
        "front": {"kind": "proxy", "to": ["one", "two"], "hosts": ["gpu1"], "port": scene.port + 23},
    }


def _killed_under_load(scene: Scene, port: int, host: str, given: bytes = b"") -> str:
    """Kill the replica `two` while clients ask the proxy; return what they saw, when nothing failed."""
    # The host has no Python; the image that serves has.
    inside = f'docker exec -i "$(docker ps -q -f label=kit.job=one)" python3 -c "$0" {port}'
    # What both compile at their first requests would take most of the time.
    scene.lab.exec("gpu1", ("sh", "-c", f"{inside} 1 {2 * CLIENTS}", CLIENT), stdin=given)
    words = ("sh", "-c", f"{inside} {SECONDS} {CLIENTS}", CLIENT)
    told: list[str] = []
    client = threading.Thread(target=lambda: told.append(scene.lab.exec("gpu1", words, stdin=given)))
    client.start()
    time.sleep(KILL_AFTER)
    # A busy engine says of what it killed that it heard nothing of the end; it is waited for.
    kill = 'two=$(docker ps -q -f label=kit.job=two); docker kill "$two"; docker wait "$two"'
    scene.lab.exec(host, ("sh", "-c", kill))
    client.join()
    served = scene.lab.exec("gpu1", ("sh", "-c", 'docker logs "$(docker ps -q -f label=kit.job=front)" 2>&1'))
    seen = json.loads(told[0])
    shares = {name: served.count(f"replicas/{name} ") for name in ("one", "two")}
    assert set(seen) == {"answered"}, seen
    assert min(shares.values()) > 0, served[-2000:]
    return f"{seen['answered']} requests, {CLIENTS} at a time, one of two replicas killed: none failed"


def _one_killed(scene: Scene) -> str:
    jobs = _replicas(scene, {})
    with _up(scene, jobs, "one", "two", "front"):
        return _killed_under_load(scene, jobs["front"]["port"], "gpu2")


def _one_killed_behind_tls(scene: Scene) -> str:
    certificate = write_pair(scene.journey.folder)
    jobs = _replicas(scene, {"api_key_file": key_file(scene)})
    jobs["two"] |= {"hosts": ["gpu1"], "bind": "127.0.0.1", "port": scene.port + 26}
    jobs["front"] |= {"tls": TLS_FILES}
    port = jobs["front"]["port"]
    with _up(scene, jobs, "one", "two", "front") as definition:
        assert status_of(scene, f"https://127.0.0.1:{port}/v1/models") == "401"
        assert status_of(scene, f"http://127.0.0.1:{port}/v1/models") != "200"
        asked = scene.kit("ask", "front", QUESTION, "--max-tokens", "8", definition=definition)
        assert asked["completion_tokens"], asked
        seen = _killed_under_load(scene, port, "gpu1", f"{KEY}\n{certificate}".encode())
        assert KEY not in shown_of(scene, "gpu1", "one") + shown_of(scene, "gpu1", "front")
    return f"{seen}; 401 without the key"


def _key_and_certificate(scene: Scene) -> str:
    write_pair(scene.journey.folder)
    port, key = scene.port + 24, key_file(scene)
    jobs = {"row-serve": {**SERVE, "api_key_file": key, "tls": TLS_FILES, "port": port}}
    with _up(scene, jobs, "row-serve") as definition:
        asked = scene.kit("ask", "row-serve", QUESTION, "--max-tokens", "8", definition=definition)
        shown = shown_of(scene, "gpu1", "row-serve")
        without = status_of(scene, f"https://127.0.0.1:{port}/v1/models")
    assert asked["completion_tokens"], asked
    assert KEY not in shown
    assert without == "401", without
    left = scene.lab.exec("gpu1", ("ls", scene.run_folder("row-serve"))).split()
    assert "secret" not in left, left
    return "answers over TLS to who has the key, 401 to others; neither engine nor ps shows it"


def _measured(scene: Scene) -> str:
    jobs = {"row-serve": {**SERVE, "port": scene.port + 25}}
    plot = scene.journey.folder / "bench.svg"
    with _up(scene, jobs, "row-serve") as definition:
        loads = ("-c", "1,4", "-n", "8", "--input-tokens", "32", "--output-tokens", "16", "--plot", str(plot))
        found = scene.kit("bench", "row-serve", *loads, definition=definition)
    assert [load["failed"] for load in found["loads"]] == [0, 0], found
    assert plot.read_text(encoding="utf-8").startswith("<svg"), plot
    rates = [f"{load['output_tokens_per_second']:.0f}" for load in found["loads"]]
    return f"{' and '.join(rates)} tokens/s at 1 and 4 at a time, by {found['program']}"


GPUS = {"kind": "serve", "model": "tiny", "hosts": ["gpu1"]}
LORA = {**TRAIN, "port": 29500}
OTHER = {**LORA, "args": {**TRAIN["args"], "use_dora": True}}
FRONT = {"kind": "proxy", "to": ["one", "two"], "hosts": ["gpu1"]}
WIDE = {"hosts": ["gpu1", "gpu2"], "tensor_parallel": 4}
TLS = {"cert": "a.pem", "key": "a.key"}
ROWS = (
    Row("serve", "vLLM, a LoRA adapter beside its model", RAN, _adapter),
    Row("serve", "vLLM, tensor parallel 2", RAN, _two_workers),
    Row("serve", "vLLM, an API key from a file and TLS", RAN, _key_and_certificate),
    Row("proxy", "two replicas on two hosts, one killed", RAN, _one_killed),
    Row("proxy", "TLS, two replicas with an API key on one host, one killed", RAN, _one_killed_behind_tls),
    Row("bench", "vLLM's own benchmark", RAN, _measured),
    rendered("serve", "vLLM, tensor parallel 4", {**GPUS, "tensor_parallel": 4, "max_num_seqs": 64}),
    rendered("serve", "vLLM, tensor 2 × pipeline 2", {**GPUS, "tensor_parallel": 2, "pipeline_parallel": 2}),
    rendered("serve", "vLLM, two adapters", {**GPUS, "adapters": ["a", "b"]}, a=LORA, b=LORA),
    rendered("serve", "vLLM, reasoning qwen3", {**GPUS, "reasoning": "qwen3"}),
    *(
        rendered(
            "serve",
            f"{engine}, quantization {kind}",
            {**GPUS, "engine": engine.lower(), "quantization": kind},
        )
        for engine in ("vLLM", "SGLang")
        for kind in ("awq", "gptq", "fp8")
    ),
    rendered("serve", "vLLM, two hosts × 4 GPUs, Ray", {**GPUS, **WIDE, "pipeline_parallel": 2}),
    rendered(
        "serve", "SGLang, two hosts × 4 GPUs", {**GPUS, **WIDE, "engine": "sglang", "tensor_parallel": 8}
    ),
    refused("serve", "two hosts on stack cpu", {**GPUS, **WIDE}),
    rendered("serve", "SGLang, tensor parallel 4", {**GPUS, "engine": "sglang", "tensor_parallel": 4}),
    rendered("serve", "SGLang, an adapter", {**GPUS, "engine": "sglang", "adapters": ["a"]}, a=LORA),
    refused(
        "serve",
        "an adapter of another model",
        {**GPUS, "model": "merged", "adapters": ["a"]},
        a=LORA,
        merged={"kind": "export", "from": "a"},
    ),
    refused("serve", "a DoRA adapter", {**GPUS, "adapters": ["a"]}, a=OTHER),
    refused("serve", "an API key among the arguments", {**GPUS, "args": {"api_key": "12345678"}}),
    refused("serve", "SGLang, TLS", {**GPUS, "engine": "sglang", "tls": TLS}, stack="cu126"),
    refused(
        "serve", "SGLang, a pipeline", {**GPUS, "engine": "sglang", "pipeline_parallel": 2}, stack="cu126"
    ),
    refused("serve", "an unknown quantisation", {**GPUS, "quantization": "awk"}, stack="cu126"),
    refused(
        "proxy", "replicas of different names", FRONT, one=GPUS, two={**GPUS, "served_name": "x", "port": 1}
    ),
)
