"""lm-eval's own model of an endpoint, with answers that are kept as they come. Imports lm-eval."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import aiohttp
import lm_eval
from kept import asked_key
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.tasks import TaskManager

if TYPE_CHECKING:
    from pathlib import Path

    from kept import Kept

_RETRIES = 8
_AT_ONCE = 16
"""Questions a connection that lm-eval gets at a time: 0.4.9 counts the wait for one into 300 s."""
VERSION = lm_eval.__version__


class _Hook:
    """What lm-eval tells of each answer; its own would write a data base."""

    def __init__(self, model: Served) -> None:
        self._model = model

    def add_partial(self, _: str, asked: Any, answer: str) -> None:
        """Keep an answer."""
        self._model.keep(asked, answer)


class Served(LocalCompletionsAPI):  # type: ignore[misc]
    """A model behind an endpoint's /v1/completions."""

    def __init__(self, endpoint: dict[str, Any], key: str, window: int, concurrency: int, kept: Kept) -> None:
        os.environ["OPENAI_API_KEY"] = key
        super().__init__(
            base_url=f"{endpoint['url']}/v1/completions",
            model=endpoint["model"],
            tokenizer=endpoint["tokenizer"],
            tokenizer_backend="huggingface",
            # As tokens, with what the model's own tokenizer puts before a text: the endpoint adds none then.
            tokenized_requests=True,
            add_bos_token=True,
            num_concurrent=concurrency,
            max_retries=_RETRIES,
            max_length=window,
            batch_size=1,
        )
        self._identity = endpoint["identity"]
        self._at_once = concurrency * _AT_ONCE
        self._kept = kept
        self.cache_hook = _Hook(self)

    def keep(self, asked: Any, answer: str) -> None:
        """Keep an answer to a prompt asked in a way."""
        self._kept.add(asked_key(self._identity, self.model, asked), answer)

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:  # noqa: FBT001, FBT002
        """Return the answers; those that an earlier run got are not asked again. Raises OSError."""
        earlier = [self._kept.get(asked_key(self._identity, self.model, one.args)) for one in requests]
        for one, answer in zip(requests, earlier, strict=True):
            if answer is not None:
                self.keep(one.args, answer)
                self._kept.taken_over += 1
        fresh = [one for one, answer in zip(requests, earlier, strict=True) if answer is None]
        new: list[str] = []
        try:
            for start in range(0, len(fresh), self._at_once):
                new += super().generate_until(fresh[start : start + self._at_once], disable_tqdm)
        except aiohttp.ClientError as error:
            raise OSError(f"{self.base_url} does not answer: {error}") from error
        rest = iter(new)
        return [next(rest) if answer is None else answer for answer in earlier]


def ask(model: Served, folder: Path, tasks: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what lm-eval found in each task whose file stands in a folder: the samples. Raises OSError."""
    found = lm_eval.simple_evaluate(
        model=model,
        tasks=tasks,
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
    )
    samples: dict[str, list[dict[str, Any]]] = found["samples"]
    return samples
