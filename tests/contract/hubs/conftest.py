from __future__ import annotations

import socket
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.hub_server.scene import FILES, ORIGINS, Scene, Told
from tests.hub_server.server import Hub, running_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def checked(host: str, *rest: Any, **named: Any) -> Any:
        if not str(host).startswith("127."):
            raise AssertionError(f"a test asked for {host}")
        return look_up(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", checked)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub(dict(FILES)) as hub:
        yield hub


@pytest.fixture(params=list(ORIGINS))
def scene(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub: Hub) -> Scene:
    pytest.importorskip(ORIGINS[request.param])
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # The clients' own patience with a listing is minutes.
    hurried = SimpleNamespace(sleep=lambda _: None, time=time.time, monotonic=time.monotonic)
    monkeypatch.setattr("huggingface_hub.utils._http.time", hurried)
    monkeypatch.setattr("modelscope_hub._legacy_api.time", hurried)
    return Scene(request.param, hub, tmp_path, Told())
