"""Resolves an image's requirements into its hash-locked package list, and completes one that is pending."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kit.images.packages import PackageLock, complete, parse_packages
from kit.images.uv_command import (
    UvCommand,
    compile_argv,
    index_env,
    link_options,
    override_lines,
    torch_index,
)

if TYPE_CHECKING:
    from kit.images.stacks import BuiltImage, Stack, Unreachable
    from kit.images.uv_subprocess import Installer


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolves for one image of one stack."""

    rule: BuiltImage
    stack: Stack
    installer: Installer
    pip_mirror: str | None = None

    preferred: PackageLock | None = None
    """Releases to keep where the requirements allow it; otherwise the newest are taken."""

    def resolve(self, requirements: str, options: tuple[str, ...] = ()) -> PackageLock:
        """Return the pins of the requirements and everything they need.

        Raises TransferError, UnsolvableError when the requirements contradict each other.
        """
        index = torch_index(self.stack, requirements, self.installer.wheel_files())
        return self._compile(requirements, (*index, *options))

    def resolve_without_index(self, requirements: str) -> PackageLock:
        """Return the pins, with what the stack says of unreachable packages in place of their index.

        Those packages are pending in the result; everything that they require is pinned.
        """
        unreachable = tuple(package.requirement for package in self.rule.unreachable)
        with TemporaryDirectory(prefix="kit-stand-in-") as folder:
            for package in self.rule.unreachable:
                _write_metadata_wheel(Path(folder), package)
            found = self._compile(requirements, ("--find-links", folder, *link_options(os.environ)))
        pins = {f"{pin.name}=={pin.version}": pin for pin in found.pins}
        return PackageLock(
            tuple(pin for text, pin in pins.items() if text not in unreachable),
            tuple(text for text in unreachable if text in pins),
        )

    def _compile(self, requirements: str, options: tuple[str, ...]) -> PackageLock:
        with TemporaryDirectory(prefix="kit-lock-") as folder:
            wanted = Path(folder) / f"{self.stack.name}.in"
            wanted.write_text(requirements, encoding="utf-8")
            overrides = Path(folder) / "overrides.txt"
            overrides.write_text(override_lines(self.rule), encoding="utf-8")
            kept = None
            if self.preferred is not None:
                kept = Path(folder) / f"{self.stack.name}.lock"
                kept.write_text(self.preferred.text, encoding="utf-8")
            argv = compile_argv(self.rule, self.stack, wanted, overrides, options, kept)
            printed = self.installer.run(UvCommand(argv, index_env(os.environ, self.pip_mirror)))
            text = printed if kept is None else kept.read_text(encoding="utf-8")
        return parse_packages(text, f"images/{self.rule.name}/{self.stack.name}.lock")

    def complete(self, lock: PackageLock) -> PackageLock:
        """Return the lock with the hashes of what is pending. Raises TransferError when no index has them."""
        if not lock.pending:
            return lock
        found = self.resolve("\n".join(lock.pending), ("--no-deps",))
        return complete(lock, found)


def _write_metadata_wheel(folder: Path, package: Unreachable) -> None:
    name, _, version = package.requirement.partition("==")
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {line}\n" for line in package.requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
