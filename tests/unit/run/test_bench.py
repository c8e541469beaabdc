from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from kit.errors import ConfigError, JobError
from kit.host.port import Completed
from kit.run.bench import MARK, Bench, Benched, bench, common_words, load_of, load_words
from kit.run.bench_svg import bench_svg
from tests.factories import project_document
from tests.unit.run.factories import World
from tests.unit.run.test_up import answer_probe, world_where

FOUND = {
    "duration": 2.0,
    "completed": 15,
    "request_throughput": 7.5,
    "output_throughput": 480.0,
    "total_token_throughput": 1440.0,
    "median_ttft_ms": 10.123,
    "p99_ttft_ms": 20.0,
    "median_tpot_ms": 3.0,
    "p99_tpot_ms": 4.0,
}


def _serving(folder: Path, **serve: Any) -> World:
    made = project_document()
    made["jobs"]["serve"] |= {"model": "tiny", **serve}
    world = world_where(folder, None, jobs=made["jobs"])
    answer_probe(world)
    world.up("serve")
    return world


def _benchmark(world: World, lines: list[bytes], status: int = 0) -> list[Any]:
    """Have the container's benchmark write these lines; return the commands that were given."""
    given: list[Any] = []

    def stream(argv: Any, chunks: Any = (), on_line: Any = None) -> Completed:
        given.append((argv, b"".join(chunks)))
        for line in lines:
            on_line(line)
        return Completed(status, b"", b"first\nlast words\n")

    world.hosts["gpu1"].stream = stream  # type: ignore[method-assign]
    return given


def test_each_load_is_measured_in_the_container_that_serves(tmp_path: Path) -> None:
    world = _serving(tmp_path)
    line = MARK.encode() + json.dumps(FOUND).encode()
    given = _benchmark(world, [b"Starting initial single prompt test run...", line, line])
    found = bench(world.loaded, "serve", Bench((4, 8)), world.toolbox, world.notes)
    ((argv, script),) = given
    assert argv[:3] == ("docker", "exec", "-i")
    assert argv[3].startswith("kit-serve-gpu1-")
    spec = json.loads(argv[-1])
    assert spec["engine"] == "vllm"
    assert {
        "--base-url=http://127.0.0.1:8000",
        "--model=/kit/models/tiny",
        "--served-model-name=tiny",
    } <= set(spec["words"])
    assert spec["warm_up"] == ["--max-concurrency=8", "--num-prompts=8"]
    assert spec["loads"] == [
        ["--max-concurrency=4", "--num-prompts=16"],
        ["--max-concurrency=8", "--num-prompts=32"],
    ]
    assert b"def measure" in script
    assert (found.program, found.model, found.host) == ("vLLM 0.31.0", "tiny", "gpu1")
    assert [(load.concurrency, load.failed, load.ttft_p50) for load in found.loads] == [
        (4, 1, 10.12),
        (8, 17, 10.12),
    ]
    assert "4 at a time: 480 tokens/s" in world.notes.reports


def test_a_benchmark_that_fails_tells_its_last_words(tmp_path: Path) -> None:
    world = _serving(tmp_path)
    _benchmark(world, [], status=1)
    with pytest.raises(JobError, match="the benchmark failed") as caught:
        bench(world.loaded, "serve", Bench((1,)), world.toolbox, world.notes)
    assert caught.value.why.endswith("last words")


def test_what_does_not_run_cannot_be_measured(tmp_path: Path) -> None:
    world = world_where(tmp_path, None)
    with pytest.raises(JobError, match="serve does not run"):
        bench(world.loaded, "serve", Bench((1,)), world.toolbox, world.notes)


@pytest.mark.parametrize(
    ("job", "serve", "told"),
    [
        ("train", {}, "a served model is measured"),
        ("serve", {"max_model_len": 100}, "192 tokens a request, and the model is served with 100"),
        ("serve", {"tls": {"cert": "a", "key": "b"}}, "do not know your certificate"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, job: str, serve: dict[str, Any], told: str
) -> None:
    made = project_document()
    made["jobs"]["serve"] |= serve
    world = world_where(tmp_path, None, jobs=made["jobs"])
    with pytest.raises(ConfigError, match=told):
        bench(world.loaded, job, Bench((1,)), world.toolbox, world.notes)


def test_a_proxy_is_measured_from_a_replica_beside_it(tmp_path: Path) -> None:
    made = project_document(images=["train", "serve", "proxy"])
    made["jobs"]["serve"] |= {"bind": "0.0.0.0"}
    made["jobs"]["front"] = {"kind": "proxy", "to": ["serve"], "hosts": ["gpu2"]}
    world = world_where(tmp_path, None, jobs=made["jobs"], images=made["images"])
    with pytest.raises(ConfigError, match="none is on the proxy's host"):
        bench(world.loaded, "front", Bench((1,)), world.toolbox, world.notes)


def test_sglang_is_asked_in_its_own_words_and_fetches_nothing() -> None:
    words = common_words("sglang", Bench((1,), model="train"), "/kit/models/tiny", "train", "http://x:1")
    assert {"--backend=sglang-oai", "--dataset-name=random-ids", "--lora-name=train"} <= set(words)


def test_requests_may_be_counted_by_hand() -> None:
    assert load_words(Bench((2,), requests=5), 2) == ("--max-concurrency=2", "--num-prompts=5")


def test_sglang_counts_tokens_in_and_out_apart() -> None:
    found = {key: value for key, value in FOUND.items() if key != "total_token_throughput"}
    assert load_of(found | {"input_throughput": 20.0}, Bench((1,)), 1).total_tokens_per_second == 500.0
    with pytest.raises(JobError, match="something unexpected"):
        load_of({}, Bench((1,)), 1)


def test_the_drawing_has_a_dot_for_each_load_and_value() -> None:
    loads = tuple(load_of(FOUND, Bench((count,)), count) for count in (1, 4, 16))
    text = bench_svg(Benched("<serve>", "tiny", "gpu1", "r", "vLLM 0.31.0", 128, 64, loads))
    root = ET.fromstring(text)
    dots = [element for element in root.iter() if element.tag.endswith("circle")]
    assert len(dots) == 3 * 5
    places = [float(dot.attrib["cx"]) for dot in dots[:3]]
    assert places[1] - places[0] == places[2] - places[1], "each load is four times the one before it"
    assert "<serve>" in "".join(root.itertext())
