"""`kit ship`, run as a user runs it, to engines of three ages: what arrives, and what never does."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.bundle.docker_load import docker_load_chunks
from kit.bundle.source import open_bundle
from tests.e2e.ship_stage import KINDS, MIB, ROOT, Stage, end, flip, standing_stage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
HOSTS = tuple(name for name, _ in KINDS)
CLASSIC = ("old", "mid")


@pytest.fixture(scope="module")
def stage(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("ship")
    with standing_stage(docker_host, folder, "shiptest", KINDS, disk="3G") as made:
        yield made


@pytest.fixture(scope="module")
def first(stage: Stage) -> Path:
    return stage.pack("first")


@pytest.fixture(scope="module")
def carried(stage: Stage, first: Path) -> Path:
    """The first bundle, shipped to every host."""
    stage.shipped(stage.definition(*HOSTS), first)
    return first


def test_a_dry_run_tells_the_bytes_and_changes_nothing(stage: Stage, first: Path) -> None:
    before = [stage.state(host) for host in HOSTS]
    said = stage.ship(stage.definition(*HOSTS), first, "--dry-run")
    assert said.status == 0
    for step in said.result["hosts"]:
        assert step["send_bytes"] > 8 * MIB
        assert step["sends_kit"]
    assert [stage.state(host) for host in HOSTS] == before
    assert ROOT not in "".join(before)


@pytest.mark.parametrize("host", HOSTS)
def test_images_stand_under_their_identity_tags_and_nothing_else_does(
    stage: Stage, carried: Path, host: str
) -> None:
    wanted = {}
    for image in stage.manifest(carried).images:
        wanted[image.identity_tag] = stage.image_id(host, carried, image.name)
    assert stage.images_on(host) == wanted
    assert stage.sh(host, "docker ps -aq") == ""


@pytest.mark.parametrize("host", HOSTS)
def test_shipped_images_run(stage: Stage, carried: Path, host: str) -> None:
    train = stage.manifest(carried).image("train")
    assert train is not None
    assert (
        stage.sh(host, f"docker run --rm --pull never {train.identity_tag} /bin/busybox cat /note") == "first"
    )


@pytest.mark.parametrize("host", HOSTS)
def test_files_are_read_only_whole_and_the_login_users_own(stage: Stage, carried: Path, host: str) -> None:
    for tree in stage.manifest(carried).trees:
        for file in tree.files:
            path = f"{ROOT}/{tree.kind}s/{tree.name}/{file.path}"
            assert stage.sh(host, f"sha256sum {path}").split()[0] == file.digest[7:]
            assert stage.sh(host, f"stat -c '%U %a %h' {path}") == "ops 444 2"
    assert stage.sh(host, f"stat -c '%U %a' {ROOT}") == "ops 700"
    assert stage.sh(host, f"cat {ROOT}/bundles/current.json") == (carried / "kit.json").read_text().strip()
    assert stage.sh(host, f"ls {ROOT}/partial | grep -v verified.jsonl; true") == ""
    receipt = json.loads(stage.sh(host, f"cat {ROOT}/receipts/*.json"))
    assert receipt["who"]


@pytest.mark.parametrize("host", HOSTS)
def test_the_hosts_have_no_python(stage: Stage, host: str) -> None:
    assert stage.sh(host, "command -v python3; true") == ""


def test_a_check_knows_the_shipped_images_and_misses_one_that_is_gone(stage: Stage, carried: Path) -> None:
    definition = stage.definition(*HOSTS)
    found = stage.findings(definition)
    for host in HOSTS:
        assert found[host, "kit-image"] == found[host, "image"] == found[host, "engine"] == ["ok"]
        assert len({code for at, code in found if at == host}) >= 12
    train = stage.manifest(carried).image("train")
    assert train is not None
    stage.sh("old", f"docker tag {train.identity_tag} kept:1 && docker rmi {train.identity_tag}")
    try:
        assert stage.findings(definition)["old", "image"] == ["fail"]
    finally:
        stage.sh("old", f"docker tag kept:1 {train.identity_tag} && docker rmi kept:1")


@pytest.mark.parametrize(("host", "version"), KINDS)
def test_the_shipped_kit_looks_after_the_host_that_it_stands_on(
    stage: Stage, carried: Path, host: str, version: str
) -> None:
    del carried
    spec = f"version: 1\nstack: cpu\nhosts: {{here: {{address: local, root: {ROOT}}}}}\n"
    stage.sh(host, f"mkdir -p here && cat > here/kit.yaml <<'EOF'\n{spec}EOF")
    said = json.loads(stage.sh(host, f"cd here && {ROOT}/bin/kit check --json || true"))
    found = {finding["code"]: finding for finding in said["findings"]}
    assert version in found["engine-version"]["text"]
    assert {found[code]["level"] for code in ("engine-version", "root")} == {"ok"}
    status = json.loads(stage.sh(host, f"cd here && {ROOT}/bin/kit status --json"))
    assert status["hosts"][0]["bundle"] == "first"


def test_a_second_ship_sends_nothing_and_changes_nothing(stage: Stage, carried: Path) -> None:
    before = [stage.state(host) for host in HOSTS]
    receipts = stage.shipped(stage.definition(*HOSTS), carried)
    assert [(receipts[host]["sent_bytes"], receipts[host]["loaded"]) for host in HOSTS] == [(0, [])] * 3
    assert [stage.state(host) for host in HOSTS] == before


def test_the_tarball_is_the_same_bundle(stage: Stage, carried: Path) -> None:
    receipts = stage.shipped(stage.definition(*HOSTS), stage.tarball(carried))
    assert {receipt["sent_bytes"] for receipt in receipts.values()} == {0}


def test_a_new_bundle_sends_only_what_changed(stage: Stage, carried: Path) -> None:
    changed = stage.pack("second", seed=2)
    receipts = stage.shipped(stage.definition(*HOSTS), stage.tarball(changed))
    model, image = stage.manifest(changed).tree("model", "tiny"), stage.manifest(changed).image("train")
    assert model is not None
    assert image is not None
    most = sum(blob.size for blob in (*model.blobs, *image.blobs)) + 1000
    for host in HOSTS:
        assert 8 * MIB < receipts[host]["sent_bytes"] + receipts[host]["relayed_bytes"] < most
        digest = stage.sh(host, f"sha256sum {ROOT}/models/tiny/weights/model.safetensors").split()[0]
        assert "sha256:" + digest in [file.digest for file in model.files]
        assert stage.images_on(host)[image.identity_tag] == stage.image_id(host, changed, "train")
    stage.shipped(stage.definition(*HOSTS), carried)


@pytest.mark.parametrize("host", HOSTS)
def test_a_false_image_under_the_identity_tag_is_replaced(stage: Stage, carried: Path, host: str) -> None:
    train, kit = stage.manifest(carried).image("train"), stage.manifest(carried).image("kit")
    assert train is not None
    assert kit is not None
    stage.sh(host, f"docker tag {kit.identity_tag} {train.identity_tag}")
    assert stage.images_on(host)[train.identity_tag] == stage.image_id(host, carried, "kit")
    receipts = stage.shipped(stage.definition(host), carried)
    assert receipts[host]["loaded"] == [train.identity_tag]
    assert stage.images_on(host)[train.identity_tag] == stage.image_id(host, carried, "train")


def test_layers_that_a_containerd_store_unpacked_from_another_form_are_completed(
    stage: Stage, carried: Path
) -> None:
    source = open_bundle(carried)
    train = source.manifest.image("train")
    assert train is not None
    stage.sh("new", f"docker rmi -f {train.identity_tag}", user="root")
    archive = b"".join(docker_load_chunks(source, train))
    stage.lab.exec("new", ("docker", "load"), stdin=archive)
    stage.sh(
        "new", f"docker tag {train.identity_tag} other:1 && docker rmi {train.identity_tag}", user="root"
    )
    receipts = stage.shipped(stage.definition("new"), carried)
    assert receipts["new"]["loaded"] == [train.identity_tag]
    assert stage.images_on("new")[train.identity_tag] == stage.image_id("new", carried, "train")
    stage.sh("new", "docker rmi other:1", user="root")
    assert (
        stage.sh("new", f"docker run --rm --pull never {train.identity_tag} /bin/busybox cat /note")
        == "first"
    )


@pytest.mark.parametrize("host", CLASSIC)
def test_a_blob_gone_bad_on_the_host_is_sent_again(stage: Stage, carried: Path, host: str) -> None:
    path = f"{ROOT}/models/tiny/weights/model.safetensors"
    good = stage.sh(host, f"sha256sum {path}")
    stage.sh(host, f"chmod 644 {path} && printf X | dd of={path} bs=1 seek=4000000 conv=notrunc 2>/dev/null")
    assert stage.sh(host, f"sha256sum {path}") != good
    receipts = stage.shipped(stage.definition(host), carried)
    assert receipts[host]["sent_bytes"] == 8 * MIB
    assert stage.sh(host, f"sha256sum {path}") == good


@pytest.mark.parametrize("form", ["folder", "tarball"])
def test_a_flipped_byte_is_refused_and_nothing_of_that_blob_stays(
    stage: Stage, carried: Path, form: str
) -> None:
    del carried
    bundle = stage.pack(f"flipped-{form}", seed=3)
    model = stage.manifest(bundle).tree("model", "tiny")
    assert model is not None
    digest = next(file.digest for file in model.files if file.path.startswith("weights"))
    blob = bundle / "blobs" / "sha256" / digest[7:]
    before = stage.sh("old", f"cat {ROOT}/bundles/current.json")
    if form == "folder":
        flip(blob, 5000)
    else:
        tarball = stage.tarball(bundle)
        flip(tarball, tarball.read_bytes().index(blob.read_bytes()[:64]) + 5000)
        bundle = tarball
    said = stage.ship(stage.definition("old"), bundle)
    assert said.status == 3
    assert digest in said.text
    assert stage.sh("old", f"find {ROOT} -name '*{digest[7:]}*'") == ""
    assert stage.sh("old", f"cat {ROOT}/bundles/current.json") == before


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT], ids=lambda ending: ending.name)
def test_a_killed_or_interrupted_sender_costs_what_was_in_flight(
    stage: Stage, carried: Path, ending: signal.Signals
) -> None:
    del carried
    bundle = stage.pack(f"large-{ending.name.lower()}", seed=ending, weights=64 * MIB)
    definition = stage.definition("old")
    stage.lab.slow("old", rate="100mbit")
    try:
        process = stage.begin_ship(definition, bundle)
        try:
            stage.wait_for_partial("old", 16 * MIB)
        finally:
            status, said = end(process, ending)
    finally:
        stage.lab.restore("old")
    if ending == signal.SIGINT:
        assert status == 130
        assert "interrupted" in said
    deadline = time.monotonic() + 30
    while stage.sh("old", "docker ps -q") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert stage.sh("old", "docker ps -q") == ""
    left = stage.wait_for_partial("old", 16 * MIB)
    receipts = stage.shipped(definition, bundle)
    # Every lane may have been in the middle of a frame.
    assert receipts["old"]["sent_bytes"] <= 64 * MIB - left + 2 * 4 * MIB
    assert stage.sh("old", f"ls {ROOT}/partial | grep -v verified.jsonl; true") == ""


def test_a_line_that_is_cut_is_a_failed_transfer_and_the_next_ship_goes_on(
    stage: Stage, carried: Path
) -> None:
    del carried
    bundle = stage.pack("cut", seed=7, weights=64 * MIB)
    definition = stage.definition("mid")
    stage.lab.slow("mid", rate="100mbit")
    try:
        process = stage.begin_ship(definition, bundle)
        # Each of two lanes may be in the middle of a frame of 4 MiB, which counts as nothing then.
        stage.wait_for_partial("mid", 16 * MIB)
        stage.lab.cut("mid")
        said, _ = process.communicate(timeout=120)
    finally:
        stage.lab.restore("mid")
    assert process.returncode == 6
    assert "goes on where it stopped" in json.loads(said)["error"]["fix"]
    deadline = time.monotonic() + 240
    while stage.sh("mid", "docker ps -q") and time.monotonic() < deadline:
        time.sleep(1)
    receipts = stage.shipped(definition, bundle)
    assert receipts["mid"]["sent_bytes"] < 60 * MIB


def test_two_ships_at_once_are_told_apart(stage: Stage, carried: Path) -> None:
    del carried
    bundle = stage.pack("twice", seed=9, weights=128 * MIB)
    definition = stage.definition("old")
    stage.lab.slow("old", rate="25mbit")
    try:
        process = stage.begin_ship(definition, bundle)
        stage.wait_for_partial("old", 4 * MIB)
        said = stage.ship(definition, bundle)
    finally:
        stage.lab.restore("old")
    process.communicate(timeout=120)
    assert said.status == 6
    assert "held by" in said.text
    assert process.returncode == 0


def test_a_disk_too_small_is_refused_with_numbers_before_the_first_byte(stage: Stage, carried: Path) -> None:
    del carried
    bundle = stage.pack("wide", seed=11, weights=300 * MIB)
    stage.lab.fill("old", 200)
    try:
        before = stage.state("old")
        said = stage.ship(stage.definition("old"), bundle)
        assert stage.state("old") == before
    finally:
        stage.lab.empty("old")
    assert said.status == 5
    assert "0.45 GB needed" in said.text
    assert "GB free" in said.text


def test_an_engine_that_is_stopped_is_refused_and_the_other_host_is_left_alone(
    stage: Stage, carried: Path
) -> None:
    bundle = stage.pack("stopped", seed=13)
    del carried
    before = stage.state("old")
    stage.lab.engine_stop("mid")
    try:
        said = stage.ship(stage.definition("old", "mid"), bundle)
    finally:
        stage.lab.engine_start("mid")
    assert said.status == 5
    assert "mid" in said.text
    assert "systemctl start docker" in said.text
    assert stage.state("old") == before


def test_a_host_that_is_cut_off_is_told_of_and_the_other_is_served(stage: Stage, carried: Path) -> None:
    bundle = stage.pack("away", seed=15)
    del carried
    stage.lab.cut("mid")
    try:
        said = stage.ship(stage.definition("old", "mid"), bundle)
    finally:
        stage.lab.restore("mid")
    assert (said.status, "mid" in said.text) == (4, True)
    assert stage.sh("old", f"cat {ROOT}/bundles/current.json") == (bundle / "kit.json").read_text().strip()


def test_an_unknown_key_is_refused(stage: Stage, carried: Path, tmp_path: Path) -> None:
    (tmp_path / "known").touch()
    said = stage.ship(stage.definition("old"), carried, KIT_KNOWN_HOSTS=str(tmp_path / "known"))
    assert said.status == 4
    assert "SHA256:" in said.text


def test_a_changed_key_is_refused(stage: Stage, carried: Path, tmp_path: Path) -> None:
    lines = stage.lab.known_hosts.read_text().splitlines()
    keys = [" ".join(line.split()[1:]) for line in lines]
    names = [line.split()[0] for line in lines]
    turned = keys[1:] + keys[:1]
    (tmp_path / "known").write_text(
        "".join(f"{name} {key}\n" for name, key in zip(names, turned, strict=True))
    )
    said = stage.ship(stage.definition("old"), carried, KIT_KNOWN_HOSTS=str(tmp_path / "known"))
    assert (said.status, "CHANGED" in said.text) == (4, True)


def test_a_folder_that_may_not_be_written_is_refused(stage: Stage, carried: Path) -> None:
    said = stage.ship(stage.definition("old", root="/srv/kit"), carried)
    assert said.status == 5
    assert "install -d -m 700 -o ops /srv/kit" in said.text


def test_root_may_ship_too_in_a_folder_of_its_own(stage: Stage, carried: Path) -> None:
    receipts = stage.shipped(stage.definition("new", user="root", root="/aisys/kit-of-root"), carried)
    assert receipts["new"]["images"]
    assert stage.sh("new", "stat -c '%U %a' /aisys/kit-of-root", user="root") == "root 700"


@pytest.mark.parametrize("host", HOSTS)
def test_nobody_can_reach_outside_and_no_name_of_a_pull_is_left(
    stage: Stage, carried: Path, host: str
) -> None:
    del carried
    assert "127.0.0.1" not in stage.sh(host, "docker images --digests")
    assert stage.sh(host, "ip route show default") == ""
