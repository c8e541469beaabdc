"""Tokens and logins: to the hub alone, and kept nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kit.errors import ConfigError, KitError
from kit.hub.pinned_hub import make_hub
from tests.hub_server.faults import Cut, Fault, Status, Wrong
from tests.hub_server.repository import NAME, TOKEN
from tests.hub_server.scene import FILES, LARGE, Scene
from tests.hub_server.server import SIGNATURE, Hub

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def token(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HF_TOKEN" if scene.origin == "huggingface" else "MODELSCOPE_API_TOKEN", TOKEN)
    return TOKEN


@pytest.mark.parametrize("closed", ["gated", "private"])
def test_a_closed_repository_says_how_to_be_let_in(scene: Scene, closed: str) -> None:
    scene.hub.repository.closed = closed
    with pytest.raises(ConfigError, match=r"HF_TOKEN|MODELSCOPE_API_TOKEN"):
        scene.fetch(scene.pin())


@pytest.mark.parametrize("closed", ["gated", "private"])
def test_a_token_opens_it_goes_to_the_hub_alone_and_is_kept_nowhere(
    scene: Scene, token: str, closed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    scene.hub.repository.closed = closed
    assert scene.fetch(scene.pin()) == FILES
    for seen in scene.hub.seen:
        elsewhere = seen.host in scene.hub.store
        assert (token in seen.authorization + seen.cookie) == (not elsewhere)
    said = "".join([*scene.told.lines, *capfd.readouterr()])
    written = b"".join(path.read_bytes() for path in scene.folder.rglob("*") if path.is_file())
    assert token not in said
    assert token.encode() not in written
    assert any(seen.host in scene.hub.store for seen in scene.hub.seen)


@pytest.mark.parametrize("fault", [Status(500), Status(403), Cut(0), Wrong()], ids=repr)
@pytest.mark.usefixtures("token")
def test_no_error_tells_a_token_or_a_signature(scene: Scene, fault: Fault) -> None:
    pin = scene.pin()
    scene.hub.faults[LARGE] += [fault] * 9
    with pytest.raises(KitError) as caught:
        scene.fetch(pin)
    shown = "".join([str(caught.value), *scene.told.lines])
    assert TOKEN not in shown
    assert SIGNATURE not in shown


def test_a_login_that_is_damaged_is_said_to_be(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = pytest.importorskip("modelscope_hub.config")
    monkeypatch.setenv("HOME", str(tmp_path))
    # Without mirrors.hub the client goes where this says: never beyond loopback.
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.endpoint)
    monkeypatch.delenv("MODELSCOPE_API_TOKEN", raising=False)
    # The client keeps one configuration for the whole process.
    monkeypatch.setattr(config, "_default_config", None)
    place = tmp_path / ".modelscope" / "credentials" / "cookies"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    with pytest.raises(ConfigError, match="login cannot be read"):
        make_hub("modelscope", None).list_files(NAME, "main")
    assert hub.seen == []


def test_a_mirror_does_not_get_the_login_that_was_made_for_the_hub(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._headers.get_token", lambda: TOKEN)
    monkeypatch.setattr("modelscope_hub.config.HubConfig.load_token", lambda _: TOKEN)
    scene.fetch(scene.pin())
    assert not [seen for seen in scene.hub.seen if TOKEN in seen.authorization + seen.cookie]


@pytest.mark.parametrize("endpoint", ["hub.example", "ftp://hub.example", "https://me:secret@hub.example"])
def test_a_mirror_is_a_whole_address_without_a_login(scene: Scene, endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"mirrors\.hub") as caught:
        make_hub(scene.origin, endpoint)
    assert "secret@" not in str(caught.value)
