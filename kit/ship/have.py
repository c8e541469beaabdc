"""What a host has already, asked together with its facts, by a POSIX script: before kit's image is there."""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kit.host.answers import marked_lines
from kit.host.facts_script import END, JOBS, MACHINE, PRELUDE
from kit.host.gather import ask
from kit.host.parse_facts import parse_facts
from kit.ship.early import EARLY_NAME
from kit.ship.engine.identity import SeenImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kit.bundle.manifest import FileTree, Image
    from kit.host.facts import HostFacts
    from kit.host.port import Host
    from kit.project.model import HostSpec

INDEXES_LIMIT = 16 << 20
"""Most bytes of frame indexes that a host is asked for: frames of some 200 GB of layers."""
ENGINE_LIMIT = 16 << 20
"""Most bytes that an engine is listened to about its images: a shell holds them all."""
MOST_LAYERS = 1024
POLICY = "etc/trust.yaml"
"""Where under its root a host says what it demands of bundles."""
_TEXT_LIMIT = 512
"""Most characters of an image's ID, tag or diffID."""
_BLOCK_LIMIT = 1 << 20

IMAGE_FORMAT = "kit:stored {{.Id}} {{json .RepoTags}} {{json .RootFS.Layers}}"
"""How `docker image inspect` is asked, for `parse_have`."""

LISTS = rf"""
list() {{
  cd "$root/$2" 2>/dev/null && find . -type f -name '[0-9a-f]*' -exec stat -c "kit:$1 %s %b %B %n" {{}} +
}}
(list blob blobs/sha256)
(list partial partial)
if [ -e "$root/{POLICY}" ] || [ -L "$root/{POLICY}" ]; then say policy 1; fi
ids=$(engine image ls --no-trunc --quiet 2>/dev/null | head -c {ENGINE_LIMIT} | sort -u)
stored=
[ -n "$ids" ] &&
  stored=$(engine image inspect --format '{IMAGE_FORMAT}' $ids 2>/dev/null | head -c {ENGINE_LIMIT})
printf '%s\n' "$stored"
"""
"""Blobs, what there is of others, whether a policy stands, and the engine's images with their layers."""

INDEXES = rf"""
lacks() {{
  tag=$1; shift
  case $tag in ?*) case $stored in *"\"$tag\""*) return 1 ;; esac ;; esac
  for name in "$@"; do [ -f "$root/blobs/sha256/$name" ] || return 0; done
  return 1
}}
indexes() {{
  cd "$root/frames" 2>/dev/null || return
  left={INDEXES_LIMIT}
  for name in $(ls -t); do
    case $name in *[!0-9a-f]*) continue ;; esac
    case $wanted in *" $name "*) continue ;; esac
    [ -f "$root/blobs/sha256/$name" ] && [ -f "$name" ] && size=$(stat -c %s "$name") || continue
    left=$((left - size))
    [ "$left" -ge 0 ] || break
    printf 'kit:frames %s ' "$name"; base64 "$name" | tr -d '\n'; echo
  done
}}
"""
"""Frame indexes of older layers and files that stand there, when something wanted does not."""

_FILE = re.compile(rb"(blob|partial) ([0-9]{1,18}) ([0-9]{1,18}) ([0-9]{1,9}) \./([0-9a-f]{64})")
_EARLY = re.compile(rb"partial ([0-9]{1,18}) ([0-9]{1,18}) ([0-9]{1,9}) \./" + EARLY_NAME.encode())
_FRAMES = re.compile(rb"frames ([0-9a-f]{64}) ([A-Za-z0-9+/]*={0,2})")


@dataclass(frozen=True, slots=True)
class Have:
    """What stands on a host."""

    blobs: Mapping[str, int] = field(default_factory=dict)
    """Digest -> bytes, of whole blobs by their name; the agent hashes those it does not know."""
    partial: Mapping[str, int] = field(default_factory=dict)
    """Digest -> bytes of it that an earlier ship brought before it was cut off; holes do not count."""
    images: tuple[SeenImage, ...] = ()
    indexes: Mapping[str, bytes] = field(default_factory=dict)
    """Digest -> frame index, of older blobs that are there; as the host gives them, to be parsed."""
    judges: bool = False
    """A policy of its own decides there what it takes."""


def _texts(value: Any) -> tuple[str, ...]:
    """Return a list of short texts, None being an empty one. Raises ValueError."""
    items = [] if value is None else value
    if not isinstance(items, list) or len(items) > MOST_LAYERS:
        raise ValueError("a list of texts is needed")
    if any(not isinstance(item, str) or len(item) > _TEXT_LIMIT for item in items):
        raise ValueError("short texts are needed")
    return tuple(items)


def _image(line: bytes) -> SeenImage | None:
    words = line.decode("utf-8", "replace").split(" ")
    if len(words) != 4 or len(words[1]) > _TEXT_LIMIT:  # noqa: PLR2004
        return None
    try:
        tags, layers = (_texts(json.loads(text)) for text in words[2:])
    except (ValueError, RecursionError):
        return None
    return SeenImage(words[1], tags, layers)


def _on_disk(size: bytes, blocks: bytes, block: bytes) -> int:
    return min(int(size), int(blocks) * min(int(block), _BLOCK_LIMIT))


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def parse_have(lines: Iterable[bytes]) -> Have:
    """Return what the script found; other lines than its own are passed over. Pure.

    A host may say what it likes here: it is only planned with, and what counts is proven on the host later.
    """
    blobs: dict[str, int] = {}
    partial: dict[str, int] = {}
    indexes: dict[str, bytes] = {}
    images, left, judges = [], INDEXES_LIMIT, False
    for line in lines:
        if file := _FILE.fullmatch(line):
            digest = "sha256:" + file[5].decode()
            if file[1] == b"blob":
                blobs[digest] = int(file[2])
            else:
                partial[digest] = max(_on_disk(*file.groups()[1:4]), partial.get(digest, 0))
        elif early := _EARLY.fullmatch(line):
            # Its agent takes over the one that holds more.
            digest = "sha256:" + early[5].decode()
            partial[digest] = max(_on_disk(*early.groups()[:3]), partial.get(digest, 0))
        elif line == b"policy 1":
            judges = True
        elif line.startswith(b"stored "):
            image = _image(line)
            images += [image] if image else []
        elif left > 0 and (frames := _FRAMES.fullmatch(line)):
            index = _decoded(frames[2]) or b""
            left -= len(index)
            indexes["sha256:" + frames[1].decode()] = index
    return Have(blobs, partial, tuple(images), indexes, judges)


def _lacks(tag: str, digests: Iterable[str]) -> str:
    names = " ".join(digest.removeprefix("sha256:") for digest in digests)
    return f"lacks {shlex.quote(tag)} {names}"


def have_script(images: Iterable[Image] = (), trees: Iterable[FileTree] = ()) -> str:
    """Return the part of a script that lists what is there. Pure.

    When an image is not in the engine or a file not in the store, and blobs of it are missing, the frame
    indexes of all other blobs are asked for, too.
    """
    layers = {image.identity_tag: [layer.digest for layer in image.layers] for image in images}
    files = [file.digest for tree in trees for file in tree.files]
    tests = [
        *(_lacks(tag, digests) for tag, digests in layers.items()),
        *([_lacks("", files)] if files else []),
    ]
    if not tests:
        return LISTS
    names = {digest for digests in (*layers.values(), files) for digest in digests}
    wanted = " ".join(sorted(name.removeprefix("sha256:") for name in names))
    return f"{LISTS}{INDEXES}wanted=' {wanted} '\nif {' || '.join(tests)}; then (indexes); fi\n"


def ask_host(
    host: Host,
    spec: HostSpec,
    images: Iterable[Image] = (),
    trees: Iterable[FileTree] = (),
    *,
    for_jobs: bool = False,
) -> tuple[HostFacts, Have]:
    """Return a host's facts and what it has, in one round trip; compose, GPUs and ports only `for_jobs`.

    Raises UnreachableError when it does not answer as a host would, TransferError beyond all bounds.
    """
    script = PRELUDE + MACHINE + (JOBS if for_jobs else "") + have_script(images, trees) + END
    heard = ask(host, script, spec.root)
    return parse_facts(host.name, spec.root, heard.lines, heard.at), parse_have(heard.lines)


def ask_have(host: Host, root: str) -> Have:
    """Return what a host has under `root` and in its engine. Raises as `ask_host` does."""
    return parse_have(ask(host, PRELUDE + LISTS + END, root).lines)


def stored_images(host: Host, answer: bytes) -> tuple[SeenImage, ...]:
    """Return the images in an answer of `docker image inspect` in IMAGE_FORMAT. Raises TransferError."""
    return parse_have(marked_lines(host.name, answer)).images
