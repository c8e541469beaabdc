"""Whatever befalls a set of volumes, it is made whole again, or what is lost is named and nothing changes."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from kit.bundle.recover import recover_volumes
from kit.bundle.source import open_bundle
from kit.bundle.verify import verify_bundle
from kit.bundle.verify_volumes import naming_volumes, verify_parity
from kit.bundle.volume_set import VolumeSet
from kit.bundle.volumes import VolumeForm, parse_volumes
from kit.errors import VerificationError
from kit.progress import NoProgress
from tests.unit.bundle.factories import as_tarball, local_tree, packed_bundle

pytestmark = pytest.mark.property

SHARES = 14
harm = st.tuples(
    st.sampled_from(["lose", "flip", "cut", "foreign", "swap", "rename"]),
    st.integers(0, SHARES - 1),
    st.integers(0, SHARES - 1),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve volumes in one group, with two of parity."""
    folder = tmp_path_factory.mktemp("laws")
    weights = {"w.safetensors": random.Random(3).randbytes(240_000)}
    source = packed_bundle(folder, images=(), trees=(local_tree(folder / "model", weights),))
    each = -(-as_tarball(source, folder / "one.tar").stat().st_size // 12 // 512) * 512
    (folder / "set").mkdir()
    listing = as_tarball(source, folder / "set" / "b.tar", VolumeForm(each, 2))
    assert len(parse_volumes(listing.read_bytes(), "").shares) == SHARES
    shutil.rmtree(folder / "set" / "b.tar.partial")
    return folder / "set"


def volumes_of(folder: Path) -> VolumeSet:
    path = folder / "b.tar.volumes.json"
    return VolumeSet(parse_volumes(path.read_bytes(), ""), path)


def do(found: VolumeSet, kind: str, first: int, second: int) -> None:
    """Let one thing happen to a set."""
    path, other = found.path(first), found.path(second)
    data = path.read_bytes() if path.exists() else b""
    if kind == "lose":
        path.unlink(missing_ok=True)
    elif kind == "flip" and data:
        place = len(data) // 2
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    elif kind == "cut" and data:
        path.write_bytes(data[: len(data) // 3])
    elif kind == "foreign":
        path.write_bytes(bytes(range(256)) * 16)
    elif kind == "swap" and path.exists() and other.exists():
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)
    elif kind == "rename" and path.exists():
        path.rename(found.folder / f"b.tar.disc{first}")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def verify(path: Path) -> None:
    with naming_volumes(path, NoProgress()):
        verify_bundle(open_bundle(path), NoProgress())
        verify_parity(path, NoProgress())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(harm, min_size=1, max_size=5))
def test_a_set_is_made_whole_or_its_losses_are_named(
    whole: Path, tmp_path: Path, harms: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path / "set"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    found, before = volumes_of(folder), contents(whole)
    for kind, first, second in harms:
        do(found, kind, first, second)
    harmed = contents(folder)
    lost = [share for share in range(SHARES) if before[found.path(share).name] not in harmed.values()]
    if harmed != before:
        with pytest.raises(VerificationError):
            verify(found.list_path)
        assert contents(folder) == harmed
    event(f"{min(len(lost), 3)} lost")
    if len(lost) > 2:
        with pytest.raises(VerificationError) as caught:
            recover_volumes(folder, NoProgress())
        assert all(found.path(share).name in caught.value.what for share in lost)
        assert contents(folder) == harmed
        return
    recover_volumes(folder, NoProgress())
    after = contents(folder)
    assert {name: after[name] for name in before} == before
    assert all(".disc" in name or name.endswith(".aside") for name in after.keys() - before.keys())
    verify(found.list_path)
