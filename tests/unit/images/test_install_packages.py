from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from kit.errors import ConfigError, TransferError
from kit.images.install_packages import cache_folder, free_from_machine, install_layers
from kit.images.packages import PackageLock, Pin
from kit.images.stacks import BuiltImage, LayerGroup, find_stack
from tests.unit.images.fakes import FakeInstaller

A, B = "a" * 64, "b" * 64
CPU = find_stack("cpu")
LOCK = PackageLock((Pin("rich", "15.0", (A,)), Pin("torch", "2.13.0", (B,))))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "cache"))


def _rule() -> BuiltImage:
    rule = CPU.image("kit")
    assert isinstance(rule, BuiltImage)
    return replace(rule, layers=(LayerGroup("torch", ("torch",)), LayerGroup("rest", ("*",))))


def test_each_group_is_installed_from_its_own_pins() -> None:
    installer = FakeInstaller(files={"pkg/__init__.py": b"x = 1\n"})
    torch, rest = install_layers(_rule(), CPU, LOCK, installer, None)
    assert (torch.name, rest.name) == ("torch", "rest")
    assert torch.size == 6
    assert torch.folder != rest.folder
    assert [text.split(" ")[0] for text in installer.requirements] == ["torch==2.13.0", "rich==15.0"]


def test_an_unchanged_group_is_not_installed_again() -> None:
    installer = FakeInstaller(files={"pkg/__init__.py": b""})
    first = install_layers(_rule(), CPU, LOCK, installer, None)
    changed = PackageLock((Pin("rich", "15.1", (A,)), LOCK.pins[1]))
    second = install_layers(_rule(), CPU, changed, installer, None)
    assert len(installer.commands) == 3
    assert first[0].folder == second[0].folder
    assert first[1].folder != second[1].folder


def test_a_group_without_packages_has_no_folder() -> None:
    layers = install_layers(_rule(), CPU, PackageLock(LOCK.pins[1:]), FakeInstaller(files={"a": b""}), None)
    assert layers[1].folder is None
    assert layers[1].size == 0


def test_a_failed_installation_leaves_nothing_behind() -> None:
    with pytest.raises(TransferError):
        install_layers(_rule(), CPU, LOCK, FakeInstaller(out_of_reach=True), None)
    assert list((cache_folder() / "packages").iterdir()) == []


def test_what_the_stack_leaves_out_is_not_there_and_names_another_folder() -> None:
    files = {"pkg/__init__.py": b"", "pkg/tests/a.py": b"x"}
    whole = install_layers(_rule(), CPU, LOCK, FakeInstaller(files=files), None)
    stack = replace(CPU, leave_out=("pkg/tests",))
    without = install_layers(_rule(), stack, LOCK, FakeInstaller(files=files), None)
    assert [layer.size for layer in (*whole, *without)] == [1, 1, 0, 0]
    assert {layer.folder for layer in whole}.isdisjoint(layer.folder for layer in without)


def test_too_large_a_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"layer 'torch' of kit has 6 bytes") as caught:
        install_layers(_rule(), CPU, LOCK, FakeInstaller(files={"a": b"123456"}), None, limit=6)
    assert "split its group" in caught.value.fix


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "first_lines",
    ["#!/home/me/.venv/bin/python3.11\n", "#!/bin/sh\n'''exec' '/a very/long/python' \"$0\" \"$@\"\n' '''\n"],
)
def test_scripts_start_the_images_own_python(tmp_path: Path, first_lines: str) -> None:
    script = _write(tmp_path, "bin/tool", f"{first_lines}import sys\n")
    script.chmod(0o755)
    free_from_machine(tmp_path)
    assert script.read_text(encoding="utf-8") == "#!/opt/kit/bin/python\nimport sys\n"
    assert script.stat().st_mode & 0o777 == 0o755


def test_other_scripts_stay_as_they_are(tmp_path: Path) -> None:
    script = _write(tmp_path, "bin/tool", "#!/bin/sh\necho python\n")
    free_from_machine(tmp_path)
    assert script.read_text(encoding="utf-8") == "#!/bin/sh\necho python\n"


def test_traces_of_the_installing_machine_are_removed(tmp_path: Path) -> None:
    _write(tmp_path, ".lock", "")
    _write(tmp_path, "rich/__pycache__/a.pyc", "")
    _write(tmp_path, "rich-15.dist-info/uv_cache.json", "{}")
    _write(tmp_path, "rich-15.dist-info/direct_url.json", "{}")
    record = _write(
        tmp_path,
        "rich-15.dist-info/RECORD",
        "rich/a.py,sha256=x,1\nrich/__pycache__/a.pyc,sha256=x,1\nbin/tool,sha256=y,2\nrich-15.dist-info/uv_cache.json,sha256=z,3\n",
    )
    free_from_machine(tmp_path)
    assert record.read_text(encoding="utf-8") == "rich/a.py,sha256=x,1\n"
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"rich-15.dist-info/RECORD"}


def test_a_hard_link_into_uvs_cache_is_not_written_through(tmp_path: Path) -> None:
    cached = _write(tmp_path, "cache/tool", "#!/usr/bin/python\n")
    (tmp_path / "layer/bin").mkdir(parents=True)
    (tmp_path / "layer/bin/tool").hardlink_to(cached)
    free_from_machine(tmp_path / "layer")
    assert cached.read_text(encoding="utf-8") == "#!/usr/bin/python\n"


WITH_EXTRA = "a; extra == 'x'"


def _metadata(*requires: str) -> bytes:
    lines = "".join(f"Requires-Dist: {line}\n" for line in requires)
    return f"Name: deepspeed\nRequires-Python: >=3\n{lines}Provides-Extra: x\n\nRequires-Dist: z\n".encode()


def _recorded(metadata: bytes) -> str:
    digest = urlsafe_b64encode(hashlib.sha256(metadata).digest()).decode().rstrip("=")
    return f"deepspeed-0.18.4.dist-info/METADATA,sha256={digest},{len(metadata)}\n"


def _built(folder: Path, *requires: str) -> tuple[bytes, str]:
    info = folder / "deepspeed-0.18.4.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_bytes(_metadata(*requires))
    (info / "RECORD").write_text(_recorded(_metadata(*requires)) + "a.py,sha256=x,1\n")
    free_from_machine(folder, ("deepspeed",))
    return (info / "METADATA").read_bytes(), (info / "RECORD").read_text()


def test_what_was_built_from_source_names_its_requirements_in_one_order(tmp_path: Path) -> None:
    found = _built(tmp_path / "1", "b", WITH_EXTRA)
    assert found == _built(tmp_path / "2", WITH_EXTRA, "b")
    assert found == (_metadata(WITH_EXTRA, "b"), "a.py,sha256=x,1\n" + _recorded(_metadata(WITH_EXTRA, "b")))


def test_what_came_as_a_wheel_keeps_its_metadata(tmp_path: Path) -> None:
    info = tmp_path / "other-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(_metadata("b", "a"))
    free_from_machine(tmp_path, ("deepspeed",))
    assert (info / "METADATA").read_bytes() == _metadata("b", "a")


def test_packages_are_built_with_one_seed_and_on_one_day() -> None:
    installer = FakeInstaller(files={"a": b""})
    install_layers(_rule(), CPU, LOCK, installer, None)
    assert {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "315619200"}.items() <= dict(
        installer.commands[0].env
    ).items()
