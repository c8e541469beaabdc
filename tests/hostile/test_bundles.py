"""Bundles as somebody could forge them, through `kit verify`, `kit inspect` and the agent on a host.

Each digest is right but for what the case is about. Layers have `test_layers`, members of tarballs
tests/unit/bundle/test_source.py, bytes `test_flips`.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.bundle.digest import blob_of
from kit.bundle.source import SMALL_LIMIT, open_bundle
from kit.bundle.tar_form import blob_name
from kit.cli.agent import answer
from tests.hostile.forge import canonical, forged_image, member, seen, tar_of_members
from tests.unit.bundle.factories import as_tarball, packed_bundle
from tests.unit.cli.test_main import run

OUT = "../../../../etc/cron.d/evil"
Document = dict[str, Any]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    packed_bundle(tmp_path)
    return tmp_path / "bundle"


def described(folder: Path, change: Callable[[Document], None]) -> bytes:
    """Change kit.json; return it."""
    document = json.loads((folder / "kit.json").read_bytes())
    change(document)
    (folder / "kit.json").write_bytes(canonical(document))
    return canonical(document)


def set_to(value: Any, *keys: str | int) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        for key in keys[:-1]:
            document = document[key]  # type: ignore[index]
        document[keys[-1]] = value  # type: ignore[index]

    return change


FILE = ("trees", 0, "files", 0)
LAYER = ("images", 0, "layers", 0)
DESCRIPTIONS: dict[str, tuple[Callable[[Document], None], str]] = {
    "a file above": (set_to(OUT, *FILE, "path"), "trees[0].files[0].path"),
    "a file from the root": (set_to("/etc/passwd", *FILE, "path"), "trees[0].files[0].path"),
    "a file behind a folder above": (set_to("a/../../b", *FILE, "path"), "trees[0].files[0].path"),
    "a file above in Windows' words": (set_to("..\\..\\b", *FILE, "path"), "trees[0].files[0].path"),
    "a file that is its folder (CVE-2018-20685)": (set_to(".", *FILE, "path"), "trees[0].files[0].path"),
    "a file of no name (CVE-2018-20685)": (set_to("", *FILE, "path"), "trees[0].files[0].path"),
    "a file that is a folder": (set_to("weights", *FILE, "path"), "both a file and a folder"),
    "two files of one name": (set_to("weights/model.safetensors", *FILE, "path"), "the same path twice"),
    "a name that is a path": (set_to("../kit", "images", 0, "name"), "images[0].name"),
    "a model's name that is a path": (set_to("..", "trees", 0, "name"), "trees[0].name"),
    "a name that clears the screen": (set_to("\x1b[2J", "trees", 0, "source"), "trees[0].source"),
    "a digest that is a path (CVE-2024-3727)": (
        set_to("sha256:../../../../etc/shadow", *LAYER, "digest"),
        "layers[0].digest",
    ),
    "a digest of another kind": (set_to("md5:" + "0" * 32, *LAYER, "digest"), "layers[0].digest"),
    "a short digest": (set_to("sha256:abc", *LAYER, "digest"), "layers[0].digest"),
    "an empty digest": (set_to("", "images", 0, "config", "digest"), "config.digest"),
    "a digest of other bytes": (set_to("sha256:" + "0" * 64, *LAYER, "digest"), "manifest of 'train'"),
    "a size below zero": (set_to(-1, *LAYER, "size"), "layers[0].size"),
    "a size without end": (set_to(1 << 64, *LAYER, "size"), "layers[0].size"),
    "a size that lies": (set_to(7, *LAYER, "size"), "manifest of 'train'"),
    "a link elsewhere": (set_to(["https://mallory.example"], *LAYER, "urls"), "layers[0].urls"),
    "a key of its own": (set_to(1, "run_after_load"), "run_after_load"),
    "two sizes of one blob": (set_to({"digest": "sha256:" + "2" * 64, "size": 1}, "documents"), "documents"),
}


def refused(place: Path, *words: str) -> None:
    """`kit verify` and `kit inspect` refuse it, say why, and touch nothing."""
    before = seen(place) if place.is_dir() else {}
    for command in (("verify",), ("verify", "--deep"), ("inspect", "--tree")):
        found = run(*command, "-b", str(place))
        assert found.exit_code == 3, found.stderr
        assert all(word in found.stderr for word in words), found.stderr
        assert "\x1b" not in found.stderr
    assert not place.is_dir() or seen(place) == before


def agent_refuses(folder: Path, manifest: bytes) -> None:
    """A host refuses an order with this kit.json before it writes anything."""
    root = folder / "host"
    request = {
        "pipe": "pipe-00",
        "who": "mallory",
        "store": {"containerd": False, "version": "20.10"},
        "manifest": manifest.decode(),
        "images": ["train"],
        "trees": [],
        "keeps": [],
        "sends": [],
    }
    stdin: io.BufferedReader = io.BufferedReader(io.BytesIO(json.dumps(request).encode() + b"\n"))
    out = io.BytesIO()
    assert answer("ship", str(root), stdin, out) == 3, out.getvalue()
    assert not root.exists()


@pytest.mark.parametrize(("change", "word"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_description_that_lies_is_refused(
    tmp_path: Path, bundle: Path, change: Callable[[Document], None], word: str
) -> None:
    data = described(bundle, change)
    refused(bundle, word)
    agent_refuses(tmp_path, data)


def test_another_layers_identity_is_refused(bundle: Path) -> None:
    described(bundle, set_to("sha256:" + "1" * 64, *LAYER, "diff_id"))
    refused(bundle, "index.json is not the one")


def test_a_key_that_is_there_twice_is_refused(bundle: Path) -> None:
    path = bundle / "kit.json"
    path.write_bytes(path.read_bytes().replace(b'"name":"demo"', b'"name":"demo","name":"demo"', 1))
    refused(bundle, "not canonical")


@pytest.mark.parametrize("name", ["kit.json", "kit.lock", "kit.json.sig"])
def test_a_describing_file_without_end_is_refused(bundle: Path, name: str) -> None:
    with (bundle / name).open("wb") as file:
        file.truncate(SMALL_LIMIT + 1)
    refused(bundle, "larger than", name)


def blob_of_train(bundle: Path) -> Path:
    source = open_bundle(bundle)
    return bundle / blob_name(source.manifest.images[0].layers[0].digest)


def _outside(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def _chain(path: Path) -> None:
    (path.parent / "link").symlink_to("/etc/hostname")
    path.symlink_to("link")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _foreign(path: Path) -> None:
    other = path.parents[3] / "foreign"
    other.write_bytes(b"a file of somebody else's")
    os.link(other, path)


def _nothing(path: Path) -> None:
    del path


def _folder(path: Path) -> None:
    path.mkdir()


def _larger(path: Path) -> None:
    path.write_bytes(bytes(1 << 20))


@pytest.mark.parametrize(
    "instead",
    [_outside, _chain, _pipe, _foreign, _nothing, _folder, _larger],
    ids=lambda f: f.__name__,
)
def test_what_is_no_blob_in_a_blobs_place_is_refused(bundle: Path, instead: Callable[[Path], None]) -> None:
    path = blob_of_train(bundle)
    path.unlink()
    instead(path)
    refused(bundle, f"sha256:{path.name}")


def test_a_blob_of_another_image_in_a_blobs_place_is_refused_by_its_digest(bundle: Path) -> None:
    path = blob_of_train(bundle)
    other = bytes(path.stat().st_size)
    path.chmod(0o644)
    path.write_bytes(other)
    found = run("verify", "-b", str(bundle))
    assert found.exit_code == 3
    assert "image train" in found.stderr
    assert blob_of(other).digest in found.stderr


def test_an_image_whose_config_names_other_layers_is_refused(tmp_path: Path) -> None:
    bundle = forged_image(tmp_path / "bundle", tar_of_members(member("a", b"x")), config_layer=b"other")
    found = run("verify", "-b", str(bundle))
    assert found.exit_code == 3
    assert "train" in found.stderr


@pytest.mark.parametrize("name", [OUT, "/etc/passwd", "kit.json", "blobs/sha256/" + "0" * 64, "."])
def test_a_member_too_many_of_a_tarball_is_refused(tmp_path: Path, bundle: Path, name: str) -> None:
    tarball = as_tarball(open_bundle(bundle), tmp_path / "b.tar")
    extra = tar_of_members(member(name, b"x"))[:1024]
    tarball.write_bytes(extra + tarball.read_bytes())
    refused(tarball, "not a tarball as kit writes it")


def test_what_was_forged_here_is_accepted_but_for_the_forgery(tmp_path: Path, bundle: Path) -> None:
    described(bundle, lambda _: None)
    for place in (bundle, as_tarball(open_bundle(bundle), tmp_path / "b.tar")):
        for command in (("verify",), ("verify", "--deep"), ("inspect", "--tree")):
            assert run(*command, "-b", str(place)).exit_code == 0
    plain = forged_image(tmp_path / "forged", tar_of_members(member("a", b"x")))
    assert run("verify", "--deep", "-b", str(plain)).exit_code == 0
