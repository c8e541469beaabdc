from __future__ import annotations

import pytest

from kit.errors import ConfigError
from kit.hub.pin import choose_paths, is_plain_path

PATHS = ("config.json", "model.safetensors", "README.md", "onnx/model.onnx", ".gitattributes", ".cache/x")


def chosen(*, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> tuple[str, ...]:
    return choose_paths(PATHS, include, exclude, "models.x")


def test_everything_but_dot_files_is_chosen_and_sorted() -> None:
    assert chosen() == ("README.md", "config.json", "model.safetensors", "onnx/model.onnx")


def test_include_and_exclude_are_wildcards_over_the_whole_path() -> None:
    assert chosen(include=("*.json", "*.safetensors")) == ("config.json", "model.safetensors")
    assert chosen(exclude=("onnx/*", "*.md")) == ("config.json", "model.safetensors")


def test_nothing_left_is_a_mistake_in_the_named_key() -> None:
    with pytest.raises(ConfigError, match=r"models\.x"):
        chosen(include=("*.gguf",))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "a/x.pt", "x.pth", "x.CKPT", "x.pkl"])
def test_pickles_are_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_paths(("config.json", name), (), (), "models.x")
    assert name in caught.value.what
    assert "exclude" in caught.value.fix


def test_a_wildcard_does_not_let_a_pickle_in() -> None:
    with pytest.raises(ConfigError):
        choose_paths(("x.bin",), ("*.bin",), (), "models.x")


def test_a_pickle_named_in_full_is_let_in() -> None:
    assert choose_paths(("a.json", "x.bin"), ("*", "x.bin"), (), "models.x") == ("a.json", "x.bin")


@pytest.mark.parametrize("path", ["../x", "/x", "a/../b", "a//b", "", "a\\b", "a\nb", "./a", "a/"])
def test_paths_that_could_escape_are_not_plain(path: str) -> None:
    assert not is_plain_path(path)


def test_a_file_name_that_cannot_travel_is_named() -> None:
    with pytest.raises(ConfigError, match=r"a\\\\b"):
        choose_paths(("a\\b",), (), (), "models.x")


def test_names_in_any_language_are_plain() -> None:
    assert is_plain_path("数据/笔记 1.json")
