"""What the hub holds, as each of the two APIs describes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

NAME = "Owner/Tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "f" * 40
TOKEN = "hf_thesecrettoken0123456789"
PAGE = 2
LARGE = (".safetensors", ".bin", ".onnx")


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Repository:
    """One repository: files by revision, each revision a name for a commit."""

    commits: dict[str, dict[str, bytes]]
    branches: dict[str, str] = field(default_factory=lambda: {"main": COMMIT, "v1.0.0": COMMIT})
    closed: str = ""
    """"gated": the list is public, the files are not; "private": nothing is."""
    names: dict[str, str] = field(default_factory=dict)
    """Names to list in place of the real ones."""

    def commit(self, revision: str) -> str | None:
        found = self.branches.get(revision, revision)
        return found if found in self.commits else None

    def tree(self, commit: str, page: int) -> tuple[list[dict[str, Any]], bool]:
        """Return a page of Hugging Face's tree, and whether another one follows."""
        entries = [{"type": "directory", "path": "sub", "oid": "1" * 40, "size": 0}]
        for path, data in self.commits[commit].items():
            entry = {"type": "file", "path": self.names.get(path, path), "size": len(data)}
            entry["oid"] = git_sha1(data)
            if path.endswith(LARGE):
                entry["oid"] = "3" * 40
                entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 134}
            entries.append(entry)
        return entries[page * PAGE : (page + 1) * PAGE], len(entries) > (page + 1) * PAGE

    def modelscope_files(self, commit: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{"Path": "sub", "Name": "sub", "Type": "tree", "Size": 0}]
        for path, data in self.commits[commit].items():
            name = self.names.get(path, path)
            found.append({"Path": name, "Type": "blob", "Size": len(data), "Sha256": sha256(data)})
        return found
