from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import ConfigError
from kit.workflow.bundle_places import Wanted, bundle_places

TAR = Path("crossing.tar")


def test_without_a_word_it_is_a_folder_beside_kit_yaml(tmp_path: Path) -> None:
    places = bundle_places(tmp_path, Wanted())
    assert (places.folder, places.tarball, places.opened) == (tmp_path / "bundle", None, tmp_path / "bundle")


def test_a_name_ending_in_tar_is_a_tarball_alone() -> None:
    places = bundle_places(Path("x"), Wanted((TAR,)))
    assert (places.folder, places.tarball, places.form, places.opened) == (None, TAR, None, TAR)


def test_volumes_are_opened_by_their_list() -> None:
    places = bundle_places(Path("x"), Wanted((TAR,), "1M", 2))
    assert places.form is not None
    assert (places.form.volume_size, places.form.parity) == (1 << 20, 2)
    assert places.opened == Path("crossing.tar.volumes.json")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted((TAR, Path("b.tar"))), "two places"),
        (Wanted((Path("a"), Path("b"))), "two places"),
        (Wanted((), "4G"), "only a tarball"),
        (Wanted((Path("folder"),), None, 1), "only a tarball"),
        (Wanted((TAR,), None, 1), "--volume-size 4G"),
        (Wanted((TAR,), "4G", 200), "--parity"),
        (Wanted((TAR,), "four"), "no volume size"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(wanted: Wanted, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        bundle_places(Path("x"), wanted)


def test_something_else_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    (tmp_path / "there.tar").mkdir()
    for name, what in (("there", "a file"), ("there.tar", "a folder")):
        with pytest.raises(ConfigError, match=f"{what} stands there"):
            bundle_places(tmp_path, Wanted((tmp_path / name,)))
