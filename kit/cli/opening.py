"""Opening what the options name: kit.yaml, and the bundle beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.bundle.manifest import Manifest
    from kit.bundle.source import BundleSource
    from kit.project.load import LoadedProject
    from kit.workflow.open_trusted import TrustedBundle


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


def open_bundle_here(file: Path, bundle: Path | None, allowed_signers: Path | None = None) -> TrustedBundle:
    """Return the bundle, with what this machine can tell of who made it and how old it is.

    The one door for bundles: whatever trust.yaml demands is demanded here. Raises ConfigError when
    there is none, VerificationError when it is not right or not what is demanded.
    """
    from kit.workflow.open_trusted import open_trusted

    return open_trusted(bundle_path(file, bundle), allowed_signers)


def open_source(file: Path, bundle: Path | None) -> BundleSource:
    """Return the bundle alone. Raises as `open_bundle_here` does."""
    return open_bundle_here(file, bundle).source


def local_manifest(file: Path, bundle: Path | None) -> Manifest | None:
    """Return the bundle's manifest, or None when none was named and none stands beside kit.yaml."""
    if bundle is None and not bundle_path(file, None).exists():
        return None
    return open_source(file, bundle).manifest
