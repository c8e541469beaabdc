from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from kit.bundle.digest import hash_chunks
from kit.bundle.docker_archive import TakenLayer, read_saved_image
from kit.bundle.manifest import Layer
from kit.errors import EngineError, VerificationError
from tests.unit.bundle.fake_engine import BIG, FORMS, Archive, FakeEngine, config_of, hexdigest, tar_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.bundle.engine import EngineImage

FIRST = tar_of({"a": b"first"})
SECOND = tar_of({"b": bytes(BIG)})


@dataclass
class Sink:
    """A LayerSink that keeps digests only."""

    taken: list[str] = field(default_factory=list)
    known: dict[str, TakenLayer] = field(default_factory=dict)

    def find(self, name: str, size: int) -> TakenLayer | None:  # noqa: ARG002
        return self.known.get(name)

    def take(self, name: str, size: int, plain: Iterable[bytes]) -> TakenLayer:  # noqa: ARG002
        blob = hash_chunks(plain)
        self.taken.append(name)
        return TakenLayer(blob.digest, Layer(blob.digest, blob.size, blob.digest, blob.size))


def saved(engine: FakeEngine, image_id: str) -> tuple[list[bytes], EngineImage]:
    return list(engine.save(image_id)), engine.inspect(image_id)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_image(form: str) -> None:
    engine, sink = FakeEngine(form), Sink()
    chunks, image = saved(engine, engine.add(FIRST, SECOND))
    found = read_saved_image(chunks, image, sink)
    assert found.config == config_of((FIRST, SECOND))
    assert [layer.diff_id for layer in found.layers] == [
        "sha256:" + hexdigest(FIRST),
        "sha256:" + hexdigest(SECOND),
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_that_occurs_twice_is_taken_once(form: str) -> None:
    engine, sink = FakeEngine(form), Sink()
    chunks, image = saved(engine, engine.add(FIRST, SECOND, FIRST))
    found = read_saved_image(chunks, image, sink)
    assert found.layers[0] == found.layers[2] != found.layers[1]
    assert len(sink.taken) == 2


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_that_looks_like_json_is_a_layer(form: str) -> None:
    engine = FakeEngine(form)
    chunks, image = saved(engine, engine.add(tar_of({"{brace": b"x"}), FIRST))
    assert len(read_saved_image(chunks, image, Sink()).layers) == 2


def test_known_layers_are_not_read() -> None:
    engine = FakeEngine("25")
    chunks, image = saved(engine, engine.add(FIRST, SECOND))
    digest = "sha256:" + hexdigest(SECOND)
    known = TakenLayer(digest, Layer("sha256:" + "1" * 64, 5, digest, len(SECOND)))
    sink = Sink(known={"blobs/sha256/" + hexdigest(SECOND): known})
    assert read_saved_image(chunks, image, sink).layers[1] == known
    assert sink.taken == ["blobs/sha256/" + hexdigest(FIRST)]


def test_a_layer_taken_for_another_is_refused() -> None:
    engine = FakeEngine("25")
    chunks, image = saved(engine, engine.add(FIRST, SECOND))
    digest = "sha256:" + "2" * 64
    wrong = TakenLayer(digest, Layer("sha256:" + "1" * 64, 5, digest, len(SECOND)))
    with pytest.raises(VerificationError, match="other layers"):
        read_saved_image(chunks, image, Sink(known={"blobs/sha256/" + hexdigest(SECOND): wrong}))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_an_archive_that_is_cut_off_is_refused(form: str, part: float) -> None:
    engine = FakeEngine(form)
    chunks, image = saved(engine, engine.add(FIRST, tar_of({"b": bytes(range(256)) * 3000})))
    data = b"".join(chunks).rstrip(b"\0")
    with pytest.raises((EngineError, VerificationError)):
        read_saved_image((data[: int(len(data) * part)],), image, Sink())


def test_another_image_than_was_asked_for_is_refused() -> None:
    engine = FakeEngine("25")
    chunks, _ = saved(engine, engine.add(FIRST))
    _, other = saved(engine, engine.add(SECOND))
    with pytest.raises(EngineError, match="no image with the layers"):
        read_saved_image(chunks, other, Sink())


def test_a_config_that_the_id_does_not_name_is_refused() -> None:
    engine = FakeEngine("containerd-gzip")
    chunks, image = saved(engine, engine.add(FIRST, author="a"))
    archive = b"".join(chunks)
    other = json.dumps({"config": {"digest": "sha256:" + "0" * 64}}).encode()
    forged = Archive()
    forged.blob(other)
    with pytest.raises(EngineError, match="its config is not"):
        read_saved_image(
            (_merged(forged, archive),), replace(image, image_id="sha256:" + hexdigest(other)), Sink()
        )


def _merged(extra: Archive, archive: bytes) -> bytes:
    return extra.dump()[:1024] + archive  # one member's two blocks, without the end of its archive


@pytest.mark.parametrize("listing", [b"", b"[]", b"{}", b"[{}]", b'[{"Config":"x","Layers":[]}]', b"[1]"])
def test_an_archive_without_a_usable_listing_is_refused(listing: bytes) -> None:
    engine = FakeEngine("25")
    image = engine.inspect(engine.add(FIRST))
    archive = Archive({"manifest.json": listing})
    with pytest.raises(EngineError):
        read_saved_image((archive.dump(),), image, Sink())
