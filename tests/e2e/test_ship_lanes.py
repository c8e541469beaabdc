"""`kit ship` over every kind of lane, and over lines and hosts that make it hard for them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.ship_stage import MIB, ROOT, Stage, standing_stage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
FAR, GATE = "far", "gate"
PORT = 2222


@pytest.fixture(scope="module")
def stage(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("lanes")
    with standing_stage(
        docker_host, folder, "lanesship", ((FAR, "20.10"), (GATE, "26.1")), disk="3G"
    ) as made:
        yield made


@pytest.fixture(scope="module")
def first(stage: Stage) -> Path:
    """A bundle that the host has, so that kit's image and others are there."""
    bundle = stage.pack("first")
    stage.shipped(stage.definition(FAR), bundle)
    return bundle


def weights_digest(stage: Stage, bundle: Path) -> str:
    tree = stage.manifest(bundle).tree("model", "tiny")
    assert tree is not None
    return next(file.digest for file in tree.files if file.path.startswith("weights"))


def assert_arrived(stage: Stage, bundle: Path) -> None:
    said = stage.sh(FAR, f"sha256sum {ROOT}/models/tiny/weights/model.safetensors")
    assert "sha256:" + said.split()[0] == weights_digest(stage, bundle)


def path_without_ssh(folder: Path) -> str:
    """Return a PATH that has everything but ssh."""
    folder.mkdir()
    for place in map(Path, os.environ["PATH"].split(os.pathsep)):
        for path in place.glob("*") if place.is_dir() else ():
            if path.name != "ssh" and not (folder / path.name).is_symlink():
                (folder / path.name).symlink_to(path)
    return str(folder)


@pytest.mark.parametrize("form", ["folder", "tarball"])
def test_openssh_carries_to_a_host_without_python(
    stage: Stage, first: Path, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    del first
    assert stage.sh(FAR, "command -v python3; true") == ""
    bundle = stage.pack(f"openssh-{form}", seed=21 if form == "folder" else 22, weights=40 * MIB)
    receipts = stage.shipped(stage.definition(FAR), stage.tarball(bundle) if form == "tarball" else bundle)
    assert receipts[FAR]["sent_bytes"] >= 40 * MIB
    assert_arrived(stage, bundle)
    assert "paramiko" not in capfd.readouterr().err


def test_without_ssh_paramiko_carries_and_it_is_said(
    stage: Stage, first: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    del first
    bundle = stage.pack("paramiko", seed=23, weights=40 * MIB)
    said = stage.ship(stage.definition(FAR), bundle, PATH=path_without_ssh(tmp_path / "bin"))
    assert said.status == 0
    assert_arrived(stage, bundle)
    assert "data goes by paramiko" in capfd.readouterr().err


def test_a_gateway_between_is_no_hindrance(
    stage: Stage, first: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    del first
    bundle = stage.pack("gateway", seed=24, weights=40 * MIB)
    config = tmp_path / "config"
    config.write_text(
        f"Host {stage.lab.address(FAR)}\n ProxyJump root@{stage.lab.address(GATE)}\n"
        f"Host *\n IdentityFile {stage.lab.key}\n"
    )
    stage.lab.exec(FAR, ("sh", "-c", f"ip route add blackhole {stage.lab.address(GATE)[:-2]}1/32"))
    try:
        said = stage.ship(stage.definition(FAR), bundle, KIT_SSH_CONFIG=str(config))
    finally:
        stage.lab.exec(FAR, ("sh", "-c", f"ip route del blackhole {stage.lab.address(GATE)[:-2]}1/32"))
    assert said.status == 0, said
    assert_arrived(stage, bundle)
    assert "paramiko" not in capfd.readouterr().err


def test_another_port_and_few_logins_at_a_time(
    stage: Stage, first: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    del first
    bundle = stage.pack("port", seed=25, weights=60 * MIB)
    sshd = f"/usr/sbin/sshd -p {PORT} -o MaxStartups=2:100:2 -o PidFile=/run/other.pid"
    stage.lab.exec(FAR, ("sh", "-c", sshd))
    address = stage.lab.address(FAR)
    line = next(line for line in stage.lab.known_hosts.read_text().splitlines() if address in line)
    (tmp_path / "known").write_text(f"[{address}]:{PORT} {' '.join(line.split()[1:])}\n")
    (tmp_path / "config").write_text(f"Host *\n IdentityFile {stage.lab.key}\n")
    files = {"KIT_KNOWN_HOSTS": str(tmp_path / "known"), "KIT_SSH_CONFIG": str(tmp_path / "config")}
    stage.lab.slow(FAR, delay="70ms")
    try:
        said = stage.ship(stage.definition(FAR, port=PORT), bundle, **files)
    finally:
        stage.lab.restore(FAR)
        stage.lab.exec(FAR, ("sh", "-c", "kill $(cat /run/other.pid)"))
    assert said.status == 0, said
    assert_arrived(stage, bundle)
    assert "paramiko" not in capfd.readouterr().err


def lanes_of(pid: int) -> list[int]:
    """Return the processes of ssh that a kit started."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    pids = [int(word) for file in children for word in file.read_text().split()]
    return [pid for pid in pids if b"BatchMode=yes" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_lane_that_is_killed_is_made_good_by_the_others(stage: Stage, first: Path) -> None:
    del first
    bundle = stage.pack("killed", seed=26, weights=64 * MIB)
    stage.lab.slow(FAR, rate="100mbit")
    try:
        process = stage.begin_ship(stage.definition(FAR), bundle)
        for more in (8, 24):
            stage.wait_for_partial(FAR, more * MIB)
            os.kill(lanes_of(process.pid)[0], signal.SIGKILL)
            time.sleep(0.2)
        said, errors = process.communicate(timeout=200)
    finally:
        stage.lab.restore(FAR)
    assert process.returncode == 0, (said, errors)
    assert_arrived(stage, bundle)
    (receipt,) = json.loads(said)["hosts"]
    assert 64 * MIB < receipt["sent_bytes"] < 64 * MIB + 48 * MIB
