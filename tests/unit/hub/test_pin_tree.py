from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kit.bundle.digest import blob_of
from kit.errors import ConfigError, UnreachableError
from kit.hub.pin_tree import pin_from_hub, pin_tree
from kit.project.lock import PinnedFile, TreePin
from kit.project.model import DatasetSpec, Mirrors, ModelSpec
from tests.unit.hub.fake_hub import COMMIT, FakeHub

if TYPE_CHECKING:
    from pathlib import Path

HUB_MODEL = ModelSpec(source="modelscope", repo="Qwen/Qwen3-0.6B", revision="v1.0.0")
FILES = {"config.json": b"{}", "model.safetensors": b"weights"}


def pinned(path: str, data: bytes) -> PinnedFile:
    return PinnedFile(path, len(data), blob_of(data).digest)


def test_a_folder_is_pinned_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name, data in FILES.items():
        (tmp_path / "model" / name).write_bytes(data)
    spec = ModelSpec(source="folder", path="model")
    pin = pin_tree("model", "tiny", spec, tmp_path, Mirrors(), offline=True)
    assert pin == TreePin(
        "model", "tiny", "folder:model", "", tuple(pinned(name, data) for name, data in FILES.items())
    )


def test_a_dataset_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.json").write_bytes(b"[]")
    spec = DatasetSpec(path="data/notes.json")
    pin = pin_tree("dataset", "notes", spec, tmp_path, Mirrors(), offline=False)
    assert pin.source == "folder:data/notes.json"
    assert pin.files == (pinned("notes.json", b"[]"),)


def test_a_path_that_leads_nowhere_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"datasets\.notes\.path"):
        pin_tree("dataset", "notes", DatasetSpec(path="x.json"), tmp_path, Mirrors(), offline=False)


def test_offline_a_hub_is_left_pending(tmp_path: Path) -> None:
    pin = pin_tree("model", "qwen3", HUB_MODEL, tmp_path, Mirrors(), offline=True)
    assert pin.files == ()
    assert "modelscope:Qwen/Qwen3-0.6B" in pin.pending[0]


def test_a_repository_is_pinned_at_its_commit_without_a_download(tmp_path: Path) -> None:
    hub = FakeHub(FILES)
    pin = pin_from_hub("model", "qwen3", HUB_MODEL, tmp_path, hub)
    assert (pin.source, pin.revision) == ("modelscope:Qwen/Qwen3-0.6B", COMMIT)
    assert pin.files == tuple(pinned(name, data) for name, data in FILES.items())
    assert hub.calls == [("list", "Qwen/Qwen3-0.6B", "v1.0.0")]


def test_a_file_without_a_known_sha256_is_fetched_for_it(tmp_path: Path) -> None:
    hub = FakeHub(FILES, secret=("config.json",))
    pin = pin_from_hub("model", "qwen3", HUB_MODEL, tmp_path, hub)
    assert pin.files[0] == pinned("config.json", b"{}")
    assert hub.calls[1:] == [("download", "Qwen/Qwen3-0.6B", COMMIT, "config.json")]


def test_patterns_choose_among_a_repositorys_files(tmp_path: Path) -> None:
    spec = HUB_MODEL.model_copy(update={"exclude": ("*.bin",)})
    pin = pin_from_hub("model", "qwen3", spec, tmp_path, FakeHub({**FILES, "pytorch_model.bin": b"x"}))
    assert [file.path for file in pin.files] == list(FILES)


def test_a_hub_that_lists_a_path_that_escapes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot travel"):
        pin_from_hub("model", "qwen3", HUB_MODEL, tmp_path, FakeHub({"a/../../x.json": b"x"}))


@pytest.mark.parametrize("revision", ["../../x", "/etc", "a\x1b"])
def test_a_revision_that_could_escape_the_cache_is_refused(tmp_path: Path, revision: str) -> None:
    class Liar(FakeHub):
        def list_files(self, repo: str, revision: str) -> object:  # type: ignore[override]
            listing = super().list_files(repo, revision)
            return type(listing)(self_revision, listing.files)

    self_revision = revision
    with pytest.raises(ConfigError, match="not a name"):
        pin_from_hub("model", "qwen3", HUB_MODEL, tmp_path, Liar(FILES))


def test_a_hub_that_is_down_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError):
        pin_from_hub("model", "qwen3", HUB_MODEL, tmp_path, FakeHub(FILES, down=True))
