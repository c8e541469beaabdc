"""The bill of materials of a model or data set, and the licence that its own files name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.sbom.cyclonedx import dump_document, licence_choice, properties, sha256_hash
from kit.sbom.licence import distinct, known_licence, licence_of_text, shortened
from kit.written_yaml import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_TEXT = 1 << 20
"""Bytes of the largest text that is looked into for a licence."""
_TEXTS = re.compile(r"(readme\.md|config\.json|licen[cs]e[^/]*|copying)\Z", re.IGNORECASE)
_SITES = {
    "huggingface": "https://huggingface.co/",
    "modelscope": "https://www.modelscope.cn/models/",
}


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a model or data set."""

    path: str
    digest: str
    size: int


def tells_licence(path: str) -> bool:
    """Tell whether a file, at the top of a model or data set, may name its licence."""
    return _TEXTS.match(path) is not None


def tree_licences(texts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the licences that these files (content by path) name: the model card's first.

    Where there is no card, a `config.json` that names one counts, then the text of a LICENSE file.
    """
    by_name = {path.lower(): text for path, text in texts.items()}
    found = _card_licences(by_name.get("readme.md", "")) or _config_licence(by_name.get("config.json", ""))
    if found:
        return found
    files = [text for path, text in sorted(by_name.items()) if path.startswith(("licen", "copying"))]
    return distinct(licence_of_text(text) or shortened(text) for text in files if text.strip())


_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|\Z)", re.DOTALL)


def _card_licences(text: str) -> tuple[str, ...]:
    """Return what the front matter of a model card says; a `license_name` makes `other` exact."""
    front = _FRONT.match(text)
    try:
        # Every value stays a text: a date that is none must not hide the licence beside it.
        card = parse_yaml(front[1], "the model card", as_texts=True) if front else None
    except ConfigError:
        return ()
    if not isinstance(card, dict):
        return ()
    written = card.get("license") or ()
    names = [name for name in (written if isinstance(written, list) else [written]) if isinstance(name, str)]
    exact = card.get("license_name")
    if isinstance(exact, str) and (not names or names == ["other"]):
        names = [exact]
    return distinct(known_licence(name) or shortened(name) for name in names if name.strip())


def _config_licence(text: str) -> tuple[str, ...]:
    try:
        document = json.loads(text or "null")
    except (ValueError, RecursionError):
        return ()
    name = document.get("license") if isinstance(document, dict) else None
    return distinct((known_licence(name) or shortened(name),)) if isinstance(name, str) else ()


@dataclass(frozen=True, slots=True)
class TreeContents:
    """A model or data set."""

    kind: str
    """`model` or `dataset`."""
    name: str
    source: str
    """Where it came from, e.g. `modelscope:Qwen/Qwen3-32B@v1.0.0`."""
    digest: str
    """What identifies it."""
    files: tuple[ListedFile, ...]
    licences: tuple[str, ...]


def tree_document(tree: TreeContents, kit_version: str) -> bytes:
    """Return the CycloneDX document of a model or data set: every file with size and sha256."""
    subject: dict[str, Any] = {
        "type": "machine-learning-model" if tree.kind == "model" else "data",
        "bom-ref": f"{tree.kind}:{tree.name}",
        "name": tree.name,
        "version": tree.source.rpartition("@")[2] if "@" in tree.source else tree.digest[7:19],
        "hashes": sha256_hash(tree.digest),
        "properties": properties(source=tree.source, size=sum(file.size for file in tree.files)),
        **_origin(tree.source),
    }
    if tree.licences:
        subject["licenses"] = licence_choice(tree.licences)
    files = [_file(file) for file in sorted(tree.files, key=lambda file: file.path)]
    return dump_document(subject, files, complete=True, kit_version=kit_version)


def _origin(source: str) -> dict[str, Any]:
    hub, _, rest = source.partition(":")
    repo, _, revision = rest.rpartition("@") if "@" in rest else (rest, "", "")
    if hub not in _SITES:
        return {}
    found: dict[str, Any] = {"externalReferences": [{"type": "distribution", "url": _SITES[hub] + repo}]}
    if hub == "huggingface" and revision:
        # ModelScope has no package URL type.
        found["purl"] = f"pkg:huggingface/{repo}@{revision.lower()}"
    return found


def _file(file: ListedFile) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file:{file.path}",
        "name": file.path,
        "hashes": sha256_hash(file.digest),
        "properties": properties(size=file.size),
    }
