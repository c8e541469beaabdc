"""Whatever is wrong: its own exit code, words that say what to do, and hosts left as they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.journey import Journey

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


def _state(journey: Journey) -> str:
    """Return what stands on both hosts: files, images, containers."""
    files = "find /aisys/kit -type f -not -path '*/receipts/*' | sort"
    look = f"{files}; docker images -a --no-trunc -q | sort; docker ps -aq"
    return "".join(journey.lab.exec(host, ("sh", "-c", look)) for host in journey.lab.names)


@pytest.fixture
def unchanged(journey: Journey) -> Iterator[None]:
    before = _state(journey)
    yield
    assert _state(journey) == before


@pytest.mark.usefixtures("unchanged")
def test_an_unknown_key_is_named(journey: Journey) -> None:
    def change(document: dict[str, Any]) -> None:
        document["jobs"]["serve"]["tensor_paralel"] = 4

    code, said = journey.refused("up", "serve", definition=journey.variant("unknown-key.yaml", change))
    assert (code, "jobs.serve.tensor_paralel" in said) == (2, True), said


@pytest.mark.usefixtures("unchanged")
def test_a_job_of_a_model_that_nobody_defined_is_refused(journey: Journey) -> None:
    def change(document: dict[str, Any]) -> None:
        document["jobs"]["serve"]["model"] = "merg"

    code, said = journey.refused("up", "serve", definition=journey.variant("no-model.yaml", change))
    assert (code, "did you mean 'merge'" in said) == (2, True), said


@pytest.mark.usefixtures("unchanged")
def test_a_broken_line_of_training_data_is_named_before_a_host_is_asked(journey: Journey) -> None:
    lines = [json.dumps({"instruction": "a", "input": "", "output": "b"})] * 31_210
    lines[31_206] = lines[0][:-3]
    (journey.folder / "data" / "broken.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def change(document: dict[str, Any]) -> None:
        document["datasets"]["broken"] = {"path": "data/broken.jsonl"}
        document["jobs"]["train"]["datasets"] = ["broken"]

    definition = journey.variant("broken-data.yaml", change)
    for words in (("up", "train"), ("lock", "--offline", "--dry-run")):
        code, said = journey.refused(*words, definition=definition)
        assert (code, "broken.jsonl:31207" in said) == (2, True), said


@pytest.mark.usefixtures("unchanged")
def test_data_that_its_stage_cannot_read_is_refused(journey: Journey) -> None:
    def change(document: dict[str, Any]) -> None:
        document["jobs"]["train"]["args"]["stage"] = "dpo"

    code, said = journey.refused("up", "train", definition=journey.variant("no-pairs.yaml", change))
    assert (code, "stage dpo trains on pairs of answers" in said) == (2, True), said


@pytest.mark.usefixtures("unchanged")
def test_a_chat_template_that_does_not_fit_the_model_is_refused(journey: Journey) -> None:
    def change(document: dict[str, Any]) -> None:
        document["jobs"]["train"]["template"] = "llama3"

    definition = journey.variant("misfit.yaml", change)
    code, said = journey.refused("up", "train", definition=definition)
    assert (code, "no token <|eot_id|>" in said) == (2, True), said
    # Where the model is not beside kit.yaml, its host is asked.
    model = (journey.folder / "model").rename(journey.folder / "model-away")
    try:
        code, said = journey.refused("up", "train", definition=definition)
    finally:
        model.rename(journey.folder / "model")
    assert (code, "no token <|eot_id|>" in said) == (2, True), said


@pytest.mark.usefixtures("unchanged")
def test_a_port_that_somebody_listens_on_is_refused(journey: Journey) -> None:
    def change(document: dict[str, Any]) -> None:
        document["jobs"]["serve-base"]["port"] = 22

    code, said = journey.refused("up", "serve-base", definition=journey.variant("port.yaml", change))
    assert (code, "port 22 is taken" in said) == (5, True), said


@pytest.mark.usefixtures("unchanged")
def test_an_unknown_host_key_is_refused_with_its_fingerprint(journey: Journey, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").touch()
    for command in (("check",), ("bundle", "--ship")):
        code, said = journey.refused(*command, KIT_KNOWN_HOSTS=str(tmp_path / "known_hosts"))
        assert code == 4
        assert "SHA256:" in said
    assert "known_hosts" in said
    assert (tmp_path / "known_hosts").read_text() == ""


@pytest.mark.usefixtures("unchanged")
def test_a_changed_host_key_is_refused_as_changed(journey: Journey, tmp_path: Path) -> None:
    lines = journey.lab.known_hosts.read_text().splitlines()
    keys = [line.split()[-1] for line in lines]
    swapped = [
        line.replace(key, keys[0] if key != keys[0] else keys[-1])
        for line, key in zip(lines, keys, strict=True)
    ]
    (tmp_path / "known_hosts").write_text("\n".join(swapped) + "\n")
    code, said = journey.refused("check", KIT_KNOWN_HOSTS=str(tmp_path / "known_hosts"))
    assert (code, "CHANGED" in said) == (4, True), said


def test_a_host_that_does_not_answer_is_named(journey: Journey) -> None:
    journey.lab.cut("gpu2")
    try:
        code, said = journey.refused("up", "train")
    finally:
        journey.lab.restore("gpu2")
    assert (code, "gpu2" in said) == (4, True), said


def test_a_host_whose_engine_is_stopped_is_not_fit(journey: Journey) -> None:
    journey.lab.engine_stop("gpu2")
    try:
        code, said = journey.refused("up", "train")
    finally:
        journey.lab.engine_start("gpu2")
    assert (code, "gpu2" in said) == (5, True), said


def test_an_image_that_is_missing_on_a_host_is_named_with_the_command_that_sends_it(journey: Journey) -> None:
    manifest = json.loads((journey.folder / "bundle" / "kit.json").read_text(encoding="utf-8"))
    (digest,) = (image["config"]["digest"] for image in manifest["images"] if image["name"] == "serve")
    tag = f"kit.invalid/serve:{digest.removeprefix('sha256:')[:12]}"
    journey.lab.exec("gpu1", ("docker", "tag", tag, "kept:1"))
    journey.lab.exec("gpu1", ("docker", "rmi", tag))
    try:
        code, said = journey.refused("up", "serve-base")
    finally:
        journey.lab.exec("gpu1", ("docker", "tag", "kept:1", tag))
        journey.lab.exec("gpu1", ("docker", "rmi", "kept:1"))
    assert code == 5
    assert "serve" in said
    assert "kit ship" in said


def test_a_training_that_dies_shows_the_last_lines_of_the_rank_that_died(journey: Journey) -> None:
    def change(document: dict[str, Any]) -> None:
        document["jobs"]["train"]["args"]["lora_target"] = "no_such_module"

    code, said = journey.refused("up", "train", definition=journey.variant("dies.yaml", change))
    assert code == 8
    assert "no_such_module" in said
    running = [journey.lab.exec(host, ("docker", "ps", "-q")) for host in journey.lab.names]
    assert running == ["", ""]


@pytest.mark.usefixtures("unchanged")
def test_a_flipped_byte_is_found_by_verify(journey: Journey) -> None:
    blobs = sorted(
        (journey.folder / "bundle" / "blobs" / "sha256").iterdir(), key=lambda blob: blob.stat().st_size
    )
    victim = blobs[len(blobs) // 2]
    mode = victim.stat().st_mode
    victim.chmod(0o644)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    try:
        code, said = journey.refused("verify")
    finally:
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
        victim.chmod(mode)
    assert (code, victim.name in said) == (3, True), said
