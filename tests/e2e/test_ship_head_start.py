"""A first `kit ship`: blobs are on their way while kit's own image is loaded, and no kill loses them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.host.connect import connect
from kit.progress import NoProgress
from kit.project.load import load_project
from kit.workflow.ship_ahead import ShipAhead
from tests.e2e.ship_stage import MIB, ROOT, Stage, end, standing_stage
from tests.lab import environment

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
WEIGHTS = 320 * MIB
SEEN = 128 * MIB
"""Bytes that must have come early; more than a kill may cost."""


@pytest.fixture(scope="module")
def stage(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("head")
    hosts = (("one", "20.10"), ("two", "20.10"), ("three", "28.5"))
    with standing_stage(docker_host, folder, "headstart", hosts, disk="3G") as made:
        yield made


@pytest.fixture(scope="module")
def bundle(stage: Stage) -> Path:
    return stage.pack("early", seed=31, weights=WEIGHTS)


def assert_not_loaded(stage: Stage, host: str, bundle: Path) -> None:
    kit = stage.manifest(bundle).image("kit")
    assert kit is not None
    assert kit.identity_tag not in stage.images_on(host)


def assert_arrived(stage: Stage, host: str, bundle: Path) -> None:
    tree = stage.manifest(bundle).tree("model", "tiny")
    assert tree is not None
    digest = next(file.digest for file in tree.files if file.path.startswith("weights"))
    assert stage.sh(host, f"sha256sum <{ROOT}/models/tiny/weights/model.safetensors").split()[0] == digest[7:]
    assert stage.sh(host, f"ls {ROOT}/partial | grep -v verified.jsonl; true") == ""


def planned_bytes(stage: Stage, host: str, bundle: Path) -> int:
    (step,) = stage.ship(stage.definition(host), bundle, "--dry-run").result["hosts"]
    assert step["sends_kit"]
    return int(step["send_bytes"])


def test_blobs_come_while_kits_image_is_loaded(stage: Stage, bundle: Path) -> None:
    planned = planned_bytes(stage, "one", bundle)
    process = stage.begin_ship(stage.definition("one"), bundle)
    try:
        stage.wait_for_partial("one", SEEN)
        assert_not_loaded(stage, "one", bundle)
    finally:
        said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    (receipt,) = json.loads(said)["hosts"]
    # Every byte went once.
    assert receipt["sent_bytes"] == planned
    assert_arrived(stage, "one", bundle)


def test_a_kill_meanwhile_costs_what_was_in_flight(stage: Stage, bundle: Path) -> None:
    planned, definition = planned_bytes(stage, "two", bundle), stage.definition("two")
    process = stage.begin_ship(definition, bundle)
    try:
        stage.wait_for_partial("two", SEEN)
        assert_not_loaded(stage, "two", bundle)
    finally:
        end(process, signal.SIGKILL)
    # What came of kit's image counts as well: all of it was on its way before the first blob.
    archive = int(stage.sh("two", f"cd {ROOT}/partial && cat kit-image.* | wc -c", user="root"))
    left = stage.wait_for_partial("two", SEEN)
    receipts = stage.shipped(definition, bundle)
    assert receipts["two"]["sent_bytes"] <= planned - archive - left + 64 * MIB
    assert_arrived(stage, "two", bundle)


def test_kits_image_is_there_before_the_bundle_is(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(stage.lab).items():
        monkeypatch.setenv(name, value)
    definition = stage.definition("three")
    published: list[str] = []

    class Watched(ShipAhead):
        def release(self) -> None:
            super().release()
            # The folder began as a copy of another bundle.
            published.append(stage.manifest(stage.folder / "ahead" / "bundle").name)

    ahead = Watched(load_project(definition), ("three",), connect, NoProgress())
    ahead.reach()
    bundle = stage.pack("ahead", seed=37, listener=ahead)
    assert published == ["kit-alone"]
    kit = stage.manifest(bundle).image("kit")
    assert kit is not None
    assert kit.identity_tag in stage.images_on("three")
    (step,) = stage.ship(definition, bundle, "--dry-run").result["hosts"]
    assert not step["sends_kit"]
    stage.shipped(definition, bundle)
    assert_arrived(stage, "three", bundle)
