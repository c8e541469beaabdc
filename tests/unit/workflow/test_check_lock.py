from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kit
from kit.cli.preparing import _checked
from kit.errors import ConfigError, KitError, TransferError, UnreachableError, VerificationError
from kit.progress import NoProgress
from kit.project.load import LoadedProject, parse_project
from kit.project.lock import ImageLock, Lock, PinnedFile, TreePin, project_digest, write_lock
from kit.workflow.check_lock import LockCheck, check_lock
from kit.workflow.lock_project import Part
from tests.factories import project_document

Resolve = Callable[[], Any]


def sha(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


PROJECT = parse_project(project_document())
BASE = "python:3.11"
IMAGE = ImageLock("train", BASE, sha("base"), sha("inputs"), sha("packages"), (), "linux/amd64")
FILES = (PinnedFile("a.json", 3, sha("a")), PinnedFile("w.safetensors", 9, sha("w")))
MODEL = TreePin("model", "tiny", "modelscope:a/b", "c0ffee", FILES)
LOCK = Lock(kit.__version__, "cpu", project_digest(PROJECT), "2026-05-01T12:30:00Z", (IMAGE,), (MODEL,))


def check(
    folder: Path,
    lock: Lock = LOCK,
    *,
    image: ImageLock | KitError | None = IMAGE,
    model: TreePin | KitError | None = MODEL,
    offline: bool = False,
) -> LockCheck:
    """Check a lock in a world where the image and the model are as given."""
    write_lock(folder / "kit.lock", lock)
    before = sorted((path.name, path.read_bytes()) for path in folder.iterdir())

    def resolver(found: Any) -> Resolve:
        def resolve() -> Any:
            if isinstance(found, KitError):
                raise found
            return found

        return resolve

    parts = [("image train", image), ("model tiny", model)]
    wanted = tuple(Part(name, resolver(found)) for name, found in parts if found is not None)
    result = check_lock(
        LoadedProject(PROJECT, folder), lambda *_, **__: wanted, NoProgress(), offline=offline
    )
    assert sorted((path.name, path.read_bytes()) for path in folder.iterdir()) == before
    return result


def kinds(result: LockCheck) -> list[tuple[str, str]]:
    return [(drift.part, drift.kind) for drift in result.drifts]


def test_what_is_as_it_was_locked_passes(tmp_path: Path) -> None:
    result = check(tmp_path)
    assert (result.exit_code, result.drifts, result.unasked, result.checked) == (0, (), (), 2)


@pytest.mark.parametrize(
    ("now", "kind", "what"),
    [
        (replace(IMAGE, base_digest=sha("moved"), inputs_digest=sha("x")), "tag", BASE),
        (
            replace(IMAGE, packages_digest=sha("p2"), inputs_digest=sha("x")),
            "packages",
            "locked packages",
        ),
        (replace(IMAGE, inputs_digest=sha("x")), "inputs", "Dockerfile, smoke test or rules that kit brings"),
        (replace(IMAGE, base="python:3.12", base_digest=sha("y")), "inputs", "base"),
        (replace(IMAGE, asked=("six==1.17.0",), packages_digest=sha("p2")), "project", "packages"),
        (ConfigError("no such image", where=BASE), "refused", BASE),
        (VerificationError("other bytes", where=BASE), "refused", BASE),
    ],
)
def test_an_image_that_drifted_is_named(tmp_path: Path, now: Any, kind: str, what: str) -> None:
    result = check(tmp_path, image=now)
    assert [(drift.part, drift.kind, drift.what) for drift in result.drifts] == [("image train", kind, what)]
    assert result.exit_code == VerificationError.exit_code


def test_a_revision_that_moved_and_files_that_changed_are_named(tmp_path: Path) -> None:
    files = (replace(FILES[0], digest=sha("changed")), PinnedFile("new.txt", 1, sha("n")))
    result = check(tmp_path, model=replace(MODEL, revision="beef", files=files))
    assert [(drift.kind, drift.what) for drift in result.drifts] == [
        ("revision", "modelscope:a/b"),
        ("file", "a.json"),
        ("file", "new.txt"),
        ("file", "w.safetensors"),
    ]
    assert (result.drifts[2].locked, result.drifts[3].now) == ("none", "none")


def test_another_kit_yaml_or_kit_is_a_drift(tmp_path: Path) -> None:
    result = check(tmp_path, replace(LOCK, project_digest=sha("old"), kit_version="0.0.9", stack="cu126"))
    assert kinds(result) == [("kit.yaml", "project"), ("kit.yaml", "project"), ("kit", "kit")]


def test_parts_that_came_or_went_are_drifts(tmp_path: Path) -> None:
    assert kinds(check(tmp_path, replace(LOCK, trees=()))) == [("model tiny", "part")]
    assert kinds(check(tmp_path, model=None)) == [("model tiny", "part")]


def test_what_is_still_pending_is_a_drift_and_asked_no_further(tmp_path: Path) -> None:
    waiting = replace(IMAGE, base_digest=None, pending=(f"digest of {BASE}",))
    now = replace(IMAGE, base_digest=None, pending=(f"digest of {BASE} (no such host)",))
    for found in (IMAGE, now):
        result = check(tmp_path, replace(LOCK, images=(waiting,)), image=found)
        assert kinds(result) == [("image train", "pending")]
        assert result.unasked == ()


@pytest.mark.parametrize("error", [UnreachableError("the hub is silent"), TransferError("no line")])
def test_who_does_not_answer_is_named_and_nothing_is_claimed(tmp_path: Path, error: KitError) -> None:
    silent = replace(IMAGE, pending=(f"digest of {BASE} (no such host)",))
    result = check(tmp_path, image=silent, model=error)
    assert result.drifts == ()
    assert result.unasked == (f"image train: digest of {BASE} (no such host)", f"model tiny: {error.what}")
    assert result.exit_code == TransferError.exit_code


def test_offline_what_needs_a_network_is_no_failure_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    silent = replace(IMAGE, pending=(f"digest of {BASE}",))
    hub = TreePin("model", "tiny", "modelscope:a/b", "v1", (), ("the files of modelscope:a/b at v1",))
    result = check(tmp_path, image=silent, model=hub, offline=True)
    assert (result.exit_code, len(result.unasked)) == (0, 2)
    changed = replace(silent, packages_digest=sha("p2"))
    assert kinds(check(tmp_path, image=changed, model=hub, offline=True)) == [("image train", "packages")]


def test_without_a_lock_there_is_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        check_lock(LoadedProject(PROJECT, tmp_path), lambda *_, **__: (), NoProgress(), offline=True)


def test_the_words_name_part_and_remedy(tmp_path: Path) -> None:
    lines = list(_checked(check(tmp_path, image=replace(IMAGE, base_digest=sha("moved")))))
    assert lines[0].split() == ["PART", "DRIFT", "WHAT", "LOCKED", "NOW"]
    assert lines[1].startswith(f"image train  tag    {BASE}  sha256:")
    assert lines[-1].endswith("to mend it: kit lock")
    assert list(_checked(check(tmp_path)))[-1].endswith("nothing drifted; 2 parts looked at")
