"""What is visible on a host while a shipment goes on: images by their identity tags, trees by their names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from kit.bundle.manifest import Image, Manifest
from kit.ship.engine.identity import diff_ids, expected_ids
from tests.e2e.ship_stage import ROOT
from tests.lab import LabError
from tests.lab.host_shell import HostShell, host_shell

PAUSE = 0.2
_MARK = "== "


def _folder_of(kind: str, name: str) -> str:
    return f"{ROOT}/{kind}s/{name}"


@dataclass(frozen=True)
class Whole:
    """What may be visible: of each image all of it, of each tree one of its bundles' versions."""

    images: Mapping[str, Image]
    """By identity tag."""
    trees: Mapping[str, tuple[Mapping[str, int], ...]]
    """Folder on the host -> for each version, path -> bytes."""

    @classmethod
    def of(cls, *manifests: Manifest) -> Whole:
        """Return what the bundles hold."""
        images = {image.identity_tag: image for manifest in manifests for image in manifest.images}
        trees: dict[str, tuple[Mapping[str, int], ...]] = {}
        for manifest in manifests:
            for tree in manifest.trees:
                folder = _folder_of(tree.kind, tree.name)
                files = {file.path: file.blob.size for file in tree.files}
                trees[folder] = (*trees.get(folder, ()), files)
        return cls(images, trees)


def half_image(image: Image, said: str) -> str:
    """Return what is wrong with what an engine says of an image's tag; "" for no image, and for all of it."""
    try:
        found = json.loads(said)
    except ValueError:
        return ""  # no engine answers
    if "Id" not in found:
        return ""
    if found["Id"] not in expected_ids(image):
        return f"{image.identity_tag} is {found['Id']}"
    if tuple(found["RootFS"].get("Layers") or ()) != diff_ids(image):
        return f"{image.identity_tag} has layers {found['RootFS'].get('Layers')}"
    return ""


def half_tree(folder: str, versions: Iterable[Mapping[str, int]], listing: Iterable[str]) -> str:
    """Return what is wrong with a folder's files, `PATH BYTES` a line; "" when it is not there, or whole."""
    rows = [line.rpartition(" ") for line in listing]
    found = {path: int(size) for path, _, size in rows if path}
    if not rows or any(found == dict(version) for version in versions):
        return ""
    return f"{folder} holds {found}"


def _script(whole: Whole) -> str:
    lines = []
    for tag in whole.images:
        lines.append(f"echo '{_MARK}{tag}'")
        lines.append(f"curl -s --max-time 2 --unix-socket /run/docker.sock http://d/images/{tag}/json; echo")
    for folder in whole.trees:
        # A line of its own for the folder itself: one without files is no tree.
        look = f"cd '{folder}' 2>/dev/null && echo ' 0' && find . -type f -printf '%P %s\\n'"
        lines.append(f"echo '{_MARK}{folder}'; ({look})")
    return "\n".join(lines)


def halves(whole: Whole, answer: str) -> list[str]:
    """Return what is half of what the script found."""
    found = []
    for part in answer.split(_MARK)[1:]:
        name, *lines = part.splitlines()
        if name in whole.images:
            found.append(half_image(whole.images[name], "".join(lines)))
        else:
            found.append(half_tree(name, whole.trees[name], [line for line in lines if line]))
    return [one for one in found if one]


def look(shell: HostShell, whole: Whole) -> list[str]:
    """Return what is half on a host now. Twice looked at: a folder may change while it is listed."""
    script = _script(whole)
    if not halves(whole, shell.ask(script).text):
        return []
    return halves(whole, shell.ask(script).text)


@dataclass
class Sight:
    """What was seen."""

    looks: int = 0
    half: list[str] = field(default_factory=list)


@contextmanager
def watched(host: str, whole: Whole) -> Iterator[Sight]:
    """Look at a host again and again while the block runs."""
    sight, ended = Sight(), threading.Event()

    def watch(shell: HostShell) -> None:
        while not ended.wait(PAUSE):
            try:
                sight.half += look(shell, whole)
            except LabError as error:
                sight.half.append(f"the host could not be looked at: {error}")
                return
            sight.looks += 1

    with host_shell(host) as shell:
        watcher = threading.Thread(target=watch, args=(shell,))
        watcher.start()
        try:
            yield sight
        finally:
            ended.set()
            watcher.join()
