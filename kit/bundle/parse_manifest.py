"""Reading kit.json: strict, so that every byte of it is one that kit would have written. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from kit.bundle.manifest import (
    DIGEST,
    FORMAT,
    Blob,
    Document,
    File,
    FileTree,
    Image,
    Layer,
    Manifest,
    dump_manifest,
)
from kit.errors import VerificationError

_MOST_BYTES = 2**63 - 1


def _fail(key: str, message: str) -> VerificationError:
    return VerificationError(f"{message} in {key!r}", where="kit.json", fix="make or fetch the bundle again")


class _Reader:
    """Takes typed values out of parsed JSON; each complaint names its key."""

    def __init__(self, value: Any, key: str) -> None:
        if not isinstance(value, dict):
            raise _fail(key, "an object is needed")
        self.value: dict[str, Any] = value
        self.key = key

    def _get(self, name: str, kind: type) -> Any:
        value = self.value.get(name)
        if type(value) is not kind:
            raise _fail(f"{self.key}.{name}", f"a {kind.__name__} is needed")
        return value

    def text(self, name: str) -> str:
        value = str(self._get(name, str))
        # Control characters could rewrite a terminal; half a surrogate pair is no UTF-8.
        if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in value):  # noqa: PLR2004
            raise _fail(f"{self.key}.{name}", "a character that cannot be shown")
        return value

    def count(self, name: str) -> int:
        value: int = self._get(name, int)
        if not 0 <= value <= _MOST_BYTES:
            raise _fail(f"{self.key}.{name}", "not a count of bytes")
        return value

    def digest(self, name: str) -> str:
        value = self.text(name)
        if not DIGEST.match(value):
            raise _fail(f"{self.key}.{name}", "not a sha256 digest")
        return value

    def items(self, name: str) -> tuple[_Reader, ...]:
        values = self._get(name, list)
        return tuple(_Reader(value, f"{self.key}.{name}[{i}]") for i, value in enumerate(values))

    def blob(self, name: str) -> Blob:
        reader = _Reader(self.value.get(name), f"{self.key}.{name}")
        return Blob(reader.digest("digest"), reader.count("size"))

    def optional_blob(self, name: str) -> Blob | None:
        return None if self.value.get(name, 0) is None else self.blob(name)

    def only(self, *names: str) -> None:
        unknown = set(self.value) - set(names)
        if unknown:
            raise _fail(f"{self.key}.{min(unknown)}", "unknown key")


_NAME = re.compile(r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?\Z")


def _name(reader: _Reader) -> str:
    name = reader.text("name")
    if not _NAME.match(name):
        raise _fail(f"{reader.key}.name", "not a name")
    return name


def _relative_path(reader: _Reader, name: str) -> str:
    path = reader.text(name)
    parts = path.split("/")
    if "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise _fail(f"{reader.key}.{name}", "not a plain relative path")
    return path


def _layer(reader: _Reader) -> Layer:
    reader.only("digest", "size", "diff_id", "plain_size", "index")
    return Layer(
        reader.digest("digest"),
        reader.count("size"),
        reader.digest("diff_id"),
        reader.count("plain_size"),
        reader.optional_blob("index"),
    )


def _image(reader: _Reader) -> Image:
    reader.only("name", "config", "manifest", "layers")
    layers = tuple(_layer(item) for item in reader.items("layers"))
    return Image(_name(reader), reader.blob("config"), reader.blob("manifest"), layers)


def _file(reader: _Reader) -> File:
    reader.only("path", "digest", "size", "index")
    path = _relative_path(reader, "path")
    return File(path, reader.digest("digest"), reader.count("size"), reader.optional_blob("index"))


def _check_paths(paths: tuple[str, ...], key: str) -> None:
    if len(set(paths)) != len(paths):
        raise _fail(key, "the same path twice")
    folders = {path[:place] for path in paths for place, c in enumerate(path) if c == "/"}
    if folders.intersection(paths):
        raise _fail(key, "a path that is both a file and a folder")


def _tree(reader: _Reader) -> FileTree:
    reader.only("name", "kind", "source", "config", "manifest", "files")
    kind = reader.text("kind")
    if kind not in ("model", "dataset"):
        raise _fail(f"{reader.key}.kind", "neither model nor dataset")
    files = tuple(_file(item) for item in reader.items("files"))
    _check_paths(tuple(file.path for file in files), f"{reader.key}.files")
    return FileTree(
        _name(reader), kind, reader.text("source"), reader.blob("config"), reader.blob("manifest"), files
    )


_MEDIA_TYPE = re.compile(r"^[a-z0-9.+-]+/[a-zA-Z0-9.+-]+\Z")
_TIME = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")


def _matching(reader: _Reader, name: str, pattern: re.Pattern[str], what: str) -> str:
    value = reader.text(name)
    if not pattern.match(value):
        raise _fail(f"{reader.key}.{name}", f"not {what}")
    return value


def _document(reader: _Reader) -> Document:
    reader.only("name", "media_type", "blob")
    name = _relative_path(reader, "name")
    return Document(name, _matching(reader, "media_type", _MEDIA_TYPE, "a media type"), reader.blob("blob"))


def _check_format(reader: _Reader) -> None:
    found = reader.count("kit_bundle")
    if found != FORMAT:
        raise VerificationError(
            f"a bundle of format {found}; this version of kit reads format {FORMAT}, in 'kit_bundle'",
            where="kit.json",
            why="it was made by " + ("an older" if found < FORMAT else "a newer") + " version of kit",
            fix="kit bundle, with this version"
            if found < FORMAT
            else "use the kit that comes with the bundle",
        )


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest that canonical bytes describe; `dump_manifest` is its inverse.

    Raises VerificationError naming the key when anything is unknown, missing or malformed.
    """
    try:
        reader = _Reader(json.loads(data), "kit.json")
    except (ValueError, RecursionError) as error:
        raise VerificationError("not JSON", where="kit.json", fix="make or fetch the bundle again") from error
    _check_format(reader)
    reader.only("kit_bundle", *Manifest.__dataclass_fields__)
    manifest = Manifest(
        name=_name(reader),
        stack=reader.text("stack"),
        kit_version=reader.text("kit_version"),
        lock_digest=reader.digest("lock_digest"),
        locked=_matching(reader, "locked", _TIME, "a UTC time"),
        images=tuple(_image(item) for item in reader.items("images")),
        trees=tuple(_tree(item) for item in reader.items("trees")),
        documents=tuple(_document(item) for item in reader.items("documents")),
    )
    _check_unique(manifest)
    if dump_manifest(manifest) != data:
        raise _fail("kit.json", "bytes that are not canonical")
    return manifest


def _check_unique(manifest: Manifest) -> None:
    names = [image.name for image in manifest.images] + [f"{t.kind}/{t.name}" for t in manifest.trees]
    if len(set(names)) != len(names):
        raise _fail("kit.json", "the same name twice")
    _check_paths(tuple(document.name for document in manifest.documents), "kit.json.documents")
    sizes: dict[str, int] = {}
    for blob in manifest.named_blobs:
        if sizes.setdefault(blob.digest, blob.size) != blob.size:
            raise _fail("kit.json", f"two sizes for {blob.digest}")
