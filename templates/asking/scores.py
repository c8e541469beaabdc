"""BLEU and ROUGE of an answer against a reference, by the measures of LLaMA-Factory's `predict`.

Its ComputeSimilarity (0.9.3 and 0.9.5, train/sft/metric.py): ROUGE 1, 2 and L are F scores over the words
that jieba cuts; BLEU-4 is nltk's sentence score over single characters with smoothing method 3;
both times 100. `exact`: the share of answers that are the reference word for word, white space aside.
"""

from __future__ import annotations

import logging
from typing import Any

NAMES = ("bleu-4", "rouge-1", "rouge-2", "rouge-l", "exact")
_PERCENT = 100.0


class Measure:
    """Scores answers; loading what it needs takes seconds, once."""

    def __init__(self) -> None:
        import jieba
        from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
        from rouge_chinese import Rouge

        jieba.setLogLevel(logging.WARNING)
        self._cut: Any = jieba.cut
        self._rouge: Any = Rouge()
        self._bleu: Any = sentence_bleu
        self._smooth: Any = SmoothingFunction().method3

    def score(self, answer: str, reference: str) -> dict[str, float]:
        """Return the scores of one answer, 0 to 100."""
        exact = _PERCENT * (answer.strip() == reference.strip())
        said, expected = " ".join(self._cut(answer)), " ".join(self._cut(reference))
        rouge = {name: 0.0 for name in NAMES if name.startswith("rouge")}
        # rouge-chinese fails over a text without a single word.
        if said.split() and expected.split():
            found = self._rouge.get_scores(said, expected)[0]
            rouge = {name: _PERCENT * found[name]["f"] for name in rouge}
        bleu = self._bleu([list(reference)], list(answer), smoothing_function=self._smooth) if answer else 0.0
        return {"bleu-4": _PERCENT * bleu, **rouge, "exact": exact}


def mean(scores: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each score, to two places."""
    return {name: round(sum(score[name] for score in scores) / len(scores), 2) for name in NAMES}
