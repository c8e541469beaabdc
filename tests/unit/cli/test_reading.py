from __future__ import annotations

import json
from pathlib import Path

from kit.project.lock import ImageLock, dump_lock
from kit.sbom.package import Package
from tests.unit.cli.test_main import run
from tests.unit.workflow.described_bundle import DIGEST, a_lock, described_bundle, documents


def test_inspect_says_what_a_bundle_holds(tmp_path: Path) -> None:
    described_bundle(tmp_path)
    found = run("inspect", "-b", str(tmp_path / "bundle"))
    assert found.exit_code == 0
    assert "kit.invalid/train:" in found.stdout
    assert "GPL" not in found.stdout


def test_inspect_shows_the_tree(tmp_path: Path) -> None:
    described_bundle(tmp_path)
    found = run("inspect", "--tree", "-b", str(tmp_path / "bundle"))
    for line in (
        "├─ pin base: debootstrap:bookworm",
        "├─ licences: BSD-3-Clause (1), GPL-3.0-or-later (1), unknown (1)",
        "├─ licences: MIT",
        "weights/model.safetensors",
        "sbom/train.cdx.json",
    ):
        assert line in found.stdout


def test_the_tree_fits_a_terminal(tmp_path: Path) -> None:
    many = tuple(Package("pypi", f"p{i}", "1", (f"Licence of many words {i}",)) for i in range(40))
    base = f"nvidia/cuda:12.6.3-cudnn-devel-ubuntu22.04@{DIGEST}"
    lock = a_lock(images=(ImageLock("train", base, DIGEST, DIGEST, DIGEST),))
    described_bundle(tmp_path, lock_bytes=dump_lock(lock), documents=documents(many))
    lines = run("inspect", "--tree", "-b", str(tmp_path / "bundle")).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "├─ pin base: nvidia/cuda:12.6.3-cudnn-devel-ubuntu22.04@sha256:abababababab" in lines
    assert any(line.startswith("│    ") and "many words" in line for line in lines)
    assert "and 28 more" in " ".join(line[5:] for line in lines)


def test_inspect_as_json_has_the_tree_when_it_is_asked_for(tmp_path: Path) -> None:
    described_bundle(tmp_path)
    place = str(tmp_path / "bundle")
    plain = json.loads(run("inspect", "--json", "-b", place).stdout)
    whole = json.loads(run("inspect", "--json", "--tree", "-b", place).stdout)
    assert "contents" not in plain
    assert whole["contents"]["parts"][0]["packages"] == [["deb", 1], ["pypi", 2]]
    assert plain.items() <= whole.items()


def test_inspect_writes_evidence(tmp_path: Path) -> None:
    described_bundle(tmp_path)
    out = tmp_path / "evidence"
    found = run("inspect", "--evidence", str(out), "-b", str(tmp_path / "bundle"))
    assert found.exit_code == 0
    pages = ["demo-evidence.html", "demo-evidence.txt"]
    bills = ["sbom/models/tiny.cdx.json", "sbom/train.cdx.json"]
    found_files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found_files == [*pages, *bills]
    assert json.loads((out / bills[1]).read_text(encoding="utf-8"))["bomFormat"] == "CycloneDX"
    run("inspect", "--evidence", str(tmp_path / "one" / "page.html"), "-b", str(tmp_path / "bundle"))
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["page.html", "page.txt"]
    assert f"wrote {out / 'demo-evidence.html'}" in found.stdout


def test_diff_compares_two_bundles(tmp_path: Path) -> None:
    described_bundle(tmp_path / "a")
    described_bundle(tmp_path / "b", lock_bytes=b"{}")
    a, b = str(tmp_path / "a" / "bundle"), str(tmp_path / "b" / "bundle")
    found = run("diff", a, b)
    assert found.exit_code == 0
    assert "a host that has the first needs 0 blobs" in found.stdout
    document = json.loads(run("diff", a, b, "--json").stdout)
    assert document["same"] is True
    assert document["transfer"]["blobs"] == 0
    assert run("diff", a, str(tmp_path / "nothing")).exit_code == 2
