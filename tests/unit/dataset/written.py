"""Files of training data, as tests write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kit.dataset.check import FileReport, Wanted, check_file
from kit.progress import NoProgress

ALPACA = {"instruction": "问", "input": "", "output": "答"}
SHAREGPT = {"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}]}
OPENAI = {"messages": [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]}


def lines(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
    return path


def array(path: Path, records: Sequence[Any]) -> Path:
    path.write_text(json.dumps(records, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def checked(path: Path, **wanted: Any) -> FileReport:
    return check_file(path, Wanted(**{"workers": 1, **wanted}), NoProgress())
