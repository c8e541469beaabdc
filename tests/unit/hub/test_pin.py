from __future__ import annotations

import pytest

from kit.errors import ConfigError
from kit.hub.pin import Choice, Patterns, choose_paths, is_plain_path

PATHS = ("config.json", "model.safetensors", "README.md", "a/b.json", ".gitattributes", ".cache/x")


def choice(*paths: str, **patterns: tuple[str, ...]) -> Choice:
    return choose_paths(paths, Patterns(**patterns), "models.x")


def test_everything_but_dot_files_is_chosen_and_sorted() -> None:
    assert choice(*PATHS).paths == ("README.md", "a/b.json", "config.json", "model.safetensors")


def test_include_and_exclude_are_wildcards_over_the_whole_path() -> None:
    assert choice(*PATHS, include=("c*.json", "*.safetensors")).paths == ("config.json", "model.safetensors")
    assert choice(*PATHS, exclude=("a/*", "*.md")).paths == ("config.json", "model.safetensors")


def test_nothing_left_is_a_mistake_in_the_named_key() -> None:
    with pytest.raises(ConfigError, match=r"models\.x"):
        choice(*PATHS, include=("*.gguf",))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "a/x.pt", "x.pth", "x.CKPT", "x.pkl", "x.joblib"])
def test_pickles_are_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choice("config.json", name)
    assert name in caught.value.what
    assert "exclude" in caught.value.fix
    assert f"allow_pickle: ['{name}']" in caught.value.fix


@pytest.mark.parametrize("pattern", ["*.bin", "x.bin"])
def test_include_does_not_let_a_pickle_in(pattern: str) -> None:
    with pytest.raises(ConfigError, match="run code"):
        choice("x.bin", include=(pattern,))


def test_a_pickle_allowed_by_name_is_let_in_and_no_other() -> None:
    assert choice("a.json", "x.bin", allow_pickle=("x.bin",)).paths == ("a.json", "x.bin")
    with pytest.raises(ConfigError, match=r"sub/x\.bin"):
        choice("sub/x.bin", allow_pickle=("x.bin",))


@pytest.mark.parametrize(
    "copy",
    [
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "tf_model.h5",
        "flax_model.msgpack",
        "onnx/model.onnx",
        "original/consolidated.00.pth",
        "training_args.bin",
    ],
)
def test_copies_of_weights_stay_out_where_there_are_safetensors(copy: str) -> None:
    found = choice("config.json", "model.safetensors", copy)
    assert (found.paths, found.left_out) == (("config.json", "model.safetensors"), (copy,))


def test_copies_that_are_asked_for_come_along() -> None:
    paths = ("model.safetensors", "onnx/model.onnx", "pytorch_model.bin")
    assert choice(*paths, include=("*.safetensors", "onnx/*")).paths == paths[:2]
    assert choice(*paths, allow_pickle=("pytorch_model.bin",)).paths == (paths[0], paths[2])


def test_a_part_of_a_model_with_nothing_but_a_pickle_is_not_left_out_in_silence() -> None:
    with pytest.raises(ConfigError, match="2_Dense/pytorch_model"):
        choice("model.safetensors", "config.json", "2_Dense/config.json", "2_Dense/pytorch_model.bin")


def test_without_safetensors_other_forms_are_weights_like_any() -> None:
    assert choice("config.json", "model.onnx").left_out == ()


def test_names_that_collide_are_refused_and_those_that_differ_in_case_are_not() -> None:
    with pytest.raises(ConfigError, match="two files of one name: 'a'"):
        choice("a", "b", "a")
    with pytest.raises(ConfigError, match="a file and a folder of one name: 'a/b'"):
        choice("a/b", "a/b/c/d", "a/b.x")
    assert choice("A", "a").paths == ("A", "a")


@pytest.mark.parametrize("path", ["../x", "/x", "a/../b", "a//b", "", "a\\b", "a\nb", "./a", "a/"])
def test_paths_that_could_escape_are_not_plain(path: str) -> None:
    assert not is_plain_path(path)


def test_a_file_name_that_cannot_travel_is_named() -> None:
    with pytest.raises(ConfigError, match=r"a\\\\b"):
        choice("a\\b")


def test_names_in_any_language_are_plain() -> None:
    assert is_plain_path("数据/笔记 1.json")


@pytest.mark.parametrize("path", ["x" * 256, "数" * 86, "a/" * 600 + "b", "\udc80"])
def test_names_that_no_disk_holds_are_not_plain(path: str) -> None:
    assert not is_plain_path(path)
