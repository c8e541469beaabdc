"""The folders that kit brings along: images, templates and ready-made bundles."""

from __future__ import annotations

from pathlib import Path

from kit.errors import ConfigError


def data_folder(name: str) -> Path:
    """Return the folder `name` (`images`, `templates`, `bundles`) of this installation.

    In a checkout it stands beside the package; in an installed wheel inside it.
    Raises ConfigError when the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_data" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise ConfigError(
        f"this installation of kit lacks its folder {name}/",
        where=str(package),
        fix="pip install --force-reinstall airgap-kit",
    )
