"""What a host has already, asked once, by a POSIX script: it works before kit's image is there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.errors import TransferError
from kit.host.docker_words import FIND_ENGINE
from kit.ship.identity import SeenImage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.host.port import Host

SCRIPT = (
    r"""
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root=$1
"""
    + FIND_ENGINE
    + r"""
list() { (cd "$root/$2" 2>/dev/null && find . -type f -name '[0-9a-f]*' -exec stat -c "kit:$1 %s %n" {} +); }
list blob blobs/sha256
list partial partial
find_engine
ids=$($sudo docker image ls --no-trunc --quiet </dev/null 2>/dev/null | sort -u)
[ -n "$ids" ] && $sudo docker image inspect \
  --format 'kit:image {{.Id}} {{json .RepoTags}} {{json .RootFS.Layers}}' $ids </dev/null
echo kit:end
"""
)

_FILE = re.compile(r"^kit:(blob|partial) ([0-9]{1,18}) \./([0-9a-f]{64})$")


@dataclass(frozen=True, slots=True)
class Have:
    """What stands on a host."""

    blobs: Mapping[str, int] = field(default_factory=dict)
    """Digest -> bytes, of whole blobs by their name; the agent hashes those it does not know."""
    partial: Mapping[str, int] = field(default_factory=dict)
    """Digest -> bytes that came before an earlier ship was cut off."""
    images: tuple[SeenImage, ...] = ()


def _image(line: str) -> SeenImage | None:
    words = line.split(" ")
    if len(words) != 4:  # noqa: PLR2004
        return None
    try:
        tags, layers = (tuple(map(str, json.loads(text) or ())) for text in words[2:])
    except (ValueError, TypeError, RecursionError):
        return None
    return SeenImage(words[1], tags, layers)


def parse_have(text: str) -> Have:
    """Return what the script found. Lines that are not its own are passed over. Pure."""
    found: dict[str, dict[str, int]] = {"blob": {}, "partial": {}}
    images = []
    for line in text.splitlines():
        file = _FILE.match(line)
        if file:
            found[file[1]]["sha256:" + file[3]] = int(file[2])
        elif line.startswith("kit:image "):
            image = _image(line)
            images += [image] if image else []
    return Have(found["blob"], found["partial"], tuple(images))


def ask_have(host: Host, root: str) -> Have:
    """Return what a host has under `root` and in its engine. Raises TransferError, UnreachableError."""
    done = host.run(("sh", "-s", root), stdin=SCRIPT.encode())
    if not done.text.endswith("kit:end"):
        why = done.stderr.decode("utf-8", "replace").strip()[-400:] or f"status {done.status}"
        raise TransferError("what is there already cannot be listed", where=f"{host.name}: {root}", why=why)
    return parse_have(done.text)
