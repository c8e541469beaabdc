from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from kit.bundle.manifest import Blob, Image, Layer
from tests.bench.image_contents import compare, compare_packed, read_image


def _layer(files: dict[str, bytes], mtime: int, mode: int = 0o644) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), mtime, mode
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def _saved(folder: Path, name: str, *layers: bytes) -> Path:
    """Write an image as an engine of 20.10 does: the last layer once more, as a link to it."""
    path = folder / name
    with tarfile.open(path, "w") as tar:
        places = [f"{number}/layer.tar" for number in range(len(layers))]
        for place, data in zip(places, layers, strict=True):
            info = tarfile.TarInfo(place)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        again = tarfile.TarInfo("again/layer.tar")
        again.type, again.linkname = tarfile.SYMTYPE, f"../{places[-1]}"
        tar.addfile(again)
        listed = json.dumps([{"Layers": [*places, "again/layer.tar"]}]).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size = len(listed)
        tar.addfile(info, io.BytesIO(listed))
    return path


def test_times_alone_are_no_difference_of_members(tmp_path: Path) -> None:
    first, second = (
        read_image(_saved(tmp_path, f"{time}.tar", _layer({"a": b"one", "b": b"two"}, time)))
        for time in (1_000, 2_000)
    )
    found = compare(first, second)
    assert (found.layers, found.equal_layers, found.raw_bytes) == (2, 0, found.size)
    assert (found.differences, found.differing_bytes) == ((), 0)


def test_contents_attributes_and_missing_files_are_told_apart(tmp_path: Path) -> None:
    first = read_image(_saved(tmp_path, "1.tar", _layer({"a": b"one", "gone": b"x"}, 1)))
    second = read_image(
        _saved(
            tmp_path,
            "2.tar",
            _layer({"a": b"three"}, 1),
        )
    )
    found = compare(first[:1], second[:1])
    assert [(item.path, item.what, item.size) for item in found.differences] == [
        ("a", "contents", 5),
        ("gone", "in one build only", 1),
    ]
    other = read_image(_saved(tmp_path, "3.tar", _layer({"a": b"three"}, 1, mode=0o755)))
    (only,) = compare(second[:1], other[:1]).differences
    assert (only.what, only.size) == ("attributes", 0)


def _packed(config: str, *layers: tuple[str, str]) -> Image:
    stored = tuple(Layer(digest, 10, plain, 40, Blob(f"index of {digest}", 1)) for digest, plain in layers)
    return Image("train", Blob(config, 1), Blob(f"manifest of {config}", 1), stored)


def test_packed_images_are_equal_when_every_layer_and_the_config_are() -> None:
    image = _packed("c", ("a", "A"), ("b", "B"))
    found = compare_packed(image, image)
    assert (found.equal_layers, found.plain_bytes, found.blob_bytes, found.config) == (2, 0, 0, "equal")
    found = compare_packed(image, _packed("d", ("a", "A"), ("x", "B")))
    assert (found.equal_layers, found.plain_bytes, found.blob_bytes) == (1, 40, 10)
    assert found.config == "c and d"
