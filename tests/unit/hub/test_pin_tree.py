from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from kit.bundle.digest import blob_of
from kit.errors import ConfigError, UnreachableError, VerificationError
from kit.hub.pin_tree import pin_from_hub, pin_tree
from kit.hub.port import HubFile, HubListing
from kit.progress import NoProgress
from kit.project.lock import PinnedFile, TreePin
from kit.project.model import DatasetSpec, Mirrors, ModelSpec
from tests.unit.hub.fake_hub import COMMIT, HURRIED, FakeHub

if TYPE_CHECKING:
    from pathlib import Path

HUB_MODEL = ModelSpec(source="modelscope", repo="Qwen/Qwen3-0.6B", revision="v1.0.0")
FILES = {"config.json": b"{}", "model.safetensors": b"weights"}


def pinned(path: str, data: bytes) -> PinnedFile:
    return PinnedFile(path, len(data), blob_of(data).digest)


def pinned_from_hub(tmp_path: Path, spec: ModelSpec, hub: FakeHub, progress: Notes | None = None) -> TreePin:
    return pin_from_hub("qwen3", spec, tmp_path, hub, progress or NoProgress(), HURRIED)


class Notes(NoProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_a_folder_is_pinned_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name, data in FILES.items():
        (tmp_path / "model" / name).write_bytes(data)
    spec = ModelSpec(source="folder", path="model")
    pin = pin_tree("tiny", spec, tmp_path, Mirrors(), offline=True)
    assert pin == TreePin(
        "model", "tiny", "folder:model", "", tuple(pinned(name, data) for name, data in FILES.items())
    )


def test_a_dataset_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.json").write_bytes(b"[]")
    spec = DatasetSpec(path="data/notes.json")
    pin = pin_tree("notes", spec, tmp_path, Mirrors(), offline=False)
    assert pin.source == "folder:data/notes.json"
    assert pin.files == (pinned("notes.json", b"[]"),)


def test_a_path_that_leads_nowhere_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"datasets\.notes\.path"):
        pin_tree("notes", DatasetSpec(path="x.json"), tmp_path, Mirrors(), offline=False)


def test_offline_a_hub_is_left_pending(tmp_path: Path) -> None:
    pin = pin_tree("qwen3", HUB_MODEL, tmp_path, Mirrors(), offline=True)
    assert pin.files == ()
    assert "modelscope:Qwen/Qwen3-0.6B" in pin.pending[0]


def test_a_repository_is_pinned_at_its_commit_without_a_download(tmp_path: Path) -> None:
    hub = FakeHub(FILES)
    pin = pinned_from_hub(tmp_path, HUB_MODEL, hub)
    assert (pin.source, pin.revision, pin.asked) == ("modelscope:Qwen/Qwen3-0.6B", COMMIT, "v1.0.0")
    assert pin.files == tuple(pinned(name, data) for name, data in FILES.items())
    assert hub.calls == [("list", "Qwen/Qwen3-0.6B", "v1.0.0")]


def test_a_file_without_a_known_sha256_is_fetched_for_it(tmp_path: Path) -> None:
    hub = FakeHub(FILES, secret=("config.json",))
    pin = pinned_from_hub(tmp_path, HUB_MODEL, hub)
    assert pin.files[0] == pinned("config.json", b"{}")
    assert hub.calls[1:] == [("open", "Qwen/Qwen3-0.6B", COMMIT, "config.json", "0")]
    again = FakeHub(FILES, secret=("config.json",))
    assert pinned_from_hub(tmp_path, HUB_MODEL, again) == pin
    assert again.opened == []


def test_patterns_choose_among_a_repositorys_files(tmp_path: Path) -> None:
    spec = HUB_MODEL.model_copy(update={"exclude": ("*.bin",)})
    pin = pinned_from_hub(tmp_path, spec, FakeHub({**FILES, "pytorch_model.bin": b"x"}))
    assert [file.path for file in pin.files] == list(FILES)


def test_a_hub_that_lists_a_path_that_escapes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot travel"):
        pinned_from_hub(tmp_path, HUB_MODEL, FakeHub({"a/../../x.json": b"x"}))


@pytest.mark.parametrize("revision", ["../../x", "/etc", "a\x1b", "a b", "a?b", "a#b", "a%2e", ""])
def test_a_revision_that_could_mislead_is_refused(tmp_path: Path, revision: str) -> None:
    with pytest.raises(ConfigError, match="not a name"):
        pinned_from_hub(tmp_path, HUB_MODEL, FakeHub(FILES, commit=revision))


def test_a_repository_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="more than 20000 files"):
        pinned_from_hub(tmp_path, HUB_MODEL, FakeHub({f"f{i}": b"" for i in range(20_001)}))


@pytest.mark.parametrize(
    "listed",
    [
        HubFile("a", -1, None),
        HubFile("a", 1 << 60, None),
        HubFile("a", None, None),  # type: ignore[arg-type]
        HubFile("a", 1, "sha256:../../x"),
        HubFile("a", 1, None, "../x"),
    ],
)
def test_a_listing_that_makes_no_sense_is_refused(tmp_path: Path, listed: HubFile) -> None:
    class Odd(FakeHub):
        def list_files(self, repo: str, revision: str) -> HubListing:  # noqa: ARG002
            return HubListing(COMMIT, (listed,))

    with pytest.raises(VerificationError, match="no sense at 'a'"):
        pinned_from_hub(tmp_path, HUB_MODEL, Odd({}))


def test_what_safetensors_replace_is_told_and_left_out(tmp_path: Path) -> None:
    notes = Notes()
    pin = pinned_from_hub(tmp_path, HUB_MODEL, FakeHub({**FILES, "pytorch_model.bin": b"x"}), notes)
    assert [file.path for file in pin.files] == list(FILES)
    assert any("pytorch_model.bin" in line for line in notes.lines)


@pytest.mark.parametrize("allowed", [True, False])
def test_pickles_need_their_name_in_kit_yaml_in_folders_and_on_hubs(tmp_path: Path, *, allowed: bool) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "w.bin").write_bytes(b"x")
    names = ("w.bin",) if allowed else ()
    folder = ModelSpec(source="folder", path="model", allow_pickle=names)
    hub = HUB_MODEL.model_copy(update={"allow_pickle": names})
    ways: tuple[Callable[[], TreePin], ...] = (
        lambda: pin_tree("tiny", folder, tmp_path, Mirrors(), offline=False),
        lambda: pinned_from_hub(tmp_path, hub, FakeHub({"w.bin": b"x"})),
    )
    for pin in ways:
        if allowed:
            assert [file.path for file in pin().files] == ["w.bin"]
        else:
            with pytest.raises(ConfigError, match="allow_pickle"):
                pin()


def test_allow_pickle_takes_no_pattern() -> None:
    with pytest.raises(ValidationError, match="not patterns"):
        ModelSpec(source="folder", path="model", allow_pickle=("*.bin",))


def test_custom_code_is_known_by_its_ending(tmp_path: Path) -> None:
    pin = pinned_from_hub(tmp_path, HUB_MODEL, FakeHub({**FILES, "modeling_x.py": b"pass"}))
    assert pin.custom_code == ("modeling_x.py",)


def test_a_hub_that_is_down_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError):
        pinned_from_hub(tmp_path, HUB_MODEL, FakeHub(FILES, down=True))
