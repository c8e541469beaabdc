"""Whatever a layer holds: once it is allowed, an unpacker that follows every link stays in its folder."""

from __future__ import annotations

import os
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from kit.bundle.layer_law import check_layer_tar
from kit.errors import VerificationError
from tests.hostile.forge import member, tar_of_members

pytestmark = pytest.mark.property

FILE, LINK, HARD, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
part = st.sampled_from(["a", "b", "c", "."])
name = st.lists(part, min_size=1, max_size=3).map("/".join)
target = st.lists(st.sampled_from(["a", "b", "..", "."]), min_size=1, max_size=4).map("/".join)
elsewhere = st.just("OUTSIDE")
one = st.one_of(
    st.tuples(st.just(FILE), name, st.just("")),
    st.tuples(st.just(FOLDER), name, st.just("")),
    st.tuples(st.just(LINK), name, target | elsewhere),
    st.tuples(st.just(HARD), name, name | target),
)
Members = list[tuple[bytes, str, str]]


def unpack(members: Members, root: Path) -> None:
    """Do what the most careless unpacker would."""
    for kind, path, link in members:
        with suppress(OSError):
            place = root / path
            if kind == FOLDER:
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if kind == FILE:
                place.write_bytes(b"x")
            elif kind == LINK:
                place.symlink_to(link)
            else:
                os.link(root / link, place, follow_symlinks=False)


@settings(max_examples=400, deadline=None)
@given(st.lists(one, min_size=2, max_size=6))
def test_an_allowed_layer_never_leads_out(members: Members) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        outside = Path(folder) / "outside"
        root = outside / "1" / "2" / "3" / "4" / "root"
        root.mkdir(parents=True)
        (root.parent / "secret").write_bytes(b"s")
        members = [(kind, path, link.replace("OUTSIDE", str(outside))) for kind, path, link in members]
        headers = (
            member(path, b"x" if kind == FILE else b"", type=kind, linkname=link)
            for kind, path, link in members
        )
        try:
            check_layer_tar((tar_of_members(*headers),), "layer")
        except VerificationError:
            event("refused")
            return
        event("allowed")
        before = sorted(path for path in outside.rglob("*") if root not in path.parents)
        unpack(members, root)
        assert sorted(path for path in outside.rglob("*") if root not in path.parents) == before
        assert (root.parent / "secret").stat().st_nlink == 1
