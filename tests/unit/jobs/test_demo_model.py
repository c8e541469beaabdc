"""The demo's base model: the same bytes each time, in the forms that transformers and vLLM read."""

from __future__ import annotations

import importlib.util
import json
import struct
from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import Environment
from tokenizers import Tokenizer

from kit.data_files import data_folder

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

DEMO = data_folder("bundles") / "demo"
QUESTIONS = DEMO / "data" / "questions.json"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_model", DEMO / "make_model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    _module().make_model(folder, QUESTIONS)
    return folder


def _json(model: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((model / name).read_text(encoding="utf-8"))
    return document


def test_it_is_the_same_each_time_and_another_with_another_seed(model: Path, tmp_path: Path) -> None:
    _module().make_model(tmp_path / "again", QUESTIONS)
    _module().make_model(tmp_path / "other", QUESTIONS, seed=1)
    for file in model.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name
    weights = (model / "model.safetensors").read_bytes()
    assert (tmp_path / "other" / "model.safetensors").read_bytes() != weights


def test_its_weights_fill_the_file_without_gaps(model: Path) -> None:
    data = (model / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    end = 0
    for tensor in header.values():
        size = 4
        for dimension in tensor["shape"]:
            size *= dimension
        assert tensor["dtype"] == "F32"
        assert tensor["data_offsets"] == [end, end + size]
        end += size
    assert 8 + length + end == len(data)


def test_its_heads_are_wide_enough_for_cpus_and_its_embeddings_untied(model: Path) -> None:
    config = _json(model, "config.json")
    assert config["head_dim"] == 64
    assert config["tie_word_embeddings"] is False
    assert config["architectures"] == ["Qwen3ForCausalLM"]


def test_its_tokenizer_gives_every_text_back(model: Path) -> None:
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    assert tokenizer.get_vocab_size() <= _json(model, "config.json")["vocab_size"] == 1000
    for pair in json.loads(QUESTIONS.read_text(encoding="utf-8")):
        for text in (pair["instruction"], pair["output"], "从未见过的字 and \U0001f680"):
            assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.token_to_id("<|im_end|>") == _json(model, "config.json")["eos_token_id"]


def test_its_prompt_is_the_one_it_is_trained_on(model: Path) -> None:
    template = Environment().from_string(_json(model, "tokenizer_config.json")["chat_template"])
    prompt = template.render(messages=[{"role": "user", "content": "Q?"}], add_generation_prompt=True)
    # As LLaMA-Factory's template chatml writes a question.
    assert prompt == "<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\n"
