"""Small datasets of each form that LLaMA-Factory's stages read, made on the spot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_ANSWERS = [(f"What is {a} plus {b}?", str(a + b), str(a + b + 1)) for a in range(1, 9) for b in range(1, 5)]

_ROWS: dict[str, list[dict[str, Any]]] = {
    "sums": [{"instruction": ask, "output": right} for ask, right, _ in _ANSWERS],
    "prose": [{"text": f"{ask} The answer is {right}, for sure."} for ask, right, _ in _ANSWERS],
    "pairs": [{"instruction": ask, "chosen": right, "rejected": wrong} for ask, right, wrong in _ANSWERS],
    "verdicts": [
        {"instruction": ask, "output": answer, "label": answer == right}
        for ask, right, wrong in _ANSWERS
        for answer in (right, wrong)
    ],
}
_COLUMNS: dict[str, dict[str, Any]] = {
    "sums": {"columns": {"prompt": "instruction", "response": "output"}},
    "prose": {"columns": {"prompt": "text"}},
    "pairs": {
        "columns": {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"},
        "ranking": True,
    },
    "verdicts": {"columns": {"prompt": "instruction", "response": "output", "kto_tag": "label"}},
}
OF_STAGE = {"pt": "prose", "sft": "sums", "rm": "pairs", "dpo": "pairs", "kto": "verdicts"}
"""Stage → the dataset that suits it."""


def write_datasets(folder: Path) -> dict[str, dict[str, Any]]:
    """Write the files into a folder `data` beside kit.yaml; return the entries of `datasets`."""
    entries = {}
    for name, rows in _ROWS.items():
        file = folder / "data" / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)  # it may be a link to somebody else's
        file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        entries[name] = {"path": f"data/{name}.json", "format": "alpaca", **_COLUMNS[name]}
    return entries
