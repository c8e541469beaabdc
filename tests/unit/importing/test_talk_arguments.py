from __future__ import annotations

import pytest

from kit.errors import ConfigError
from tests.unit.importing.import_factories import draft, table
from tests.unit.workflow.test_import_jobs import script


def test_an_api_keeps_its_place_and_its_arguments() -> None:
    found = draft(
        "API_PORT=8012 API_HOST=0.0.0.0 API_MODEL_NAME=notes API_KEY=k llamafactory-cli api "
        "--model_name_or_path Qwen/Qwen3-8B --temperature 0.1 --infer_backend huggingface"
    )
    assert found.kind == "api"
    assert found.body == {
        "template": "qwen3",
        "bind": "0.0.0.0",
        "served_name": "notes",
        "port": 8012,
        "args": {"temperature": 0.1},
    }
    told = table(found)
    assert told["API_KEY=\u2026"][0] == "dropped"
    assert told["infer_backend: huggingface"][0] == "dropped"


def test_a_chat_listens_nowhere() -> None:
    found = draft("llamafactory-cli chat --model_name_or_path a/b --template chatml")
    assert (found.kind, found.body) == ("chat", {"template": "chatml"})


def test_arguments_alone_are_an_api() -> None:
    assert draft("model_name_or_path: a/b\ntemplate: qwen3\n").kind == "api"


def test_a_board_listens_where_it_was_told_and_shares_nothing() -> None:
    found = draft("GRADIO_SERVER_PORT=7861 GRADIO_SHARE=1 llamafactory-cli webui")
    assert (found.kind, found.body) == ("board", {"port": 7861})
    assert table(found)["GRADIO_SHARE=1"][0] == "dropped"


def test_a_board_alone_knows_no_model() -> None:
    with pytest.raises(ConfigError, match="names no model") as refused:
        script("llamafactory-cli webui")
    assert "--into" in refused.value.fix


def test_a_published_port_is_where_it_listens() -> None:
    found = draft("docker run -p 127.0.0.1:9000:7860 hiyouga/llamafactory llamafactory-cli webui")
    assert found.body == {"bind": "127.0.0.1", "port": 9000}


def test_an_adapter_of_no_training_is_refused() -> None:
    with pytest.raises(ConfigError, match="no training is known that made saves/x"):
        script("llamafactory-cli chat --model_name_or_path a/b --adapter_name_or_path saves/x")
