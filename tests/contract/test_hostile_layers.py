"""Layers that would lead an engine astray, shipped in bundles whose every digest is right."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kit.bundle.blob_store import BlobStore
from kit.bundle.source import open_bundle
from kit.errors import EngineError, VerificationError
from kit.ship.engine.identity import SeenImage
from kit.ship.engine.load import load_images
from kit.ship.engine.port import PullStatus
from kit.ship.engine.served import Store
from kit.ship.head_start import NOTHING_AHEAD
from kit.ship.kit_image import send_kit_image
from kit.ship.lanes.carrier import Heard
from kit.ship.lanes.lanes import destination
from tests.hostile.forge import forged_image
from tests.hostile.test_layers import LAWFUL, LAWLESS
from tests.unit.host.factories import host_facts
from tests.unit.ship.fake_host import FakeHost
from tests.unit.ship.fake_image_engine import CLASSIC, CONTAINERD, FakeImageEngine


@dataclass
class PullingEngine(FakeImageEngine):
    """Fetches what it is told to pull, as engines do, and counts what it was given of layers."""

    given: list[bytes] = field(default_factory=list)

    def pull(self, reference: str) -> Iterator[PullStatus]:
        place, _, digest = reference.partition("@")
        host, _, repository = place.partition("/")
        manifest = json.loads(self._get(host, f"/v2/{repository}/manifests/{digest}"))
        self._get(host, f"/v2/{repository}/blobs/{manifest['config']['digest']}")
        for layer in manifest["layers"]:
            self.given.append(self._get(host, f"/v2/{repository}/blobs/{layer['digest']}"))
        yield from super().pull(reference)

    def _get(self, host: str, path: str) -> bytes:
        connection = http.client.HTTPConnection(host, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except http.client.IncompleteRead as error:
            raise EngineError("the engine did not pull", why="a body that ends too soon") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise EngineError("the engine did not pull", why=json.loads(body)["errors"][0]["message"])
        return body


def load(folder: Path, store: Store) -> tuple[PullingEngine, tuple[str, ...]]:
    engine = PullingEngine(store)
    (image,) = open_bundle(folder).manifest.images
    engine.offer(image)
    try:
        return engine, load_images(engine, store, BlobStore(folder), (image,), lambda _: None)
    except VerificationError as error:
        return engine, (error.what,)


@pytest.mark.parametrize("store", [CLASSIC, CONTAINERD], ids=["classic", "containerd"])
@pytest.mark.parametrize("plain", LAWLESS.values(), ids=LAWLESS)
def test_an_engine_on_a_host_is_not_given_a_lawless_layer(tmp_path: Path, plain: bytes, store: Store) -> None:
    engine, (said,) = load(forged_image(tmp_path / "bundle", plain), store)
    assert "what no layer should" in said
    assert not engine.given
    assert not engine.images


@pytest.mark.parametrize("store", [CLASSIC, CONTAINERD], ids=["classic", "containerd"])
@pytest.mark.parametrize("plain", LAWFUL.values(), ids=LAWFUL)
def test_it_is_given_what_engines_write(tmp_path: Path, plain: bytes, store: Store) -> None:
    engine, loaded = load(forged_image(tmp_path / "bundle", plain), store)
    assert len(engine.given) == len(loaded) == len(engine.images) == 1
    if not store.containerd:
        assert engine.given == [plain]


def test_an_image_that_an_engine_has_unpacked_in_another_form_is_looked_into_as_well(tmp_path: Path) -> None:
    class Knowing(PullingEngine):
        """Has the layers already, and reports none of what it pulled."""

        def pull(self, reference: str) -> Iterator[PullStatus]:
            yield from FakeImageEngine.pull(self, reference)

        def inspect(self, reference: str) -> SeenImage | None:
            found = super().inspect(reference)
            return SeenImage(found.id, (), ()) if found else None

    folder = forged_image(tmp_path / "bundle", LAWLESS["a chain of links"])
    (image,) = open_bundle(folder).manifest.images
    engine = Knowing(CONTAINERD)
    engine.offer(image)
    with pytest.raises(VerificationError, match="what no layer should"):
        load_images(engine, CONTAINERD, BlobStore(folder), (image,), lambda _: None)
    assert [name for name, *_ in engine.calls] == ["pull", "remove"]


@pytest.mark.parametrize("name", ["hard link above", "a disk", "more than it says"])
def test_kits_own_image_is_looked_into_before_it_is_loaded(tmp_path: Path, name: str) -> None:
    if name in LAWLESS:
        folder = forged_image(tmp_path / "bundle", LAWLESS[name], name="kit")
    else:
        folder = forged_image(tmp_path / "bundle", LAWFUL["nothing"], name="kit", plain_size=512)
    source = open_bundle(folder)
    host = FakeHost(tmp_path / "host", source.manifest)
    heard = Heard(lambda _: None, lambda _: None, lambda _: None)
    to = destination(host, str(host.root), host_facts())
    with pytest.raises(VerificationError):
        send_kit_image(to, host_facts(), source, source.manifest.images[0], heard, NOTHING_AHEAD)
    assert not [argv for argv in host.commands if argv[0] == "docker"]
    assert host.files() == set()
