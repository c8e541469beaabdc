from __future__ import annotations

import json

import pytest

from kit.bundle.manifest import File
from kit.errors import VerificationError
from kit.jobs.launch import HostLaunch, Launch, LaunchFile
from kit.run.describe_run import describe, launch_digest, make_run_id
from kit.run.record import Artifact, Training, dump_record, parse_record
from tests.unit.run.factories import digest, record


def share(run_id: str, text: str = "x") -> HostLaunch:
    files = (LaunchFile("compose.yaml", f"source: /root/runs/train/{run_id} {text}"),)
    folder = f"/root/runs/train/{run_id}"
    return HostLaunch("gpu1", folder, "kit-train", "train", "kit.invalid/train:1", ("out",), files)


def test_a_record_survives_being_written_and_read() -> None:
    artifact = Artifact("out", (File("a/b", digest("b"), 3), File("c", digest("c"), 4)))
    whole = record(
        artifact=artifact,
        training=Training(4.5, 0.1, 20, (("train_loss", 1.5),)),
        inputs=(("train", "/x"),),
        exit_code=0,
    )
    assert parse_record(dump_record(whole), "run.json") == whole
    assert parse_record(dump_record(record()), "run.json") == record()
    assert artifact.size == 7


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b"not json"])
def test_what_is_no_record_is_refused(damage: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_record(damage, "run.json")


def test_unknown_keys_and_formats_are_refused() -> None:
    document = json.loads(dump_record(record()))
    for change in ({"kit_run": 2}, {"surprise": 1}):
        with pytest.raises(VerificationError):
            parse_record(json.dumps(document | change).encode(), "run.json")


def test_run_names_sort_by_their_start() -> None:
    names = [make_run_id(now, "ff") for now in (0.0, 59.0, 60.0, 86400.0 * 400)]
    assert names == sorted(names)
    assert names[0] == "19700101-000000-ff"


def test_launches_that_differ_only_in_their_run_have_the_same_digest() -> None:
    assert launch_digest(share("one"), "one") == launch_digest(share("two"), "two")
    assert launch_digest(share("one"), "one") != launch_digest(share("two", "y"), "two")


def test_each_host_gets_a_record_of_its_share() -> None:
    launch = Launch("train", "train", "one", (share("one"),), "gpu1", 8000, "127.0.0.1", "m")
    found = describe(launch, {})["gpu1"]
    assert (found.state, found.endpoint_port, found.hosts) == ("open", 8000, ("gpu1",))
