"""One origin, its hub on loopback, and a cache: what tests of fetching look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.hub.fetch_tree import fetch_from_hub
from kit.hub.patience import Patience
from kit.hub.pin_tree import pin_from_hub
from kit.hub.pinned_hub import make_hub
from kit.hub.requests_download import Tempo
from kit.progress import NoProgress
from kit.project.model import ModelSpec
from tests.hub_server.faults import Slow
from tests.hub_server.repository import NAME

if TYPE_CHECKING:
    from pathlib import Path

    from kit.hub.port import HubClient
    from kit.project.lock import TreePin
    from tests.hub_server.server import Hub

LARGE = "sub/model.safetensors"
SMALL = "config.json"
FILES = {
    SMALL: b'{"hidden_size": 64}',
    LARGE: bytes(range(256)) * 8000,
    "README.md": b"read me",
    "空 格+&?.txt": b"a name that must be quoted",
    "empty.txt": b"",
}
ORIGINS = {"huggingface": "huggingface_hub", "modelscope": "modelscope_hub"}
QUICK = Tempo(connect=2, silence=0.6, window=0.5, least=1000)
"""For lines that a fault makes slow: nobody wants to wait long for those."""
UNHURRIED = Tempo(connect=20, silence=20, window=20, least=1)
"""For the others: a busy machine is no dead line."""
SOON = Patience(attempts=3, first_pause=0.01)


class Told(NoProgress):
    """Keeps what was said and counts bytes."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: list[int] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def advance(self, task: str, amount: int) -> None:  # noqa: ARG002
        self.counts.append(amount)


@dataclass
class Scene:
    """One origin, its hub, and a cache."""

    origin: str
    hub: Hub
    folder: Path
    told: Told

    @property
    def client(self) -> HubClient:
        faults = (fault for queue in self.hub.faults.values() for fault in queue)
        slow = any(isinstance(fault, Slow) for fault in faults)
        return make_hub(self.origin, self.hub.endpoint, QUICK if slow else UNHURRIED)

    def pin(self, revision: str = "main", **spec: Any) -> TreePin:
        model = ModelSpec(source=self.origin, repo=NAME, revision=revision, **spec)
        return pin_from_hub("tiny", model, self.folder / "lock", self.client, self.told, SOON)

    def fetch(self, pin: TreePin) -> dict[str, bytes]:
        tree = fetch_from_hub(pin, self.folder / "cache", self.client, self.told, SOON)
        return {file.path: file.place.read_bytes() for file in tree.files}
