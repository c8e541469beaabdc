"""Where a bundle is to stand, as `kit bundle` was told: a folder, a tarball or volumes, or both. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.bundle.volumes import LIST_SUFFIX, MOST_SHARES, VolumeForm, parse_size
from kit.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

BUNDLE = "bundle"
"""Name of the bundle's folder beside kit.yaml, unless told otherwise."""
TARBALL = ".tar"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says about the bundle's form."""

    out: tuple[Path, ...] = ()
    """`-o`, as often as it was given."""
    volume_size: str | None = None
    parity: int = 0


@dataclass(frozen=True, slots=True)
class BundlePlaces:
    """Where the bundle goes; at least one of the two is there."""

    folder: Path | None
    tarball: Path | None
    form: VolumeForm | None
    """How the tarball is cut; None leaves it whole."""

    @property
    def opened(self) -> Path:
        """What `-b` is given to read the bundle: the tarball or the list of its volumes, else the folder."""
        if self.tarball is None:
            return self.folder  # type: ignore[return-value]
        return self.tarball.with_name(self.tarball.name + LIST_SUFFIX) if self.form else self.tarball


def bundle_places(beside: Path, wanted: Wanted) -> BundlePlaces:
    """Return where the bundle goes; without `-o` into the folder `bundle` in `beside`.

    Raises ConfigError when two places of a kind are named, something else stands there, or the
    volumes asked for cannot be.
    """
    tarballs = [path for path in wanted.out if path.suffix == TARBALL]
    folders = [path for path in wanted.out if path.suffix != TARBALL]
    if not wanted.out:
        folders = [beside / BUNDLE]
    if len(tarballs) > 1 or len(folders) > 1:
        fix = f"at most one folder and one name ending in {TARBALL}"
        raise ConfigError("two places of one kind", where="-o", fix=fix)
    for path in (*folders, *tarballs):
        if path.exists() and path.is_dir() == (path in tarballs):
            what = "a folder" if path in tarballs else "a file"
            fix = f"a folder, or a name ending in {TARBALL}"
            raise ConfigError(f"{what} stands there", where=str(path), fix=fix)
    if not tarballs:
        _refuse_cutting(wanted)
        return BundlePlaces(folders[0], None, None)
    return BundlePlaces(folders[0] if folders else None, tarballs[0], _form(wanted))


def _refuse_cutting(wanted: Wanted) -> None:
    if wanted.volume_size is not None or wanted.parity:
        where = "--parity" if wanted.volume_size is None else "--volume-size"
        raise ConfigError("only a tarball is cut into volumes", where=where, fix="add -o NAME.tar")


def _form(wanted: Wanted) -> VolumeForm | None:
    if wanted.volume_size is None:
        if not wanted.parity:
            return None
        raise ConfigError("parity protects volumes", where="--parity", fix="add --volume-size 4G")
    if not 0 <= wanted.parity <= MOST_SHARES // 2:
        raise ConfigError(f"not between 0 and {MOST_SHARES // 2}", where="--parity", fix="--parity 2")
    return VolumeForm(parse_size(wanted.volume_size), wanted.parity)
