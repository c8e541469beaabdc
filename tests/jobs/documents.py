"""The row of what people enter in a data job. Its image is a stand-in: the makers' comes from a registry."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker

from kit.bundle.docker_engine import DockerEngine
from kit.bundle.folder_target import FolderTarget
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import PackRequest
from kit.progress import NoProgress
from tests.e2e.browser import window
from tests.e2e.open_window import kit_open
from tests.e2e.ship_stage import build_kit_image
from tests.jobs.row import RAN, Row

if TYPE_CHECKING:
    from tests.jobs.scene import Scene

PROGRAM = "easy_dataset.py"
ENTERED = "四川麻辣 & <b>notes</b> $HOME"
SECONDS = 60


def _context(kit_image: str) -> io.BytesIO:
    dockerfile = (
        f'FROM {kit_image}\nCOPY app/ /app/\nENTRYPOINT ["python3", "/app/{PROGRAM}"]\n'
        # Without it, it would pass for the image that kit built of these inputs.
        'LABEL kit.inputs="a stand-in"\n'
    )
    files = {
        "Dockerfile": dockerfile.encode(),
        f"app/{PROGRAM}": Path(__file__).with_name(PROGRAM).read_bytes(),
        "app/local-db/": b"",
        "app/prisma-template/schema.prisma": b"// the schema, as the image brings it\n",
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


def _bundle(scene: Scene) -> Path:
    """Pack kit's image and a stand-in made of it; what was packed before is taken over."""
    engine, bundle = scene.journey.environment["DOCKER_HOST"], scene.journey.folder / "bundle-of-data"
    shutil.rmtree(bundle, ignore_errors=True)
    packed = scene.journey.folder / "bundle"
    shutil.copytree(packed, bundle, copy_function=os.link)
    kit = build_kit_image(engine)
    client = docker.DockerClient(base_url=engine, version="auto", timeout=300)
    image, _ = client.images.build(fileobj=_context(kit), custom_context=True, rm=True)
    images = (("kit", kit), ("data", str(image.id)))
    request = PackRequest("data", "cpu", b"{}\n", "2026-05-01T12:30:00Z", images, ())
    source = DockerEngine(engine)
    try:
        pack_bundle(request, source, FolderTarget(bundle), NoProgress())
    finally:
        source.close()
        client.images.remove(str(image.id), force=True)
        client.close()
    return bundle


def _looked(scene: Scene, definition: str, bundle: str, entered: str = "") -> tuple[list[str], list[str]]:
    """Start the job, enter something in its page, end it; return the projects it shows, and its volumes."""
    up = scene.kit("up", "data", "-b", bundle, definition=definition)
    assert up["state"] == "running", up
    try:
        with kit_open(scene.journey, "data", definition) as opened, window(opened["url"]) as seen:
            page = seen.page
            if entered:
                page.get_by_label("Name").fill(entered)
                page.get_by_role("button", name="Create").click()
                page.locator(".project").last.wait_for(timeout=SECONDS * 1000)
            projects = page.locator(".project").all_inner_texts()
            assert seen.outside == set(), seen.lines
        mounts = "{{range .Mounts}}{{.Name}} {{end}}"
        script = f'docker inspect -f "$0" $(docker ps -q -f label=kit.run={up["run_id"]})'
        volumes = scene.lab.exec("gpu1", ("sh", "-c", script, mounts)).split()
    finally:
        scene.kit("down", "data", definition=definition)
    return projects, sorted(volumes, key=lambda name: name.rpartition("_")[2])


def _kept(scene: Scene) -> str:
    hosts = {"gpu1": {**scene.document["hosts"]["gpu1"], "root": f"{scene.root}-data"}}
    job: dict[str, Any] = {"kind": "data", "hosts": ["gpu1"], "port": scene.port + 17}
    parts = {"images": ["data"], "hosts": hosts, "models": {}, "datasets": {}}
    definition = scene.define({"data": job}, "data.yaml", **parts)
    bundle = str(_bundle(scene))
    try:
        scene.kit("ship", "-b", bundle, definition=definition)
        _looked(scene, definition, bundle, ENTERED)
        projects, volumes = _looked(scene, definition, bundle)
    finally:
        shutil.rmtree(bundle)
    scene.lab.exec("gpu1", ("docker", "volume", "rm", *volumes))
    assert projects == [ENTERED], projects
    assert [name.rpartition("_")[2] for name in volumes] == ["local-db", "prisma"], volumes
    return "a stand-in's page: what was entered in it is there after kit down and kit up"


ROWS = (Row("data", "opened in chromium through `kit open`, ended and started again", RAN, _kept),)
