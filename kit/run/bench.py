"""`kit bench`: the engine's own benchmark, run beside a served model on its host, under several loads."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kit.data_files import data_folder
from kit.errors import ConfigError, JobError
from kit.jobs.places import MODELS
from kit.jobs.versions import pinned
from kit.project.job_model import ProxyJob, ServeJob
from kit.run.ask import model_choice
from kit.run.endpoint import Endpoint, reachable_address
from kit.run.fleet import open_hosts
from kit.run.machine import make_machine
from kit.run.needs import find_job
from kit.run.seen_run import seen_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.progress import Progress
    from kit.project.load import LoadedProject
    from kit.run.machine import Machine, Toolbox
    from kit.run.record import RunRecord

MARK = "kit-bench "
_LAST_LINES = 12
_LATENCIES = ("ttft", "tpot")
_EACH = 4
"""Requests for each one under way, unless told otherwise."""
_FEWEST = 16


@dataclass(frozen=True, slots=True)
class Bench:
    """What shall be measured."""

    concurrencies: tuple[int, ...]
    """Requests under way at a time; each is measured for itself."""
    requests: int | None = None
    """How many in all; None: four for each one under way, 16 at least."""
    input_tokens: int = 128
    output_tokens: int = 64
    model: str = ""
    """An adapter; empty for the job's own model."""

    def count(self, concurrency: int) -> int:
        """Return how many requests are sent under a load."""
        return self.requests or max(_FEWEST, _EACH * concurrency)


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one load. Milliseconds and tokens a second."""

    concurrency: int
    requests: int
    failed: int
    seconds: float
    requests_per_second: float
    output_tokens_per_second: float
    total_tokens_per_second: float
    ttft_p50: float
    """Time to the first token."""
    ttft_p99: float
    tpot_p50: float
    """Time for each token after the first."""
    tpot_p99: float


@dataclass(frozen=True, slots=True)
class Benched:
    """All loads."""

    job: str
    model: str
    host: str
    run_id: str
    program: str
    """Whose benchmark it was: `vLLM 0.31.0`."""
    input_tokens: int
    output_tokens: int
    loads: tuple[Load, ...]


def common_words(engine: str, bench: Bench, model: str, served: str, url: str) -> tuple[str, ...]:
    """Return the benchmark's words that all loads share. Pure.

    Sources: vllm/benchmarks/serve.py of 0.8.5.post1 and 0.31.0, sglang/bench_serving.py of 0.4.6.post1.
    """
    lengths = (f"--random-input-len={bench.input_tokens}", f"--random-output-len={bench.output_tokens}")
    if engine == "sglang":
        # `random` would fetch a dataset; lengths are the same for every request.
        words = ("--backend=sglang-oai", "--dataset-name=random-ids", "--random-range-ratio=1", *lengths)
        lora = (f"--lora-name={bench.model}",) if bench.model else ()
        return (*words, f"--base-url={url}", f"--model={model}", f"--tokenizer={model}", *lora)
    return (
        *("--dataset-name=random", *lengths, "--ignore-eos", "--disable-tqdm"),
        *(f"--base-url={url}", f"--model={model}", f"--tokenizer={model}", f"--served-model-name={served}"),
        *("--percentile-metrics=ttft,tpot", "--metric-percentiles=50,99"),
    )


def load_words(bench: Bench, concurrency: int) -> tuple[str, ...]:
    """Return the words of one load. Pure."""
    return (f"--max-concurrency={concurrency}", f"--num-prompts={bench.count(concurrency)}")


def load_of(found: Mapping[str, Any], bench: Bench, concurrency: int) -> Load:
    """Return a load out of what the engine's benchmark wrote. Raises JobError when it is something else."""
    try:
        requests, done = bench.count(concurrency), int(found["completed"])
        latencies = {
            f"{name}_{ours}": round(float(found[f"{theirs}_{name}_ms"]), 2)
            for name in _LATENCIES
            for ours, theirs in (("p50", "median"), ("p99", "p99"))
        }
        output, duration = float(found["output_throughput"]), float(found["duration"])
        read = float(found.get("total_token_throughput") or output + found["input_throughput"])
        return Load(
            concurrency=concurrency,
            requests=requests,
            failed=requests - done,
            seconds=round(duration, 2),
            requests_per_second=round(float(found["request_throughput"]), 3),
            output_tokens_per_second=round(output, 1),
            total_tokens_per_second=round(read, 1),
            **latencies,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise JobError("the benchmark wrote something unexpected", why=f"no {error}") from error


def bench(
    loaded: LoadedProject, job_name: str, wanted: Bench, toolbox: Toolbox, progress: Progress
) -> Benched:
    """Measure a served model under each load.

    Raises ConfigError for what cannot be measured, JobError when the job does not run or its benchmark fails.
    """
    replica_name, replica = _replica(loaded, job_name, wanted)
    model_choice(replica_name, replica, wanted.model)
    host = replica.hosts[0]
    version = pinned(loaded.project, replica.engine, f"jobs.{replica_name}.engine")
    with open_hosts(loaded, (host,), toolbox.connect) as hosts:
        machine = make_machine(hosts[host], loaded.project.hosts[host], toolbox)
        target, container = _running(machine, job_name), _running(machine, replica_name).compose_project
        address = reachable_address(target.endpoint_bind)
        served = wanted.model or target.served_name
        url = Endpoint(address, target.endpoint_port or 0).url
        words = common_words(replica.engine, wanted, f"{MODELS}/{replica.model}", served, url)
        loads = _measure(machine, container, replica.engine, wanted, words, progress)
    return Benched(
        job=job_name,
        model=served,
        host=host,
        run_id=target.run_id,
        program=f"{'vLLM' if replica.engine == 'vllm' else 'SGLang'} {version}",
        input_tokens=wanted.input_tokens,
        output_tokens=wanted.output_tokens,
        loads=loads,
    )


def _replica(loaded: LoadedProject, name: str, wanted: Bench) -> tuple[str, ServeJob]:
    """Return the serve job in whose container the benchmark runs."""
    job = find_job(loaded.project, name)
    replica_name, replica = name, job
    if isinstance(job, ProxyJob):
        jobs = {to: loaded.project.jobs[to] for to in job.to}
        beside = [to for to, other in jobs.items() if other.hosts == job.hosts]
        if not beside:
            raise ConfigError(
                "the benchmark runs in the container of a replica, and none is on the proxy's host",
                where=f"jobs.{name}.hosts",
                fix=f"kit bench {job.to[0]}, or run the proxy on {jobs[job.to[0]].hosts[0]}",
            )
        replica_name, replica = beside[0], jobs[beside[0]]
    if not isinstance(replica, ServeJob):
        raise ConfigError(
            f"{name} is a {job.kind} job; a served model is measured",
            where=f"jobs.{name}",
            why="only vLLM and SGLang bring a benchmark",
        )
    if getattr(job, "tls", None):
        raise ConfigError(
            "the engines' benchmarks do not know your certificate",
            where=f"jobs.{name}.tls",
            fix="put tls at a job of kind proxy, and measure the serve job behind it",
        )
    tokens = wanted.input_tokens + wanted.output_tokens
    if replica.max_model_len is not None and tokens > replica.max_model_len:
        raise ConfigError(
            f"{tokens} tokens a request, and the model is served with {replica.max_model_len}",
            where=f"jobs.{replica_name}.max_model_len",
            fix="--input-tokens and --output-tokens make requests shorter",
        )
    return replica_name, replica


def _running(machine: Machine, job: str) -> RunRecord:
    for run in seen_runs(machine.ask("runs", job=job)["runs"], machine.name):
        if run.runs and run.record.endpoint_port is not None:
            return run.record
    raise JobError(f"{job} does not run", where=machine.name, fix=f"kit up {job}")


def _measure(
    machine: Machine, container: str, engine: str, wanted: Bench, words: tuple[str, ...], progress: Progress
) -> tuple[Load, ...]:
    loads = [load_words(wanted, concurrency) for concurrency in wanted.concurrencies]
    most = max(wanted.concurrencies)
    warm_up = load_words(replace(wanted, requests=most), most)
    spec = json.dumps({"engine": engine, "words": words, "warm_up": warm_up, "loads": loads})
    script = (data_folder("templates") / "bench" / "measure.py").read_bytes()
    argv = (*machine.facts.docker, "exec", "-i", container, "python3", "-", spec)
    found: list[Load] = []
    progress.start(task := "benchmark")

    def hear(line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        if text.startswith(MARK):
            load = load_of(json.loads(text.removeprefix(MARK)), wanted, wanted.concurrencies[len(found)])
            found.append(load)
            rate = f"{load.output_tokens_per_second:.0f} tokens/s"
            progress.report(task, f"{load.concurrency} at a time: {rate}", len(found) / len(loads))

    done = machine.host.stream(argv, (script,), hear)
    progress.finish(task)
    if done.status != 0 or len(found) < len(loads):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-_LAST_LINES:]
        raise JobError(
            "the benchmark failed",
            where=machine.name,
            why="\n".join(said),
            fix="kit status tells whether the model is still served; kit logs of the job tells more",
        )
    return tuple(found)
