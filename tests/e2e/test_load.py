"""Loading images into engines of three ages: what they get, what they never unpack, what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.load_stage import (
    KINDS,
    MIB,
    LoadStage,
    base_layer,
    image_in,
    layer_tar,
    noise_layer,
    outcome,
    pack_images,
    without,
)
from tests.hostile.forge import forged_image, member, tar_of_members
from tests.hostile.test_layers import LAWLESS
from tests.lab import Lab, LabUnavailableError
from tests.lab.shell import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
HOSTS = tuple(name for name, _ in KINDS)
CLASSIC = ("old", "mid")
SIZES = (2, 3, 4, 3, 2)
"""MiB of the layers above the base."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadStage]:
    folder = tmp_path_factory.mktemp("load")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "loadtest")
        patch.setenv("KIT_LAB_STATE", str(folder / "lab"))
        try:
            lab = Lab.up(KINDS)
        except LabUnavailableError as error:
            pytest.skip(str(error))
        try:
            yield LoadStage(lab)
        finally:
            lab.down(purge=True)


@pytest.fixture(autouse=True)
def _nothing_is_left(stage: LoadStage) -> Iterator[None]:
    yield
    stage.forget(*HOSTS)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of six layers, and a newer one whose upper two are others."""
    layers = [base_layer(), *(noise_layer(f"noise{at}", size * MIB) for at, size in enumerate(SIZES))]
    newer = [*layers[:-2], noise_layer("other", MIB), layer_tar({"note": b"newer"})]
    return pack_images(tmp_path_factory.mktemp("images"), {"train": tuple(layers), "newer": tuple(newer)})


@pytest.mark.parametrize("host", HOSTS)
def test_an_image_runs_and_a_second_load_does_nothing(stage: LoadStage, bundle: Path, host: str) -> None:
    image = image_in(bundle, "train")
    assert stage.load(host, bundle, "train")["loaded"] == [image.identity_tag]
    assert stage.names_on(host) == [image.identity_tag]
    assert stage.runs(host, image, "/bin/busybox", "ls", "/").split() == [
        "bin",
        "dev",
        "etc",
        *(f"noise{at}" for at in range(len(SIZES))),
        "proc",
        "sys",
    ]
    again = stage.load(host, bundle, "train")
    assert (again["loaded"], again["awaited"]) == ([], [])


@pytest.mark.parametrize("kind", ["name above", "file through a link out", "hard link above"])
@pytest.mark.parametrize("host", HOSTS)
def test_nothing_of_a_lawless_layer_is_unpacked(
    stage: LoadStage, tmp_path: Path, host: str, kind: str
) -> None:
    first = tar_of_members(member("canary", bytes(3 * MIB)))[:-1024]
    said = stage.load(host, forged_image(tmp_path / "bundle", first + LAWLESS[kind]), "train")
    assert said["error"]["exit_code"] == 3
    assert "what no layer should" in said["error"]["what"]
    assert stage.traces(host, "canary") == ""
    assert stage.names_on(host) == []


@pytest.mark.parametrize("host", HOSTS)
def test_a_layer_that_is_not_what_its_diff_id_says_is_the_bundles_fault(
    stage: LoadStage, tmp_path: Path, host: str
) -> None:
    wrong = layer_tar({"other": b"x" * 100})
    bundle = forged_image(tmp_path / "bundle", layer_tar({"right": b"y" * 100}), config_layer=wrong)
    image = image_in(bundle, "train")
    said = stage.load(host, bundle, "train")
    assert said["error"]["exit_code"] in (3, 7), said
    assert image.identity_tag not in stage.names_on(host)


@pytest.mark.parametrize("host", HOSTS)
def test_a_pull_begins_at_once_and_waits_and_nothing_is_seen_meanwhile(
    stage: LoadStage, bundle: Path, host: str
) -> None:
    image = image_in(bundle, "train")
    process = stage.begin(host, bundle, "train", stalls={image.layers[-1].digest: 8})
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"event": "waiting"}
    # Those below are unpacked meanwhile.
    assert wait_until(lambda: bool(stage.traces(host, "noise1")), 30)
    assert stage.names_on(host) == []
    assert outcome(process)["loaded"] == [image.identity_tag]


@pytest.mark.parametrize("host", HOSTS)
def test_when_the_waiting_fails_the_pull_ends_with_that_and_leaves_no_image(
    stage: LoadStage, bundle: Path, host: str
) -> None:
    digest = image_in(bundle, "train").layers[-1].digest
    said = stage.load(host, bundle, "train", stalls={digest: 2}, fails=[digest])
    assert (said["error"]["exit_code"], said["error"]["what"]) == (6, "the sender fell silent")
    assert stage.names_on(host) == []
    assert stage.load(host, bundle, "train")["loaded"]


@pytest.mark.parametrize("host", HOSTS)
def test_an_engine_killed_while_it_pulls_is_an_error_and_the_next_load_completes(
    stage: LoadStage, bundle: Path, host: str
) -> None:
    image = image_in(bundle, "train")
    process = stage.begin(host, bundle, "train", stalls={image.layers[-1].digest: 6})
    assert process.stdout is not None
    process.stdout.readline()
    stage.kill_engine(host)
    assert outcome(process)["error"]["exit_code"] == 7
    assert stage.names_on(host) == []
    assert stage.load(host, bundle, "train")["loaded"] == [image.identity_tag]
    assert stage.names_on(host) == [image.identity_tag]
    stage.runs(host, image, "/bin/busybox", "true")


@pytest.mark.parametrize("host", HOSTS)
def test_a_loader_killed_while_the_engine_pulls_leaves_no_image_that_anybody_asks_for(
    stage: LoadStage, bundle: Path, host: str
) -> None:
    image = image_in(bundle, "train")
    process = stage.begin(host, bundle, "train", stalls={image.layers[-1].digest: 30})
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    left = stage.names_on(host)
    if host == "new":
        # A containerd store that still keeps the bytes of an image removed before may end the pull by
        # itself: all of the image, under a name that nobody asks for.
        assert image.identity_tag not in left
        assert all(name.startswith("127.0.0.1:") for name in left)
    else:
        assert left == []
    assert stage.load(host, bundle, "train")["loaded"] == [image.identity_tag]
    assert stage.names_on(host) == [image.identity_tag]


@pytest.mark.parametrize("host", HOSTS)
def test_layers_that_the_engine_has_are_not_needed(
    stage: LoadStage, bundle: Path, tmp_path: Path, host: str
) -> None:
    train, newer = image_in(bundle, "train"), image_in(bundle, "newer")
    left_out = [layer.digest for layer in train.layers[:-2]]
    stage.load(host, bundle, "train")
    partial = without(bundle, tmp_path, *left_out)
    said = stage.load(host, bundle, "newer", blobs=str(partial), left_out=left_out)
    assert said["loaded"] == [newer.identity_tag]
    assert not set(said["awaited"]) & set(left_out)
    assert stage.names_on(host) == sorted((train.identity_tag, newer.identity_tag))
    assert stage.runs(host, newer, "/bin/busybox", "cat", "/note") == "newer"


@pytest.mark.parametrize("host", HOSTS)
def test_a_layer_left_out_that_the_engine_lacks_is_an_error_and_no_image(
    stage: LoadStage, tmp_path: Path, host: str
) -> None:
    # Of layers that the engine never saw: it may keep others for a while after their image is gone.
    layers = tuple(noise_layer(f"{name}-{host}", MIB) for name in ("low", "high"))
    bundle = pack_images(tmp_path / "own", {"train": layers})
    low = image_in(bundle, "train").layers[0].digest
    partial = without(bundle, tmp_path, low)
    said = stage.load(host, bundle, "train", blobs=str(partial), left_out=[low])
    assert said["error"]["exit_code"] in (6, 7), said
    assert stage.names_on(host) == []


@pytest.mark.parametrize("host", CLASSIC)
def test_at_most_half_of_an_image_is_held_twice(stage: LoadStage, bundle: Path, host: str) -> None:
    whole = sum(layer.plain_size for layer in image_in(bundle, "train").layers)
    spooled = stage.load(host, bundle, "train")["spool"]
    stage.forget(host)
    by_docker = stage.load(host, bundle, "train", docker_load="plain")["spool"]
    print(f"{host}: {spooled} of {whole} bytes held twice; by docker load {by_docker}")
    assert spooled <= whole / 2 + MIB
    assert by_docker > 0.9 * whole


def test_a_newer_classic_store_takes_an_archive_of_packed_layers(stage: LoadStage, bundle: Path) -> None:
    image = image_in(bundle, "newer")
    assert "error" not in stage.load("mid", bundle, "newer", docker_load="packed")
    assert stage.names_on("mid") == [image.identity_tag]
    assert stage.runs("mid", image, "/bin/busybox", "cat", "/note") == "newer"
