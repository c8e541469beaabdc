"""Pinning a model or dataset: every file by size and sha256. `kit lock` calls this."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kit.bundle.known_files import KnownFiles
from kit.errors import ConfigError
from kit.hub.fetch_file import Fetch
from kit.hub.fetch_files import bytes_missing, check_room, fetch_files
from kit.hub.hub_cache import HubCache, default_cache
from kit.hub.local_folder import find_file, find_files
from kit.hub.patience import Patience
from kit.hub.pin import Choice, Patterns, choose_paths
from kit.hub.pinned_hub import list_place, make_hub
from kit.hub.port import Place
from kit.progress import NoProgress
from kit.project.lock import PinnedFile, TreePin
from kit.project.model import DatasetSpec, ModelSpec

if TYPE_CHECKING:
    from kit.bundle.manifest import Blob
    from kit.hub.port import HubClient, HubFile
    from kit.progress import Progress
    from kit.project.model import Mirrors

_SHOWN = 3


def pin_tree(
    name: str,
    spec: ModelSpec | DatasetSpec,
    folder: Path,
    mirrors: Mirrors,
    *,
    offline: bool,
    progress: Progress | None = None,
) -> TreePin:
    """Return the pin of a model or dataset of kit.yaml; `folder` is kit.yaml's.

    With `offline`, a hub is not asked and its files are left pending. Raises ConfigError naming
    the key of kit.yaml, UnreachableError when the hub does not answer.
    """
    told = progress or NoProgress()
    if isinstance(spec, DatasetSpec):
        return _pin_dataset(name, spec, folder)
    if spec.source == "folder":
        return _pin_folder(name, spec, folder, told)
    repo, revision = _named(spec, "repo"), _named(spec, "revision")
    if offline:
        source = f"{spec.source}:{repo}"
        pending = f"the files of {source} at {revision}"
        return TreePin("model", name, source, revision, (), (pending,), revision)
    hub = make_hub(spec.source, mirrors.hub_of(spec.source))
    return pin_from_hub(name, spec, default_cache(folder), hub, told)


def _named(spec: ModelSpec, key: str) -> str:
    value = getattr(spec, key)
    if not isinstance(value, str):
        raise ConfigError(f"{key} is needed", where="kit.yaml", fix=f"add {key}")
    return value


def _pin_dataset(name: str, spec: DatasetSpec, folder: Path) -> TreePin:
    where = f"datasets.{name}.path"
    root = folder / Path(spec.path).expanduser()
    places = {root.name: find_file(root, where)}
    choose_paths(places, Patterns(allow_pickle=(root.name,)), where)
    return TreePin("dataset", name, f"folder:{spec.path}", "", _hashed(places, folder))


def _pin_folder(name: str, spec: ModelSpec, folder: Path, progress: Progress) -> TreePin:
    where = f"models.{name}.path"
    written = _named(spec, "path")
    places = find_files(folder / Path(written).expanduser(), where)
    chosen = choose_paths(places, _patterns(spec), where)
    _tell_left_out(chosen, name, progress)
    files = _hashed({path: places[path] for path in chosen.paths}, folder)
    return TreePin("model", name, f"folder:{written}", "", files)


def _hashed(places: dict[str, Path], folder: Path) -> tuple[PinnedFile, ...]:
    known = KnownFiles.load(default_cache(folder) / "verified.jsonl")
    blobs = {path: known.blob_of(place) for path, place in places.items()}
    return tuple(PinnedFile(path, blob.size, blob.digest) for path, blob in blobs.items())


def _patterns(spec: ModelSpec) -> Patterns:
    return Patterns(spec.include, spec.exclude, spec.allow_pickle)


def _tell_left_out(choice: Choice, name: str, progress: Progress) -> None:
    if choice.left_out:
        shown = ", ".join(choice.left_out[:_SHOWN]) + (" …" if len(choice.left_out) > _SHOWN else "")
        progress.note(f"model {name}: safetensors are there, so these stay out: {shown}")


def pin_from_hub(
    name: str,
    spec: ModelSpec,
    cache: Path,
    hub: HubClient,
    progress: Progress,
    patience: Patience | None = None,
) -> TreePin:
    """Return the pin of a repository. Files whose sha256 the hub does not tell are fetched for it.

    Raises ConfigError, UnreachableError, VerificationError, TransferError, UnfitError.
    """
    repo, asked = _named(spec, "repo"), _named(spec, "revision")
    task = f"lock model {name}"
    fetch = Fetch(
        hub,
        Place(spec.source, repo, asked),
        HubCache.open(cache),
        progress.note,
        lambda count: progress.advance(task, count),
        patience or Patience(),
    )
    listing = list_place(fetch)
    choice = choose_paths([file.path for file in listing.files], _patterns(spec), f"models.{name}")
    _tell_left_out(choice, name, progress)
    listed = {file.path: file for file in listing.files}
    place = Place(spec.source, repo, listing.revision)
    blobs = _fetch_unknown(replace(fetch, place=place), [listed[path] for path in choice.paths])
    files = tuple(
        PinnedFile(path, listed[path].size, listed[path].digest or blobs[path].digest)
        for path in choice.paths
    )
    return TreePin("model", name, f"{spec.source}:{repo}", listing.revision, files, (), asked)


def _fetch_unknown(fetch: Fetch, files: list[HubFile]) -> dict[str, Blob]:
    unknown = [file for file in files if file.digest is None]
    check_room(fetch.cache.folder, bytes_missing(fetch.cache, fetch.place, unknown))
    return fetch_files(fetch, unknown)
