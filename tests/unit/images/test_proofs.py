"""The proofs that images run while they are built (images/*.py, loaded from their files)."""

from __future__ import annotations

import importlib.util
import marshal
import os
import py_compile
from pathlib import Path
from types import ModuleType

import pytest

from kit.data_files import data_folder


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, data_folder("images") / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prove = _load("prove")
keep_bytecode = _load("keep_bytecode")
OLD = "_ZN3c105ErrorC2ENS_14SourceLocationESs"
NEW = "_ZN3c105ErrorC2ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"


def test_an_extension_of_the_old_abi_is_told_from_a_torch_of_the_new() -> None:
    text = prove.explain_missing("vllm/_C.abi3.so", [OLD], {NEW}, "2.6.0+cu126")
    assert f"vllm/_C.abi3.so does not fit torch 2.6.0+cu126, which lacks {OLD}" in text
    assert "compiled for the old C++ ABI; this torch has the new one (_GLIBCXX_USE_CXX11_ABI=1)" in text
    assert "2.6.0 without +cu126" in text


def test_an_extension_of_the_new_abi_is_told_from_a_torch_of_the_old() -> None:
    text = prove.explain_missing("a.so", [NEW], {OLD}, "2.6.0")
    assert "compiled for the new C++ ABI; this torch has the old one (_GLIBCXX_USE_CXX11_ABI=0)" in text


def test_a_symbol_that_is_gone_altogether_is_another_release() -> None:
    text = prove.explain_missing("a.so", ["_ZN3c1013MessageLoggerC1EPKcii"], {NEW}, "2.13.0+cpu")
    assert "compiled for another release of torch" in text
    assert "ABI" not in text


def test_names_of_packages_are_compared_as_the_lock_writes_them() -> None:
    assert prove.canonical("Ruamel_yaml.Clib") == "ruamel-yaml-clib"


def test_a_version_other_than_the_locked_one_is_named() -> None:
    with pytest.raises(prove.ProofError, match=r"pytest: locked 0\.0\.1, found"):
        prove.prove_versions({"pytest": "0.0.1"})


def test_a_package_that_is_not_locked_is_named() -> None:
    with pytest.raises(prove.ProofError, match="pytest: not in the lock"):
        prove.prove_versions({})


def _package(folder: Path, *recorded: str) -> None:
    info = folder / "pkg-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pkg\nVersion: 1\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in recorded))


def test_a_file_that_a_package_lists_and_has_not_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _package(tmp_path, "pkg.py", "pkg/data.json")
    (tmp_path / "pkg.py").touch()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(prove.ProofError, match=r"1 files of packages are missing:\n  pkg/data\.json"):
        prove.prove_files()
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/data.json").touch()
    prove.prove_files()


def test_bytecode_loses_its_sources_time_and_still_runs(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("answer = 42\n", encoding="utf-8")
    cached = Path(py_compile.compile(str(source)) or "")
    assert keep_bytecode.keep(cached)
    data = cached.read_bytes()
    assert data[4:8] == (1).to_bytes(4, "little")  # hash-based, not checked (PEP 552)
    scope: dict[str, object] = {}
    exec(marshal.loads(data[16:]), scope)
    assert scope["answer"] == 42


def test_bytecode_is_the_same_whatever_the_sources_time(tmp_path: Path) -> None:
    made = []
    for seconds in (1_000_000, 2_000_000):
        source = tmp_path / "module.py"
        source.write_text("import os\n\n\ndef where():\n    return os.sep\n", encoding="utf-8")
        os.utime(source, (seconds, seconds))
        cached = Path(py_compile.compile(str(source)) or "")
        keep_bytecode.keep(cached)
        made.append(cached.read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("frozen_first", [False, True])
def test_bytecode_of_a_source_that_was_replaced_is_made_anew(tmp_path: Path, *, frozen_first: bool) -> None:
    source = tmp_path / "module.py"
    source.write_text("answer = 41\n", encoding="utf-8")
    cached = Path(py_compile.compile(str(source)) or "")
    if frozen_first:
        assert keep_bytecode.keep(cached)
    source.write_text("answer = 42\n", encoding="utf-8")
    os.utime(source, (1_000_000, 1_000_000))
    assert keep_bytecode.keep(cached)
    assert not keep_bytecode.keep(cached)
    scope: dict[str, object] = {}
    exec(marshal.loads(cached.read_bytes()[16:]), scope)
    assert scope["answer"] == 42


def test_bytecode_without_source_is_left_alone(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("x = 1\n", encoding="utf-8")
    cached = Path(py_compile.compile(str(source)) or "")
    source.unlink()
    before = cached.read_bytes()
    assert not keep_bytecode.keep(cached)
    assert cached.read_bytes() == before
