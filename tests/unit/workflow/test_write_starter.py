from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path

import pytest

from kit.bundle.source import BundleSource, open_bundle
from kit.bundle.volumes import VolumeForm
from kit.errors import ConfigError, VerificationError
from kit.progress import NoProgress
from kit.ship.engine.portable_archive import portable_archive_chunks
from kit.workflow.write_starter import WrittenStarter, plan_starter, write_starter
from tests.unit.bundle.factories import as_tarball, packed_bundle
from tests.unit.cli.test_main import run
from tests.unit.ship.factories import ship_bundle_source


def written(path: Path, source: BundleSource) -> WrittenStarter:
    return write_starter(path, source, "1.0", NoProgress())


def test_the_archive_lies_beside_the_bundle_and_the_script_knows_its_sha256(tmp_path: Path) -> None:
    source = ship_bundle_source(tmp_path)
    image = source.manifest.image("kit")
    assert image is not None
    made = written(tmp_path / "bundle", source)
    data = Path(made.archive).read_bytes()
    assert gzip.decompress(data) == b"".join(portable_archive_chunks(source, image))
    script = Path(made.script).read_text()
    assert f"sha256={hashlib.sha256(data).hexdigest()}\n" in script
    assert f"archive={Path(made.archive).name}\n" in script
    assert "bundle=bundle\n" in script
    assert "root=/aisys/kit\n" in script
    assert (made.bytes, made.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert {path.name for path in tmp_path.iterdir()} >= {"load.sh", Path(made.archive).name}
    assert not list(tmp_path.glob(".*.new"))
    assert os.access(made.script, os.X_OK)


def test_it_is_no_part_of_the_bundle_whatever_its_form(tmp_path: Path) -> None:
    source = ship_bundle_source(tmp_path / "made")
    form = VolumeForm(8192, 1)
    for name, path in {
        "bundle": tmp_path / "made" / "bundle",
        "one": as_tarball(source, tmp_path / "one" / "crossing.tar"),
        "cut": as_tarball(source, tmp_path / "cut" / "crossing.tar", form),
    }.items():
        made = written(path, open_bundle(path))
        assert made.bundle == str(path), name
        assert open_bundle(path).manifest_bytes == source.manifest_bytes
        assert Path(made.script).parent == path.parent
    # The folder still names its one bundle.
    assert open_bundle(tmp_path / "cut").manifest_bytes == source.manifest_bytes


def test_a_set_of_volumes_is_named_by_its_list(tmp_path: Path) -> None:
    source = ship_bundle_source(tmp_path / "made")
    as_tarball(source, tmp_path / "crossing.tar", VolumeForm(8192, 0))
    made = written(tmp_path / "crossing.tar", source)
    assert "bundle=crossing.tar.volumes.json\n" in Path(made.script).read_text()


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path) -> None:
    source = ship_bundle_source(tmp_path)
    first = Path(written(tmp_path / "bundle", source).archive).read_bytes()
    assert Path(written(tmp_path / "bundle", source).archive).read_bytes() == first


def test_a_damaged_image_is_not_written(tmp_path: Path) -> None:
    source = ship_bundle_source(tmp_path)
    image = source.manifest.image("kit")
    assert image is not None
    path = tmp_path / "bundle" / "blobs" / "sha256" / image.layers[1].digest[7:]
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(VerificationError):
        written(tmp_path / "bundle", source)
    assert not list(tmp_path.glob("*kit-*"))
    assert not (tmp_path / "load.sh").exists()


def test_a_bundle_without_kit_is_refused(tmp_path: Path) -> None:
    source = packed_bundle(tmp_path)
    with pytest.raises(ConfigError, match="no image of kit"):
        plan_starter(tmp_path / "bundle", source)


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    ship_bundle_source(tmp_path)
    place = str(tmp_path / "bundle")
    planned = json.loads(run("starter", "-b", place, "--dry-run", "--json").stdout)
    assert not (tmp_path / "load.sh").exists()
    done = run("starter", "-b", place, "--json")
    assert done.exit_code == 0
    made = json.loads(done.stdout)
    assert made["script"] == planned["script"] == str(tmp_path / "load.sh")
    assert made["bytes"] == Path(made["archive"]).stat().st_size
    assert "sh load.sh" in run("starter", "-b", place).stdout
