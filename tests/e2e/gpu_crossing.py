"""A bundle of stand-in images for stack cu126, and copies of the ready-made definitions that use it.

kit's own image is the real one. The others are made from it, so that the layers are shared and a
bundle stays small; what stands for each program is `gpu_stand_in.py`.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import yaml

from kit.bundle.docker_engine import DockerEngine
from kit.bundle.folder_target import FolderTarget
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import PackRequest
from kit.hub.fetch_tree import fetch_tree
from kit.hub.hub_cache import default_cache
from kit.images.build_image import build_image
from kit.images.docker_engine import DockerCommand
from kit.images.lock_image import ImageResolver
from kit.progress import NoProgress
from kit.project.load import load_project
from kit.project.lock import dump_lock
from kit.project.model import Mirrors
from kit.workflow.lock_project import make_lock
from tests.e2e.journey import REPOSITORY, Journey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.bundle.manifest import Manifest

BIG, SMALL = "qwen3-32b", "qwen3-32b-4xl20"
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
"""What the libraries in a container read to leave the network alone."""
ENTRIES = {
    "train": ("bin/llamafactory-cli", "llamafactory"),
    "serve": ("vllm/entrypoints/openai/api_server.py", "vllm"),
    "data": ("bin/easy-dataset", "easy_dataset"),
}
"""Image → the program's place below /opt/stand-in, and the function that stands for it."""
SCHEMA = b"// the database's schema, as the image brings it\n"
BASE_WEIGHTS = "base weights\n"


def _context(kit_image: str, name: str) -> io.BytesIO:
    place, function = ENTRIES[name]
    program = f"#!/usr/bin/env python3\nfrom gpu_stand_in import {function}\n\n{function}()\n"
    # kit names the program of every image but data's, which starts with its own.
    dockerfile = (
        f"FROM {kit_image}\nCOPY stand-in/ /opt/stand-in/\nCOPY app/ /app/\n"
        "ENV PYTHONPATH=/opt/stand-in PATH=/opt/stand-in/bin:$PATH\n"
        # Without it, it would pass for the image that kit built of these inputs.
        'LABEL kit.inputs="a stand-in"\n'
        'ENTRYPOINT ["easy-dataset"]\n'
    )
    files = {
        "Dockerfile": dockerfile.encode(),
        "stand-in/gpu_stand_in.py": Path(__file__).with_name("gpu_stand_in.py").read_bytes(),
        f"stand-in/{place}": program.encode(),
        "app/local-db/": b"",
        "app/prisma/schema.prisma": SCHEMA,
    }
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.mode, member.size = 0o755, len(data)
            member.type = tarfile.DIRTYPE if path.endswith("/") else tarfile.REGTYPE
            tar.addfile(member, io.BytesIO(data))
    written.seek(0)
    return written


def make_images(engine: str) -> dict[str, str]:
    """Return image → ID, made in the engine at that DOCKER_HOST, which the environment names too."""
    pin = ImageResolver("cpu", Mirrors(), offline=False).lock("kit")
    own = build_image("kit", "cpu", pin, Mirrors(), DockerCommand(), NoProgress()).image_id
    client = docker.DockerClient(base_url=engine, version="auto", timeout=300)
    made = {"kit": own}
    for name in ENTRIES:
        image, _ = client.images.build(fileobj=_context(own, name), custom_context=True, rm=True)
        made[name] = str(image.id)
    client.close()
    return made


def remove_images(engine: str, images: Mapping[str, str]) -> None:
    """Take the stand-ins out of the engine again; kit's own image stays for others."""
    client = docker.DockerClient(base_url=engine, version="auto", timeout=300)
    for name in ENTRIES:
        client.images.remove(images[name], force=True)
    client.close()


def lay_out(journey: Journey, bundle: str, hosts: Mapping[str, str], root: str) -> None:
    """Copy a ready-made definition; its hosts become those of the lab, its model a folder of a few bytes."""
    shutil.copytree(REPOSITORY / "bundles" / bundle, journey.folder)
    model = journey.folder / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "qwen3"}')
    (model / "model.safetensors").write_text(BASE_WEIGHTS)

    def change(document: dict[str, Any]) -> None:
        document["models"]["qwen3-32b"] = {"source": "folder", "path": "model"}
        for name, host in hosts.items():
            document["hosts"][name].update(address=journey.lab.address(host), root=root)

    journey.variant("kit.yaml", change)


def pack(folder: Path, images: Mapping[str, str], engine: str) -> Manifest:
    """Pack the definition in a folder, the way `kit bundle` does, with these images."""
    loaded = load_project(folder / "kit.yaml")
    lock = make_lock(loaded, offline=True, progress=NoProgress())
    trees = tuple(fetch_tree(pin, folder, default_cache(folder), NoProgress()) for pin in lock.trees)
    request = PackRequest(loaded.name, lock.stack, dump_lock(lock), lock.locked, tuple(images.items()), trees)
    source = DockerEngine(engine)
    try:
        return pack_bundle(request, source, FolderTarget(folder / "bundle"), NoProgress())
    finally:
        source.close()


def compose_of(planned: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one service in a planned host's compose file."""
    (text,) = [file["content"] for file in planned["files"] if file["path"].endswith("compose.yaml")]
    (service,) = yaml.safe_load(text)["services"].values()
    return dict(service)
