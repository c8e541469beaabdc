from __future__ import annotations

import pytest
import yaml

from kit.run.redact import HIDDEN, is_secret, redact_file

COMPOSE = """\
# a comment
services:
  serve:
    command: ["--api-key", "s3cret", "--port", "8000", "--hf-token=s3cret", "--max-num-batched-tokens", "5"]
    environment:
      HF_TOKEN: "s3cret"
      WANDB_API_KEY: |
        s3cret
        s3cret
      MAX_NEW_TOKENS: "5"
      TOKENIZERS_PARALLELISM: "false"
    labels: ["DB_PASSWORD=s3cret"]
"""


def test_no_secret_of_a_compose_file_is_shown() -> None:
    shown = redact_file("compose.yaml", COMPOSE)
    assert "s3cret" not in shown
    service = yaml.safe_load(shown)["services"]["serve"]
    assert service["command"][:4] == ["--api-key", HIDDEN, "--port", "8000"]
    assert service["command"][4:] == [f"--hf-token={HIDDEN}", "--max-num-batched-tokens", "5"]
    assert service["environment"]["MAX_NEW_TOKENS"] == "5"
    assert service["environment"]["TOKENIZERS_PARALLELISM"] == "false"


def test_a_file_without_secrets_is_shown_as_it_is() -> None:
    text = "# a comment\nservices: {serve: {image: x}}\n"
    assert redact_file("compose.yaml", text) == text


def test_secrets_in_json_and_in_plain_lines_are_hidden() -> None:
    assert "s3cret" not in redact_file("ds.json", '{"a": {"my_password": "s3cret"}}')
    assert redact_file("env", "export API_KEY=s3cret\nPORT=1") == f"export API_KEY={HIDDEN}\nPORT=1"


def test_a_flag_whose_value_is_missing_hides_no_other_flag() -> None:
    shown = yaml.safe_load(redact_file("a.yaml", "command: [--api-key, --port, '1']"))
    assert shown["command"] == ["--api-key", "--port", "1"]


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "openai_api_key", "KEY", "db-password", "AWS_SECRET", "--api-key"]
)
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["tokenizer", "max_new_tokens", "keys", "port", "tokenized_path"])
def test_ordinary_names_are_no_secrets(name: str) -> None:
    assert not is_secret(name)
