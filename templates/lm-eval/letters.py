"""Which tokens are the letters of a question's choices, and how lm-eval is told to have one of them answered.

With Python's own library alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_JOINS = ("", " ")
"""What may have to stand at a prompt's end, so that each letter is one token more."""


def letter_tokens(encode: Callable[[str], list[int]], prompt: str, letters: str) -> tuple[str, list[int]]:
    """Return what the prompt must end with, and the token of each letter after it.

    The letter follows a space, as in MMLU's own test; some tokenizers make that space a token of its own.
    Raises ValueError where a letter is not one token.
    """
    whole = [encode(f"{prompt} {letter}") for letter in letters]
    for join in _JOINS:
        start = encode(prompt + join)
        if all(one[:-1] == start for one in whole) and len({one[-1] for one in whole}) == len(letters):
            return join, [one[-1] for one in whole]
    raise ValueError(
        f"this model's tokenizer has no single token for each of {', '.join(letters)} after an answer's colon"
    )


def task_of(name: str, file: str, tokens: list[int]) -> dict[str, Any]:
    """Return the task by which lm-eval knows questions with so many choices: one token, out of the letters.

    `allowed_token_ids` is vLLM's, in every release that kit pins. Everything that could bend the choice is
    off: a model's generation_config.json may bring a penalty for letters that stood in the prompt.
    """
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": file}},
        "test_split": "test",
        "output_type": "generate_until",
        # Names of columns, and no templates: a question may hold braces.
        "doc_to_text": "prompt",
        "doc_to_target": "letter",
        # Solved questions of the same subject stand in the prompt.
        "num_fewshot": 0,
        "generation_kwargs": {
            "until": [],
            "do_sample": False,
            "temperature": 0.0,
            "max_gen_toks": 1,
            "allowed_token_ids": tokens,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
        },
        "filter_list": [
            {
                "name": "letter",
                "filter": [{"function": "regex", "regex_pattern": "([A-J])"}, {"function": "take_first"}],
            }
        ],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1},
    }
