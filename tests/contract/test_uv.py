"""What kit relies on in uv, asked of the real one, with a folder of wheels in place of an index."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from kit.errors import TransferError
from kit.images.install_packages import install_layers
from kit.images.lock_packages import Resolver
from kit.images.packages import PackageLock, Pin
from kit.images.stacks import BuiltImage, LayerGroup, find_stack
from kit.images.uv_subprocess import UnsolvableError, UvSubprocess

CPU = find_stack("cpu")
OLD = PackageLock((Pin("tiny-a", "1.0", ("0" * 64,)),))


def wheel(folder: Path, name: str, version: str, requires: str = "") -> str:
    """Write a wheel; return its sha256."""
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    requires = f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
        )
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Hashes of the wheels that uv finds."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "kit"))
    return {
        "a1": wheel(folder, "tiny_a", "1.0"),
        "a2": wheel(folder, "tiny_a", "2.0"),
        "b1": wheel(folder, "tiny_b", "1.0", "tiny-a"),
    }


def rule() -> BuiltImage:
    return replace(CPU.built_image("kit"), drop=(), layers=(LayerGroup("all", ("*",)),))


def resolve(
    requirements: str, preferred: PackageLock | None = None
) -> dict[str, tuple[str, tuple[str, ...]]]:
    found = Resolver(rule(), CPU, UvSubprocess(), preferred=preferred).resolve(requirements)
    return {pin.name: (pin.version, pin.hashes) for pin in found.pins}


def test_the_newest_are_taken_and_hashed(hashes: dict[str, str]) -> None:
    assert resolve("tiny-b==1.0\n") == {
        "tiny-a": ("2.0", (hashes["a2"],)),
        "tiny-b": ("1.0", (hashes["b1"],)),
    }


def test_a_release_that_is_preferred_stays_where_it_may(hashes: dict[str, str]) -> None:
    assert resolve("tiny-b==1.0\n", OLD)["tiny-a"][0] == "1.0"
    assert resolve("tiny-b==1.0\ntiny-a>=2\n", OLD)["tiny-a"] == ("2.0", (hashes["a2"],))


@pytest.mark.usefixtures("hashes")
def test_what_contradicts_itself_is_told_from_what_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsolvableError, match="there is no version of tiny-a==3"):
        resolve("tiny-a==3\n", OLD)
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(TransferError) as caught:
        resolve("tiny-c==3\n")
    assert not isinstance(caught.value, UnsolvableError)


def test_only_the_locked_bytes_are_installed(hashes: dict[str, str], tmp_path: Path) -> None:
    locked = PackageLock((Pin("tiny-a", "1.0", (hashes["a1"],)),))
    (layer,) = install_layers(rule(), CPU, locked, UvSubprocess(), None)
    assert layer.folder is not None
    assert (layer.folder / "tiny_a.py").read_text() == "VERSION = '1.0'\n"
    wheel(tmp_path / "wheels", "tiny_b", "1.0")
    other = PackageLock((Pin("tiny-b", "1.0", (hashes["b1"],)),))
    with pytest.raises(TransferError, match="Hash mismatch"):
        install_layers(rule(), CPU, other, UvSubprocess(), None)
