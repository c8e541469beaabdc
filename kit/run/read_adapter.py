"""What a trained adapter says of itself, in the adapter_config.json that PEFT writes beside its weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kit.jobs.launch import AdapterShape

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "adapter_config.json"


def read_adapter(folder: Path) -> AdapterShape | None:
    """Return rank and model of the LoRA adapter in a folder; None when there is none."""
    try:
        document = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return AdapterShape(int(document["r"]), str(document["base_model_name_or_path"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
