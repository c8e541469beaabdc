"""Loads images as kit's agent does: in the network of the lab host that is named, as root, with its socket.

Reads what to do as JSON on standard input, says how it ended as JSON on standard output.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from kit.bundle.blob_store import BlobStore
from kit.bundle.docker_load import docker_load_chunks
from kit.bundle.source import open_bundle
from kit.errors import KitError, TransferError
from kit.host.agent import error_document
from kit.ship.engine.docker_store import DockerStore
from kit.ship.engine.layer_supply import Coming
from kit.ship.engine.load import load_images
from kit.ship.engine.served import Store
from tests.lab.names import netns_of
from tests.lab.namespaces import file_system_of


class Spool:
    """Watches how much an engine's tmp folder holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended = threading.Event()
        self.peak = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.005):
            with suppress(FileNotFoundError):  # a folder that went away meanwhile; the next look is near
                every = self._folder.rglob("*")
                found = [path for path in every if "docker-" in str(path) or "Get" in path.name]
                self.peak = max(self.peak, sum(_blocks(path) for path in found))

    def end(self) -> int:
        self._ended.set()
        self._thread.join()
        return self.peak


def _blocks(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def enter(host: str) -> None:
    """Go on in a lab host's network."""
    socket = f"{file_system_of(host)}/run/docker.sock"
    words = (sys.executable, "-m", "tests.e2e.load_driver", "--socket", socket)
    os.execvp("ip", ("ip", "netns", "exec", netns_of(host), *words))


def main(socket: str) -> None:
    """Do what is asked."""
    asked: dict[str, Any] = json.load(sys.stdin)
    source = open_bundle(Path(asked["bundle"]))
    blobs = Path(asked.get("blobs", asked["bundle"]))
    images = tuple(image for image in source.manifest.images if image.name in asked["images"])
    engine, store = DockerStore(socket), Store(asked["containerd"], asked["version"])
    stalls, fails = asked.get("stalls", {}), asked.get("fails", ())
    awaited: list[str] = []

    def wait(digest: str) -> None:
        awaited.append(digest)
        if digest in stalls:
            print(json.dumps({"event": "waiting"}), flush=True)
            time.sleep(stalls[digest])
        if digest in fails:
            raise TransferError("the sender fell silent")

    spool = Spool(Path(socket).parents[1] / "var/lib/docker/tmp")
    try:
        if asked.get("docker_load"):
            engine.load(docker_load_chunks(source, images[0], packed=asked["docker_load"] == "packed"))
            said: dict[str, Any] = {}
        else:
            coming = Coming(wait, frozenset(asked.get("left_out", ())))
            said = {"loaded": load_images(engine, store, BlobStore(blobs), images, lambda _: None, coming)}
    except KitError as error:
        said = {"error": error_document(error)}
    print(json.dumps({**said, "awaited": awaited, "spool": spool.end()}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--socket":
        main(sys.argv[2])
    else:
        enter(sys.argv[1])
