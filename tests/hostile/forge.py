"""Forging bundles: valid ones, and what somebody could make of them with every digest put right."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any, Literal

import zstandard

from kit.bundle.digest import blob_of
from kit.bundle.manifest import Image, Layer, Manifest, dump_manifest
from kit.bundle.oci_layout import image_manifest
from kit.bundle.tar_form import blob_name, fixed_files
from tests.unit.bundle.fake_engine import config_of

LOCK = b'{"kit_lock":1}\n'


def canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def member(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a tar; fields override what its header says."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def tar_of_members(
    *members: tuple[tarfile.TarInfo, bytes], form: Literal[0, 1, 2] = tarfile.PAX_FORMAT
) -> bytes:
    """A tar of members, whatever they say of themselves."""
    out = io.BytesIO()
    for info, data in members:
        out.write(info.tobuf(format=form))
        out.write(data.ljust(-(-len(data) // 512) * 512, b"\0"))
    return out.getvalue() + bytes(1024)


def forged_image(folder: Path, plain: bytes, stored: bytes | None = None, **lies: Any) -> Path:
    """A bundle folder with one image of one layer, every digest right but for the lies."""
    stored = zstandard.ZstdCompressor().compress(plain) if stored is None else stored
    config = config_of((lies.get("config_layer", plain),))
    diff = blob_of(plain)
    layer = Layer(
        blob_of(stored).digest,
        len(stored),
        diff.digest,
        lies.get("plain_size", len(plain)),
        lies.get("index"),
    )
    form = image_manifest(blob_of(config), (layer,))
    image = Image(lies.get("name", "train"), blob_of(config), blob_of(form), (layer,))
    blobs = [config, form, stored, *lies.get("blobs", ())]
    return forged_folder(folder, (image,), blobs)


def forged_folder(folder: Path, images: tuple[Image, ...], blobs: list[bytes]) -> Path:
    """A bundle folder, described as kit does it."""
    manifest = Manifest(
        name="demo",
        stack="cpu",
        kit_version="0.1.0",
        lock_digest=blob_of(LOCK).digest,
        locked="2026-05-01T12:30:00Z",
        images=images,
        trees=(),
        documents=(),
    )
    for name, data in fixed_files(manifest, dump_manifest(manifest), LOCK, None).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    for data in blobs:
        path = folder / blob_name(blob_of(data).digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def seen(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, to tell later that nothing was touched."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }
