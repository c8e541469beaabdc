"""`load.sh` and `kit load`: a disk carried to hosts that have an engine and a shell, and nothing of kit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.bundle.copy_bundle import copy_bundle
from kit.bundle.source import open_bundle
from kit.bundle.tar_target import TarTarget
from kit.bundle.volumes import VolumeForm
from kit.progress import NoProgress
from kit.ship.identity import expected_ids
from kit.workflow.write_starter import write_starter
from tests.e2e.ship_stage import MIB, ROOT, Said, Stage, build_kit_image, flip
from tests.lab import Lab, LabUnavailableError
from tests.lab.state import lab_folders

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
KINDS = (("old", "20.10"), ("new", "28.5"))
HOSTS = tuple(name for name, _ in KINDS)
DISK = "/media/disk"
LARGE = 768 * MIB


@dataclass
class Desk:
    """Where media are written, and the hosts that they are carried to."""

    stage: Stage

    def volumes(self, name: str, **more: int) -> Path:
        """Pack a bundle and write it in volumes with parity, and a starter beside; return the folder."""
        made = self.stage.pack("carried", **more)
        folder = self.stage.folder / f"medium-{name}"
        form = VolumeForm(64 * MIB, 1)
        copy_bundle(open_bundle(made), TarTarget(folder / "crossing.tar", form, NoProgress()), NoProgress())
        write_starter(folder, open_bundle(folder), "1.0", NoProgress())
        return folder

    def plug(self, host: str, folder: Path) -> Path:
        """Give a host the medium, read-only; return the host's own copy, to be spoilt."""
        place = lab_folders().host(host) / "tmp" / folder.name
        shutil.rmtree(place, ignore_errors=True)
        keep = shutil.ignore_patterns("*.partial")
        shutil.copytree(folder, place, copy_function=os.link, ignore=keep)
        self.unplug(host)
        words = (
            f"mkdir -p {DISK} && mount --bind /tmp/{folder.name} {DISK} && mount -o remount,bind,ro {DISK}"
        )
        self.stage.sh(host, words, user="root")
        return place

    def unplug(self, host: str) -> None:
        self.stage.sh(host, f"while umount -l {DISK} 2>/dev/null; do :; done", user="root")

    def load(self, host: str, *words: str, start: str = f"sh {DISK}/load.sh") -> Said:
        """Run load.sh, or another command, as ops, to its end."""
        done = self.stage.lab.run(host, (*start.split(), *words, "--json"), user="ops")
        print(done.stderr.decode(errors="replace"), file=sys.stderr)
        return Said(done.returncode, json.loads(done.stdout))

    def begin(self, host: str) -> subprocess.Popen[bytes]:
        argv = (sys.executable, "-m", "tests.lab", "exec", "--user", "ops", host, "--")
        pipe = subprocess.PIPE
        return subprocess.Popen(
            (*argv, "sh", f"{DISK}/load.sh"), stdout=pipe, stderr=pipe, start_new_session=True
        )


def own_copy(path: Path) -> Path:
    """Make a hard-linked file one of its own, for spoiling."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def desk(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("media")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "mediatest")
        patch.setenv("KIT_LAB_STATE", str(folder / "lab"))
        try:
            lab = Lab.up(KINDS, disk="4G")
        except LabUnavailableError as error:
            pytest.skip(str(error))
        try:
            stage = Stage(lab, docker_host, build_kit_image(docker_host), folder)
            for host in HOSTS:
                stage.sh(host, f"install -d -m 700 -o ops -g ops {ROOT}", user="root")
            yield Desk(stage)
            stage.remove_images()
        finally:
            lab.down(purge=True)


@pytest.fixture(scope="module")
def small(desk: Desk) -> Path:
    return desk.volumes("small")


@pytest.fixture(scope="module")
def carried(desk: Desk, small: Path) -> Path:
    """The small bundle, loaded on every host from its medium; every load must succeed."""
    for host in HOSTS:
        desk.plug(host, small)
        said = desk.load(host)
        assert said.status == 0, said
        print(host, said.result, file=sys.stderr)
    return small


@pytest.fixture(scope="module")
def large(desk: Desk, carried: Path) -> Path:
    del carried
    return desk.volumes("large", seed=2, weights=LARGE)


def test_a_dry_run_on_a_fresh_host_tells_the_bytes(desk: Desk, small: Path) -> None:
    desk.plug("old", small)
    said = desk.load("old", "--dry-run")
    assert said.status == 0
    assert said.result["read_bytes"] > 8 * MIB
    assert desk.stage.sh("old", f"ls {ROOT}") == ""


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_without_kit_has_everything_afterwards(desk: Desk, carried: Path, host: str) -> None:
    source = open_bundle(carried)
    found = desk.stage.images_on(host)
    for image in source.manifest.images:
        assert found[image.identity_tag] in expected_ids(image)
    assert len(found) == len(source.manifest.images)
    for tree in source.manifest.trees:
        for file in tree.files:
            path = f"{ROOT}/{tree.kind}s/{tree.name}/{file.path}"
            assert desk.stage.sh(host, f"sha256sum {path}").split()[0] == file.digest[7:]
            assert desk.stage.sh(host, f"stat -c '%U %a %h' {path}") == "ops 444 2"
    train = source.manifest.image("train")
    assert train is not None
    run = f"docker run --rm --pull never {train.identity_tag} /bin/busybox cat /note"
    assert desk.stage.sh(host, run) == "carried"
    assert "from /media/disk/crossing.tar" in desk.stage.sh(host, f"cat {ROOT}/receipts/*.json")
    assert desk.stage.sh(host, "docker ps -aq") == desk.stage.sh(host, "command -v python3; true") == ""


@pytest.mark.parametrize("host", HOSTS)
def test_a_ship_afterwards_sends_nothing_and_the_host_is_fit(desk: Desk, carried: Path, host: str) -> None:
    definition = desk.stage.definition(host)
    receipt = desk.stage.shipped(definition, carried / "crossing.tar")[host]
    assert (receipt["sent_bytes"], receipt["loaded"]) == (0, [])
    levels = {level for found in desk.stage.findings(definition).values() for level in found}
    assert "fail" not in levels


@pytest.mark.parametrize("host", HOSTS)
def test_the_kit_that_came_loads_again_and_reads_nothing(desk: Desk, carried: Path, host: str) -> None:
    del carried
    said = desk.load(host, f"{DISK}/crossing.tar", start=f"{ROOT}/bin/kit load")
    assert said.status == 0, said
    assert (said.result["read_bytes"], said.result["loaded"]) == (0, [])


def test_kills_on_the_way_cost_what_was_in_flight(desk: Desk, large: Path) -> None:
    stage = desk.stage
    desk.plug("old", large)
    left = 0
    for more in (32, 224, 512):
        process = desk.begin("old")
        try:
            stage.wait_for_partial("old", more * MIB)
            stage.sh("old", "docker kill -s KILL $(docker ps -q)")
        finally:
            process.communicate(timeout=60)
        assert process.returncode != 0
        current = stage.sh("old", f"cat {ROOT}/bundles/current.json")
        assert current != open_bundle(large).manifest_bytes.decode().strip()
        kept = int(stage.sh("old", f"du -sB1 {ROOT}/partial").split()[0])
        assert kept > max(left, more * MIB)
        left = kept
    said = desk.load("old")
    assert said.status == 0, said
    print("left", left, said.result, file=sys.stderr)
    assert 0 < said.result["read_bytes"] <= LARGE + MIB - left + 32 * MIB
    tree = open_bundle(large).manifest.tree("model", "tiny")
    assert tree is not None
    for file in tree.files:
        assert stage.sh("old", f"sha256sum {ROOT}/models/tiny/{file.path}").split()[0] == file.digest[7:]


def test_a_damaged_volume_is_named_and_parity_mends_it(desk: Desk, large: Path) -> None:
    stage = desk.stage
    place = desk.plug("new", large)
    flip(own_copy(place / "crossing.tar.0008"), 33 * MIB)
    said = desk.load("new")
    assert said.status == 3
    assert "crossing.tar.0008 is damaged" in said.text
    assert f"kit recover -b {DISK}/crossing.tar.volumes.json" in said.text
    assert json.loads(stage.sh("new", f"cat {ROOT}/bundles/current.json")) != json.loads(
        open_bundle(large).manifest_bytes
    )
    stage.sh("new", f"mount -o remount,bind,rw {DISK} && chown -R ops {DISK}", user="root")
    mended = desk.load("new", f"{DISK}/crossing.tar.volumes.json", start=f"{ROOT}/bin/kit recover -b")
    assert mended.result["rebuilt"] == ["crossing.tar.0008"]
    again = desk.load("new")
    assert again.status == 0, again
    assert 0 < again.result["read_bytes"] <= 8 * MIB


def test_a_missing_volume_is_named_and_nothing_changes(desk: Desk, large: Path) -> None:
    place = desk.plug("old", large)
    (place / "crossing.tar.0003").unlink()
    before = desk.stage.state("old")
    said = desk.load("old")
    assert said.status == 3
    assert "crossing.tar.0003 is missing" in said.text
    assert desk.stage.state("old") == before


def test_a_disk_too_small_is_refused_with_numbers(desk: Desk, large: Path) -> None:
    stage = desk.stage
    desk.plug("old", large)
    stage.sh("old", f"mkdir -p {ROOT}/../small && chown ops {ROOT}/../small", user="root")
    stage.lab.fill("old", 300)
    try:
        said = desk.load("old", "--root", "/aisys/small")
    finally:
        stage.lab.empty("old")
    assert said.status == 5
    assert "GB needed" in said.text
    assert stage.sh("old", "ls /aisys/small") == ""
