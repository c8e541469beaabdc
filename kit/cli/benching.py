"""Measuring a served model: bench."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.logins import asking_toolbox
from kit.cli.opening import open_project
from kit.cli.options import DEFAULT_FILE, File, Json
from kit.cli.options import JobName as Job
from kit.cli.output import show, shown_progress, table
from kit.errors import ConfigError

if TYPE_CHECKING:
    from kit.run.bench import Benched

Concurrency = Annotated[
    str, typer.Option("--concurrency", "-c", help="Requests at a time; several loads with commas between.")
]
Requests = Annotated[
    int | None,
    typer.Option("--requests", "-n", min=1, help="Requests of a load.  [default: 4 x load, 16 at least]"),
]
InputTokens = Annotated[int, typer.Option("--input-tokens", min=1, help="Length of each prompt.")]
OutputTokens = Annotated[int, typer.Option("--output-tokens", min=1, help="Length of each answer.")]
Model = Annotated[str, typer.Option("--model", help="An adapter that the job serves, in place of its model.")]
Plot = Annotated[Path | None, typer.Option("--plot", help="Draw it into this SVG file.")]


def bench(
    job: Job,
    *,
    file: File = DEFAULT_FILE,
    concurrency: Concurrency = "1,4,16",
    requests: Requests = None,
    input_tokens: InputTokens = 128,
    output_tokens: OutputTokens = 64,
    model: Model = "",
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Measure a served model with the engine's own benchmark: throughput and latency under several loads."""
    from kit.run.bench import Bench, bench
    from kit.run.bench_svg import write_bench_svg

    wanted = Bench(_loads(concurrency), requests, input_tokens, output_tokens, model)
    loaded = open_project(file)
    with shown_progress() as progress, asking_toolbox(progress) as toolbox:
        result = bench(loaded, job, wanted, toolbox, progress)
    if plot is not None:
        write_bench_svg(plot, result)
    show(result, _lines, as_json=as_json)


def _loads(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(f"{text!r} are no numbers of requests", where="--concurrency", fix="e.g. 1,4,16")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _lines(result: Benched) -> Iterator[str]:
    tokens = f"{result.input_tokens} tokens in, {result.output_tokens} out"
    yield f"{result.job} on {result.host}: {result.model}, {tokens}, by the benchmark of {result.program}"
    head = (
        "AT A TIME",
        "REQUESTS",
        "FAILED",
        "REQ/S",
        "OUT TOK/S",
        "ALL TOK/S",
        "TTFT P50",
        "P99 MS",
        "TPOT P50",
        "P99 MS",
    )
    rows = [
        (
            load.concurrency,
            load.requests,
            load.failed,
            f"{load.requests_per_second:.2f}",
            f"{load.output_tokens_per_second:.1f}",
            f"{load.total_tokens_per_second:.1f}",
            f"{load.ttft_p50:.1f}",
            f"{load.ttft_p99:.1f}",
            f"{load.tpot_p50:.1f}",
            f"{load.tpot_p99:.1f}",
        )
        for load in result.loads
    ]
    yield from table(head, rows)
