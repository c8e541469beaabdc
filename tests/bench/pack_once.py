"""One pack in a process of its own, so that its memory is its own: `pack_once WANTED.json OUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kit.bundle.digest import sha256_of_file
from kit.bundle.docker_engine import DockerEngine
from kit.bundle.folder_target import FolderTarget
from kit.bundle.manifest import Blob
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import LocalFile, LocalTree, PackRequest
from kit.progress import NoProgress


def write_wanted(path: Path, images: dict[str, str], model: Path) -> Path:
    """Write down what is to be packed, the model's digest included, as `kit.lock` would have it."""
    blob = sha256_of_file(model)
    path.write_text(json.dumps({"images": images, "model": [str(model), blob.digest, blob.size]}))
    return path


def main() -> None:
    wanted = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    place, digest, size = wanted["model"]
    model = LocalTree(
        "model", "noise", "folder:model", (LocalFile("w.safetensors", Path(place), Blob(digest, size)),)
    )
    images = tuple(wanted["images"].items())
    request = PackRequest("bench", "cpu", b"{}\n", "2026-05-01T12:30:00Z", images, (model,))
    pack_bundle(request, DockerEngine(), FolderTarget(Path(sys.argv[2])), NoProgress())


if __name__ == "__main__":
    main()
