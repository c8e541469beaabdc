"""Opening what the options name: kit.yaml, and the bundle beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.bundle.manifest import Manifest
    from kit.bundle.source import BundleSource
    from kit.project.load import LoadedProject


def open_project(file: Path) -> LoadedProject:
    """Return the project of kit.yaml. Raises ConfigError."""
    from kit.project.load import load_project

    _quiet_libraries()
    return load_project(file)


def _quiet_libraries() -> None:
    """Keep what libraries log, tracebacks and all, off the terminal; kit has words of its own."""
    import logging

    if os.environ.get("KIT_DEBUG") != "1":
        logging.getLogger().addHandler(logging.NullHandler())


def bundle_path(file: Path, bundle: Path | None) -> Path:
    """Return the bundle's place: what was named, or `bundle` beside kit.yaml."""
    return bundle if bundle is not None else file.parent / "bundle"


def open_source(file: Path, bundle: Path | None) -> BundleSource:
    """Return the bundle. Raises ConfigError when there is none, VerificationError when it is not right."""
    from kit.bundle.source import open_bundle

    return open_bundle(bundle_path(file, bundle))


def local_manifest(file: Path, bundle: Path | None) -> Manifest | None:
    """Return the bundle's manifest, or None when none was named and none stands beside kit.yaml."""
    if bundle is None and not bundle_path(file, None).exists():
        return None
    return open_source(file, bundle).manifest
