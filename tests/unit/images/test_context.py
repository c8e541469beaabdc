from __future__ import annotations

import os
import tarfile
from io import BytesIO
from pathlib import Path

from kit import __version__
from kit.images.context import MTIME, ContextPart, TextFile, Tree, context_size, write_context
from kit.images.image_inputs import own_package
from kit.sbom.package import Package
from kit.sbom.python_packages import python_package


def _written(*parts: ContextPart) -> bytes:
    sink = BytesIO()
    write_context(parts, sink)
    return sink.getvalue()


def _members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=BytesIO(data)) as tar:
        return {member.name: member for member in tar.getmembers()}


def _folder(place: Path, *names: str) -> Path:
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name, encoding="utf-8")
    return place


def test_same_contents_give_the_same_bytes_whatever_their_times_owners_and_order(tmp_path: Path) -> None:
    one = _folder(tmp_path / "one", "a/x", "b", "c")
    two = _folder(tmp_path / "two", "c", "b", "a/x")
    os.utime(two / "b", (1, 1))
    (two / "c").chmod(0o600)
    assert _written(Tree("t", one), TextFile("z", "1")) == _written(TextFile("z", "1"), Tree("t", two))


def test_members_are_roots_with_fixed_times(tmp_path: Path) -> None:
    members = _members(_written(Tree("t", _folder(tmp_path, "a/x"))))
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in members.values()} == {
        (0, 0, "", MTIME)
    }


def test_parts_may_share_folders_and_each_folder_comes_once(tmp_path: Path) -> None:
    one, two = _folder(tmp_path / "one", "pkg/a"), _folder(tmp_path / "two", "pkg/b")
    with tarfile.open(fileobj=BytesIO(_written(Tree("t", one), Tree("t", two)))) as tar:
        assert tar.getnames() == ["t", "t/pkg", "t/pkg/a", "t/pkg/b"]


def test_an_empty_tree_is_an_empty_folder() -> None:
    assert list(_members(_written(Tree("layers/cuda", None)))) == ["layers", "layers/cuda"]


def test_first_parts_of_paths_are_renamed_and_the_rest_prefixed(tmp_path: Path) -> None:
    tree = Tree("t", _folder(tmp_path, "bin/tool", "rich/a"), rename=(("bin", "bin"), ("", "lib/site/")))
    files = {name for name, member in _members(_written(tree)).items() if member.isfile()}
    assert files == {"t/bin/tool", "t/lib/site/rich/a"}


def test_patterns_stay_behind_at_any_depth(tmp_path: Path) -> None:
    tree = Tree(
        "t", _folder(tmp_path, "a/x.py", "a/__pycache__/x.pyc", "b.lock"), leave_out=("__py*", "*.lock")
    )
    assert set(_members(_written(tree))) == {"t", "t/a", "t/a/x.py"}
    assert tree.files() == (("t/a/x.py", tmp_path / "a/x.py"),)


def test_executables_and_links_stay_what_they_are(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "run")
    (folder / "run").chmod(0o744)
    (folder / "link").symlink_to("run")
    members = _members(_written(Tree("t", folder), TextFile("u", "", executable=True)))
    assert members["t/run"].mode == 0o755
    assert members["u"].mode == 0o755
    assert members["t/link"].linkname == "run"


def test_hard_linked_files_are_written_out_each(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "a")
    (folder / "b").hardlink_to(folder / "a")
    assert all(
        member.isfile() for name, member in _members(_written(Tree("t", folder))).items() if name != "t"
    )


def test_progress_hears_every_byte_of_the_folders(tmp_path: Path) -> None:
    parts = (Tree("t", _folder(tmp_path, "ab", "c/d")), TextFile("z", "not counted"))
    heard: list[int] = []
    write_context(parts, BytesIO(), heard.append)
    assert sum(heard) == context_size(parts) == len("ab") + len("c/d")


def test_kit_names_its_own_licence_in_its_image_and_nothing_that_is_not_installed_there() -> None:
    parts = own_package()
    (metadata,) = (part for part in parts if isinstance(part, TextFile) and part.place.endswith("/METADATA"))
    package = python_package(metadata.content, metadata.place)
    assert package == Package("pypi", "airgap-kit", __version__, ("Apache-2.0",), place=metadata.place)
    places = [place for part in parts if isinstance(part, Tree) for place, _ in part.files()]
    assert places
    assert not [place for place in places if ".dist-info/" in place]
