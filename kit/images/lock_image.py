"""Resolves everything that an image is built from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from kit.errors import ConfigError, TransferError
from kit.images.asked_packages import lines_of, merged, named_packages, stack_requirements
from kit.images.check_packages import check_packages
from kit.images.completed_packages import complete_packages, kept_packages, own_packages
from kit.images.debian_archive import DebianArchive
from kit.images.image_inputs import Recipe, read_packages
from kit.images.lock_packages import Resolver
from kit.images.registry_client import RegistryClient
from kit.images.stacks import BuiltImage, PulledImage, UpstreamImage, find_stack
from kit.images.uv_subprocess import UnsolvableError, UvSubprocess
from kit.project.image_reference import mirrored, parse_reference
from kit.project.lock import ImageLock
from kit.project.model import NamedImage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.images.debian_archive import Archives
    from kit.images.packages import PackageLock
    from kit.images.registry_client import Registry
    from kit.images.stacks import Debootstrap, Stack
    from kit.images.uv_subprocess import Installer
    from kit.project.model import Mirrors

PLATFORM = "linux/amd64"


@dataclass(frozen=True, slots=True)
class ImageResolver:
    """Resolves images of one stack; with `offline` nobody is asked."""

    stack: str
    mirrors: Mirrors
    offline: bool
    registry: Registry = field(default_factory=RegistryClient)
    installer: Installer = field(default_factory=UvSubprocess)
    archives: Archives = field(default_factory=DebianArchive)
    asked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Packages that kit.yaml asks for, by image."""

    def lock(self, image: str | NamedImage, before: ImageLock | None = None) -> ImageLock:
        """Return the resolved inputs of an image; what no network gives is listed as pending.

        `before` is its lock of an earlier time: what nobody tells now is taken from there, and packages that
        were completed then need no index again. Raises ConfigError when the stack or the registry has no such
        image or its packages do not go together, VerificationError when a registry contradicts itself.
        """
        if isinstance(image, NamedImage):
            parts = parse_reference(image.image)
            pulled = PulledImage(parts.tagged, parts.digest)
            return self._upstream(image.name, pulled, {"image": image.image}, before)
        pins = find_stack(self.stack)
        rule = pins.image(image)
        if isinstance(rule, UpstreamImage):
            return self._upstream(rule.name, rule.image, asdict(rule), before)
        return self._built(rule, pins, before)

    def _upstream(
        self, name: str, image: PulledImage, rule: dict[str, object], before: ImageLock | None
    ) -> ImageLock:
        digest, pending = self._pin(image, before)
        inputs = hashlib.sha256(json.dumps([rule, digest], sort_keys=True).encode()).hexdigest()
        return ImageLock(name, image.reference, digest, f"sha256:{inputs}", None, pending, PLATFORM)

    def _built(self, rule: BuiltImage, stack: Stack, before: ImageLock | None) -> ImageLock:
        asked = self.asked.get(rule.name, ())
        packages, pending = (
            self._asked_packages(rule, stack, asked, before) if asked else self._packages(rule, stack, before)
        )
        check_packages(rule.name, stack, packages, f"packages.{rule.name}" if asked else "")
        pins = lines_of(packages) if asked and not pending else ()
        digest, platform = None, ""
        if isinstance(rule.base, PulledImage):
            digest, base_pending = self._pin(rule.base, before)
            pending, platform = (*pending, *base_pending), PLATFORM
        else:
            digest, base_pending = self._archive(rule.base, before)
            pending = (*pending, *base_pending)
        if rule.devel is not None:
            pending = (*pending, *self._pin(rule.devel, None)[1])
        recipe = Recipe(rule, stack, packages).with_base_digest(digest)
        base = rule.base.reference
        return ImageLock(
            rule.name, base, digest, recipe.digest, packages.digest, pending, platform, asked, pins
        )

    def _pin(self, image: PulledImage, before: ImageLock | None) -> tuple[str | None, tuple[str, ...]]:
        """Return the digest to pull; one that was given is kept, and confirmed where that can be had."""
        known = before.base_digest if before and before.base == image.reference else None
        if self.offline:
            return image.digest or known, () if image.digest else (f"digest of {image.reference}",)
        asked = mirrored(image.reference, self.mirrors.registry)
        if image.digest:
            asked = f"{parse_reference(asked).name}@{image.digest}"
        try:
            found = self.registry.resolve(asked)
        except TransferError as error:
            if image.digest:  # known already; the bundle cannot be made of other bytes
                return image.digest, ()
            return known, (f"digest of {image.reference} ({_one_line(error)})",)
        except ConfigError as error:
            if asked == image.reference or image.digest:
                raise
            raise ConfigError(error.what, where=asked, why=error.why, fix=error.fix) from error
        return image.digest or found.digest, ()

    def _archive(self, base: Debootstrap, before: ImageLock | None) -> tuple[str | None, tuple[str, ...]]:
        """Return the state of the archive that a root is made out of."""
        known = before.base_digest if before and before.base == base.reference else None
        pending = f"state of Debian's {base.suite}"
        if self.offline:
            return known, (pending,)
        try:
            return self.archives.release(base.suite, self.mirrors.apt), ()
        except TransferError as error:
            return known, (f"{pending} ({_one_line(error)})",)

    def _packages(
        self, rule: BuiltImage, stack: Stack, before: ImageLock | None
    ) -> tuple[PackageLock, tuple[str, ...]]:
        brought = read_packages(rule, stack)
        if not brought.pending:
            return brought, ()
        if not self.offline:
            try:
                return complete_packages(rule, stack, self.installer, self.mirrors.pip), ()
            except TransferError:
                pass  # listed as pending; a machine with a network completes it
        kept = kept_packages(brought, before.packages_digest) if before else None
        if kept is not None:
            return kept, ()
        reason = f"needs PyTorch's {stack.torch_backend} index"
        return brought, tuple(f"{requirement} ({reason})" for requirement in brought.pending)

    def _asked_packages(
        self, rule: BuiltImage, stack: Stack, asked: tuple[str, ...], before: ImageLock | None
    ) -> tuple[PackageLock, tuple[str, ...]]:
        """Return the stack's packages with those that kit.yaml asks for, and what they pull in.

        What cannot go together is refused before anybody is asked.
        """
        key = f"packages.{rule.name}"
        brought = read_packages(rule, stack)
        requirements = merged(stack_requirements(rule, stack), asked)
        check_packages(rule.name, stack, named_packages(requirements, brought), key)
        if not self.offline:
            # The day that the stack was resolved as of says nothing of what somebody wants beside it.
            resolver = Resolver(
                replace(rule, as_of=None), stack, self.installer, self.mirrors.pip, preferred=brought
            )
            resolve = resolver.resolve_without_index if rule.unreachable else resolver.resolve
            try:
                return resolver.complete(resolve("".join(f"{line}\n" for line in requirements))), ()
            except UnsolvableError as error:
                fix = f"correct {key} in kit.yaml"
                raise ConfigError(
                    "these packages do not go together", where=key, why=error.why, fix=fix
                ) from error
            except TransferError as error:
                reason = _one_line(error)
        else:
            reason = "needs a package index"
        known = own_packages(before) if before and before.asked == asked else None
        return (known, ()) if known else (brought, tuple(f"{line} ({reason})" for line in asked))


def _one_line(error: TransferError) -> str:
    return " ".join(f"{error.where}: {error.what} {error.why}".split())[:200].strip()
