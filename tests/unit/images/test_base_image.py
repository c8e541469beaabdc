from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kit.errors import ConfigError, TransferError
from kit.images.base_image import by_digest, ensure_base, root_digest
from kit.images.debootstrap_root import debootstrap_argv, tar_argv
from kit.images.stacks import Debootstrap, PulledImage
from kit.progress import NoProgress
from kit.project.image_reference import mirrored
from kit.project.model import Mirrors
from tests.unit.bundle.fake_engine import tar_of
from tests.unit.images.fakes import DIGEST, FakeEngine, FakeRoots

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Debootstrap("bookworm", ("gcc", "python3"))


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("python:3.11", "mirror.lan/library/python:3.11"),
        ("nvidia/cuda:12", "mirror.lan/nvidia/cuda:12"),
        ("ghcr.io/conardli/easy-dataset:1", "mirror.lan/conardli/easy-dataset:1"),
        ("registry:5000/a/b", "mirror.lan/a/b"),
    ],
)
def test_a_mirror_keeps_an_image_under_its_path(reference: str, expected: str) -> None:
    assert mirrored(reference, "mirror.lan") == expected
    assert mirrored(reference, None) == reference


def test_images_are_pulled_by_digest_without_their_tag() -> None:
    assert by_digest(PulledImage("python:3.11", DIGEST), None) == f"python@{DIGEST}"
    image = PulledImage("registry:5000/a/b", DIGEST)
    assert by_digest(image, None) == f"registry:5000/a/b@{DIGEST}"
    assert by_digest(image, "mirror:1/x") == f"mirror:1/x/a/b@{DIGEST}"


def test_an_image_without_digest_is_not_pulled() -> None:
    engine = FakeEngine()
    with pytest.raises(ConfigError, match="not resolved yet") as caught:
        ensure_base(PulledImage("python:3.11"), Mirrors(), engine, FakeRoots(), NoProgress())
    assert caught.value.fix.startswith("kit lock")
    assert engine.pulled == []


def test_a_pulled_base_gets_a_tag_that_every_builder_finds() -> None:
    engine = FakeEngine()
    tag = ensure_base(PulledImage("python:3.11", DIGEST), Mirrors(), engine, FakeRoots(), NoProgress())
    assert engine.pulled == [(f"python@{DIGEST}", tag)]
    assert tag.startswith("kit.invalid/base:")


def test_a_root_is_made_with_the_mirror_and_imported_under_its_label() -> None:
    engine, roots = FakeEngine(), FakeRoots(b"root")
    tag = ensure_base(ROOT, Mirrors(apt="http://mirror.lan/debian"), engine, roots, NoProgress())
    assert roots.made == [(ROOT, "http://mirror.lan/debian")]
    ((data, imported_tag, changes),) = engine.imported
    assert (data, imported_tag) == (b"root", tag)
    assert f"LABEL kit.root={root_digest(ROOT)}" in changes


def test_a_root_that_the_engine_has_is_not_made_again() -> None:
    engine, roots = FakeEngine(labels={("kit.root", root_digest(ROOT)): "sha256:root"}), FakeRoots()
    ensure_base(ROOT, Mirrors(), engine, roots, NoProgress())
    assert roots.made == []
    assert engine.imported == []


def test_another_list_of_packages_is_another_root() -> None:
    assert root_digest(ROOT) != root_digest(Debootstrap("bookworm", ("python3",)))


def test_a_root_over_another_is_built_from_what_it_adds() -> None:
    spec = replace(ROOT, over=("python3",))
    assert spec.beneath is not None
    holds, root = tar_of({"bin/sh": b"sh"}), tar_of({"bin/sh": b"sh", "bin/gcc": b"gcc"})
    engine, roots = FakeEngine(holds=holds), FakeRoots(root)
    tag = ensure_base(spec, Mirrors(), engine, roots, NoProgress())
    assert [made for made, _ in roots.made] == [spec.beneath, spec]
    ((_, lower, _),) = engine.imported
    assert engine.exports == [lower]
    ((request, data),) = engine.bases
    assert request.tag == tag
    with tarfile.open(fileobj=io.BytesIO(data)) as context:
        dockerfile = context.extractfile("Dockerfile")
        added = context.extractfile("layer/added.tar")
        assert dockerfile is not None
        assert added is not None
        assert dockerfile.read().decode().splitlines() == [
            f"FROM {lower}",
            "ADD layer/added.tar /",
            f"LABEL kit.root={root_digest(spec)}",
        ]
        with tarfile.open(fileobj=io.BytesIO(added.read())) as layer:
            assert layer.getnames() == ["bin/gcc"]


def test_a_root_that_turns_out_not_to_be_whole_is_built_into_nothing() -> None:
    class Broken(FakeRoots):
        def make(self, spec: Debootstrap, apt_mirror: str | None) -> Iterator[bytes]:
            self.made.append((spec, apt_mirror))
            yield tar_of({})
            if spec.over:
                raise TransferError("the new root cannot be read")

    engine = FakeEngine()
    with pytest.raises(TransferError, match="cannot be read"):
        ensure_base(replace(ROOT, over=("python3",)), Mirrors(), engine, Broken(), NoProgress())
    assert engine.bases == []


def test_a_lower_root_that_the_engine_has_is_not_made_again() -> None:
    spec = replace(ROOT, over=("python3",))
    assert spec.beneath is not None
    empty = tar_of({})
    engine = FakeEngine({("kit.root", root_digest(spec.beneath)): "sha256:lower"}, holds=empty)
    roots = FakeRoots(empty)
    ensure_base(spec, Mirrors(), engine, roots, NoProgress())
    assert [made for made, _ in roots.made] == [spec]


def test_a_root_in_two_layers_is_another_one_than_the_same_in_one() -> None:
    assert root_digest(replace(ROOT, over=("python3",))) != root_digest(ROOT)


def test_debootstrap_uses_its_own_mirror_unless_told() -> None:
    argv = debootstrap_argv(ROOT, "/tmp/root", None)
    assert argv[:2] == ("env", "SOURCE_DATE_EPOCH=315619200")
    assert argv[2:] == ("debootstrap", "--variant=minbase", "--include=gcc,python3", "bookworm", "/tmp/root")
    assert debootstrap_argv(ROOT, "/tmp/root", "http://m")[-1] == "http://m"


def test_the_root_leaves_behind_what_names_this_machine() -> None:
    left_out = {word for word in tar_argv("/tmp/root") if word.startswith("--exclude=")}
    assert {"--exclude=./etc/hostname", "--exclude=./etc/resolv.conf", "--exclude=./var/log/*"} <= left_out
