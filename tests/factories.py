"""Values with good defaults for tests; override by keyword."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RELEASE = b"Suite: oldstable\nCodename: bookworm\nComponents: main\nSHA256:\n 0 0 main/Contents-all\n"
"""A suite's Release file, as far as it is looked at."""


def debian_mirror(folder: Path) -> str:
    """Write as much of a Debian mirror as `kit lock` asks for; return its address."""
    place = folder / "debian" / "dists" / "bookworm" / "Release"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(RELEASE)
    return f"file://{folder}/debian"


def project_document(**overrides: Any) -> dict[str, Any]:
    """A small but complete kit.yaml, as parsed YAML."""
    document: dict[str, Any] = {
        "version": 1,
        "name": "demo",
        "stack": "cpu",
        "images": ["train", "serve"],
        "models": {"tiny": {"source": "folder", "path": "model"}},
        "datasets": {"questions": {"path": "data/questions.json", "format": "alpaca"}},
        "hosts": {
            "gpu1": {"address": "10.0.0.11", "user": "ops"},
            "gpu2": {"address": "10.0.0.12", "user": "ops"},
        },
        "jobs": {
            "train": {"kind": "train", "model": "tiny", "datasets": ["questions"], "hosts": ["gpu1", "gpu2"]},
            "merge": {"kind": "export", "from": "train"},
            "serve": {"kind": "serve", "model": "merge", "hosts": ["gpu1"]},
        },
    }
    return document | overrides
