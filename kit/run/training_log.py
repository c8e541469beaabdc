"""What LLaMA-Factory writes about a training while it goes on, and at its end. Pure.

`trainer_log.jsonl` has one JSON object for each logged step, with `loss` in it for a training
step, and `current_steps` and `total_steps`; `all_results.json` has the final figures
(LLaMA-Factory, train/callbacks.py and transformers' Trainer.save_metrics).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.run.record import Training

if TYPE_CHECKING:
    from collections.abc import Iterable

TRAINER_LOG = "trainer_log.jsonl"
ALL_RESULTS = "all_results.json"
_ODD = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What lines raise that are half-written or somebody else's: infinite steps, brackets without end."""
_MEASURES = ("bleu-4", "rouge-1", "rouge-2", "rouge-l", "accuracy")


@dataclass(frozen=True, slots=True)
class Step:
    """A logged step."""

    step: int
    total: int | None
    loss: float | None

    @property
    def text(self) -> str:
        """The step, for people."""
        of = f" of {self.total}" if self.total else ""
        return f"step {self.step}{of}" + (f", loss {self.loss:.4g}" if self.loss is not None else "")

    @property
    def fraction(self) -> float | None:
        """How much of the training is done."""
        return min(self.step / self.total, 1.0) if self.total else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except _ODD:
        return None


def parse_step(line: str) -> Step | None:
    """Return the step that a line tells of; None for a half-written or foreign line."""
    try:
        found = json.loads(line)
        total = _number(found.get("total_steps"))
        return Step(int(found["current_steps"]), int(total) if total else None, _number(found.get("loss")))
    except _ODD:
        return None


Points = tuple[tuple[int, float], ...]
"""(step, value) pairs, in the order in which they were logged."""


def read_points(log: Iterable[str], value: str) -> Points:
    """Return the steps that logged a value of that name, each with it; what is no number is passed over."""
    found = []
    for line in log:
        try:
            logged = json.loads(line)
            step, number = int(logged["current_steps"]), _number(logged.get(value))
        except _ODD:
            continue
        if number is not None and math.isfinite(number):
            found.append((step, number))
    return tuple(found)


def thinned(points: Points, most: int) -> Points:
    """Return at most so many of the points (2 or more), evenly chosen, first and last among them."""
    if len(points) <= most:
        return points
    return tuple(points[index * (len(points) - 1) // (most - 1)] for index in range(most))


def read_training(log: Iterable[str], results: str) -> Training:
    """Return first and last loss, the number of steps, and the final figures."""
    steps = [step for step in map(parse_step, log) if step is not None]
    losses = [step.loss for step in steps if step.loss is not None]
    return Training(
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        steps=max((step.step for step in steps), default=None),
        metrics=_metrics(results),
    )


def _metrics(results: str) -> tuple[tuple[str, float], ...]:
    try:
        found = json.loads(results)
        numbers = ((str(key), _number(value)) for key, value in found.items())
    except _ODD:
        return ()
    return tuple((key, number) for key, number in numbers if number is not None)


def scores_of(training: Training | None) -> tuple[tuple[str, ...], ...]:
    """Return what LLaMA-Factory's `predict` measured as a table of one line, times left out; or nothing."""
    metrics = dict(training.metrics) if training is not None else {}
    found = {name: metrics[f"predict_{name}"] for name in _MEASURES if f"predict_{name}" in metrics}
    return (tuple(found), tuple(f"{value:.2f}" for value in found.values())) if found else ()
