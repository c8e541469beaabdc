"""The bundle's manifest (`kit.json`): every output, named by sha256.

It is canonical JSON (sorted keys, no spaces, UTF-8, one newline at the end), so that the same
contents give the same bytes; its own sha256 is the bundle's digest. After packing, everything
acts on this manifest alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from kit.errors import VerificationError

FORMAT = 1
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}\Z")
IDENTITY_REGISTRY = "kit.invalid"
"""Host part of identity tags. The top-level domain `invalid` never resolves (RFC 2606)."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes named by their sha256."""

    digest: str
    """`sha256:` and 64 hexadecimal digits."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as it is stored (zstd) and as the engine knows it (its uncompressed tar)."""

    digest: str
    size: int
    diff_id: str
    """sha256 of the uncompressed tar."""
    plain_size: int
    """Bytes of the uncompressed tar."""

    @property
    def blob(self) -> Blob:
        """The stored form."""
        return Blob(self.digest, self.size)


@dataclass(frozen=True, slots=True)
class Image:
    """A container image. Its identity is the digest of its config."""

    name: str
    config: Blob
    manifest: Blob
    layers: tuple[Layer, ...]

    @property
    def identity_tag(self) -> str:
        """The name that the image bears on every host, e.g. `kit.invalid/train:1f3a5c7e9b2d`."""
        return f"{IDENTITY_REGISTRY}/{self.name}:{self.config.digest.removeprefix('sha256:')[:12]}"

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Everything the image is stored as."""
        return (self.config, self.manifest, *(layer.blob for layer in self.layers))


@dataclass(frozen=True, slots=True)
class File:
    """A file of a model or dataset."""

    path: str
    """Relative, with `/`, without `..`."""
    digest: str
    size: int

    @property
    def blob(self) -> Blob:
        """Its bytes."""
        return Blob(self.digest, self.size)


@dataclass(frozen=True, slots=True)
class FileTree:
    """A model or a dataset: an OCI artifact with one blob a file."""

    name: str
    kind: str
    """`model` or `dataset`."""
    source: str
    """Where it came from, e.g. `modelscope:Qwen/Qwen3-32B@v1.0.0`."""
    config: Blob
    manifest: Blob
    files: tuple[File, ...]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Everything the tree is stored as."""
        return (self.config, self.manifest, *(file.blob for file in self.files))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds."""

    name: str
    stack: str
    kit_version: str
    lock_digest: str
    """sha256 of the kit.lock that the bundle was made from."""
    images: tuple[Image, ...]
    trees: tuple[FileTree, ...]

    @property
    def parts(self) -> tuple[Image | FileTree, ...]:
        """Images, then models and datasets."""
        return (*self.images, *self.trees)

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Every blob once, in order of first use."""
        found: dict[str, Blob] = {}
        for part in self.parts:
            for blob in part.blobs:
                found.setdefault(blob.digest, blob)
        return tuple(found.values())

    def image(self, name: str) -> Image | None:
        """Return the image of that name, if the bundle has it."""
        return next((image for image in self.images if image.name == name), None)

    def tree(self, kind: str, name: str) -> FileTree | None:
        """Return the model or dataset of that name, if the bundle has it."""
        return next((tree for tree in self.trees if (tree.kind, tree.name) == (kind, name)), None)


def dump_manifest(manifest: Manifest) -> bytes:
    """Return the canonical bytes of a manifest."""
    document = {"kit_bundle": FORMAT, **asdict(manifest)}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


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


def _relative_path(reader: _Reader) -> str:
    path = reader.text("path")
    parts = path.split("/")
    if "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise _fail(f"{reader.key}.path", "not a plain relative path")
    return path


def _layer(reader: _Reader) -> Layer:
    reader.only("digest", "size", "diff_id", "plain_size")
    return Layer(
        reader.digest("digest"), reader.count("size"), reader.digest("diff_id"), reader.count("plain_size")
    )


def _image(reader: _Reader) -> Image:
    reader.only("name", "config", "manifest", "layers")
    layers = tuple(_layer(item) for item in reader.items("layers"))
    return Image(_name(reader), reader.blob("config"), reader.blob("manifest"), layers)


def _file(reader: _Reader) -> File:
    reader.only("path", "digest", "size")
    return File(_relative_path(reader), reader.digest("digest"), reader.count("size"))


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


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest that canonical bytes describe; `dump_manifest` is its inverse.

    Raises VerificationError naming the key when anything is unknown, missing or malformed.
    """
    try:
        reader = _Reader(json.loads(data), "kit.json")
    except (ValueError, RecursionError) as error:
        raise VerificationError("not JSON", where="kit.json", fix="make or fetch the bundle again") from error
    if reader.count("kit_bundle") != FORMAT:
        raise _fail("kit_bundle", "a format this version of kit does not read")
    reader.only("kit_bundle", "name", "stack", "kit_version", "lock_digest", "images", "trees")
    manifest = Manifest(
        name=_name(reader),
        stack=reader.text("stack"),
        kit_version=reader.text("kit_version"),
        lock_digest=reader.digest("lock_digest"),
        images=tuple(_image(item) for item in reader.items("images")),
        trees=tuple(_tree(item) for item in reader.items("trees")),
    )
    _check_unique(manifest)
    if dump_manifest(manifest) != data:
        raise _fail("kit.json", "bytes that are not canonical")
    return manifest


def _check_unique(manifest: Manifest) -> None:
    names = [image.name for image in manifest.images] + [f"{t.kind}/{t.name}" for t in manifest.trees]
    if len(set(names)) != len(names):
        raise _fail("kit.json", "the same name twice")
    sizes: dict[str, int] = {}
    for part in manifest.parts:
        for blob in part.blobs:
            if sizes.setdefault(blob.digest, blob.size) != blob.size:
                raise _fail("kit.json", f"two sizes for {blob.digest}")
