"""The image that a build starts from: pulled by digest, or made here out of Debian's packages.

A root can be two layers, the lower one that of kit's own image: hosts have it before anything else comes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kit.byte_stream import byte_stream
from kit.errors import ConfigError
from kit.images.added_files import write_added
from kit.images.context import TextFile, Tree, write_context
from kit.images.docker_engine import BuildRequest
from kit.images.stacks import Base, Debootstrap
from kit.project.image_reference import mirrored, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kit.images.debootstrap_root import RootMaker
    from kit.images.docker_engine import Engine
    from kit.images.stacks import PulledImage
    from kit.progress import Progress
    from kit.project.model import Mirrors

_FORM = 4  # counts up when roots are made in another way
ROOT_LABEL = "kit.root"
"""Tells what a root made here was made from."""


def root_digest(spec: Debootstrap) -> str:
    """Return the digest of what a root is made from."""
    return hashlib.sha256(json.dumps([_FORM, asdict(spec)], sort_keys=True).encode()).hexdigest()


def base_tag(base: Base) -> str:
    """Return the tag that a base bears in the engine that builds."""
    if isinstance(base, Debootstrap):
        return f"kit.invalid/base:{root_digest(base)[:12]}"
    return f"kit.invalid/base:{hashlib.sha256((base.digest or '').encode()).hexdigest()[:12]}"


def by_digest(image: PulledImage, registry: str | Mapping[str, str] | None) -> str:
    """Return the reference to pull, `name@sha256:…`. Raises ConfigError while the digest is pending."""
    if image.digest is None:
        raise ConfigError(
            "its digest is not resolved yet",
            where=image.reference,
            fix="kit lock, on a machine with a network",
        )
    return f"{parse_reference(mirrored(image.reference, registry)).name}@{image.digest}"


def ensure_base(base: Base, mirrors: Mirrors, engine: Engine, roots: RootMaker, progress: Progress) -> str:
    """Return the tag of the base in the engine, made or pulled when it is not there yet.

    Raises ConfigError, UnfitError, TransferError or EngineError.
    """
    if isinstance(base, Debootstrap):
        return _ensure_root(base, mirrors.apt, engine, roots, progress)
    reference, tag = by_digest(base, mirrors.registry), base_tag(base)
    task = f"pulling {reference}"
    progress.start(task)
    engine.pull(reference, tag)
    progress.finish(task)
    return tag


def _ensure_root(
    spec: Debootstrap, apt_mirror: str | None, engine: Engine, roots: RootMaker, progress: Progress
) -> str:
    digest = root_digest(spec)
    tag = base_tag(spec)
    if engine.find_image(ROOT_LABEL, digest):
        return tag
    lower = spec.beneath and _ensure_root(spec.beneath, apt_mirror, engine, roots, progress)
    task = f"making the root of {spec.reference}"
    progress.start(task)
    root = roots.make(spec, apt_mirror)
    if lower:
        _build_over(lower, root, tag, digest, engine)
    else:
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        engine.import_root(root, tag, (f"ENV PATH={path}", f"LABEL {ROOT_LABEL}={digest}", 'CMD ["/bin/sh"]'))
    progress.finish(task)
    return tag


def _build_over(lower: str, root: Iterator[bytes], tag: str, digest: str, engine: Engine) -> None:
    """Build the image of two layers: `lower`, and what the root has beyond it."""
    dockerfile = f"FROM {lower}\nADD layer/added.tar /\nLABEL {ROOT_LABEL}={digest}\n"
    with TemporaryDirectory(prefix="kit-root-") as folder:
        with (Path(folder) / "added.tar").open("wb") as layer, engine.exported(lower) as beneath:
            write_added(byte_stream(root), beneath, layer)
            for _ in root:  # to its end, past that of the tar: there its maker tells whether it is whole
                pass
        parts = (TextFile("Dockerfile", dockerfile), Tree("layer", Path(folder)))
        engine.build(BuildRequest("Dockerfile", tag), partial(write_context, parts), lambda _: None)
