"""Pinning a model or dataset: every file by size and sha256. `kit lock` calls this."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kit.bundle.known_files import KnownFiles
from kit.errors import ConfigError
from kit.hub.hub_cache import default_cache, make_hub, open_cache
from kit.hub.local_folder import find_file, find_files
from kit.hub.pin import choose_paths
from kit.project.lock import PinnedFile, TreePin

if TYPE_CHECKING:
    from kit.hub.port import HubClient
    from kit.project.model import DatasetSpec, Mirrors, ModelSpec


def pin_tree(
    kind: str,
    name: str,
    spec: ModelSpec | DatasetSpec,
    folder: Path,
    mirrors: Mirrors,
    *,
    offline: bool,
) -> TreePin:
    """Return the pin of a model or dataset of kit.yaml; `folder` is kit.yaml's.

    With `offline`, a hub is not asked and its files are left pending. Raises ConfigError naming
    the key of kit.yaml, UnreachableError when the hub does not answer.
    """
    origin = getattr(spec, "source", "folder")
    if origin == "folder":
        return _pin_local(kind, name, spec, folder)
    source = f"{origin}:{_named(spec, 'repo')}"
    if offline:
        pending = f"the files of {source} at {_named(spec, 'revision')}"
        return TreePin(kind, name, source, _named(spec, "revision"), (), (pending,))
    hub = make_hub(origin, mirrors.hub)
    return pin_from_hub(kind, name, spec, default_cache(folder), hub)


def _named(spec: ModelSpec | DatasetSpec, key: str) -> str:
    value = getattr(spec, key, None)
    if not isinstance(value, str):
        raise ConfigError(f"{key} is needed", where="kit.yaml", fix=f"add {key}")
    return value


def _pin_local(kind: str, name: str, spec: ModelSpec | DatasetSpec, folder: Path) -> TreePin:
    where = f"{kind}s.{name}.path"
    written = _named(spec, "path")
    root = folder / Path(written).expanduser()
    if kind == "dataset":
        places = {root.name: find_file(root, where)}
        chosen = choose_paths(places, (root.name,), (), where)
    else:
        places = find_files(root, where)
        chosen = choose_paths(places, getattr(spec, "include", ()), getattr(spec, "exclude", ()), where)
    known = KnownFiles.load(default_cache(folder) / "verified.jsonl")
    blobs = {path: known.blob_of(places[path]) for path in chosen}
    files = tuple(PinnedFile(path, blobs[path].size, blobs[path].digest) for path in chosen)
    return TreePin(kind, name, f"folder:{written}", "", files)


def pin_from_hub(kind: str, name: str, spec: ModelSpec | DatasetSpec, cache: Path, hub: HubClient) -> TreePin:
    """Return the pin of a repository. Files whose sha256 the hub does not tell are fetched for it.

    Raises ConfigError, UnreachableError, VerificationError.
    """
    origin, repo = getattr(spec, "source", ""), _named(spec, "repo")
    listing = hub.list_files(repo, _named(spec, "revision"))
    listed = {file.path: file for file in listing.files}
    include, exclude = getattr(spec, "include", ()), getattr(spec, "exclude", ())
    chosen = choose_paths(listed, include, exclude, f"{kind}s.{name}")
    place = open_cache(hub, origin, repo, listing.revision, cache)
    files = []
    for path in chosen:
        file = listed[path]
        digest = file.digest or place.fetch(file).digest
        files.append(PinnedFile(path, file.size, digest))
    return TreePin(kind, name, f"{origin}:{repo}", listing.revision, tuple(files))
