"""Everything that the build of an image reads, and one digest over it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kit.data_files import data_folder
from kit.images.base_image import root_digest
from kit.images.context import ContextPart, TextFile, Tree
from kit.images.packages import PackageLock, parse_packages
from kit.images.stacks import Base, BuiltImage, Debootstrap, PulledImage, Stack

SITE = "lib/python3.11/site-packages"
SHARED_FILES = ("prove.py", "keep_bytecode.py")
LAYERS = ("cudnn", "cuda", "triton", "torch", "science", "rest", "engine")
"""The layers that Dockerfiles copy, lowest first; those without packages are empty."""
_FORM = 2  # counts up when the way of building changes


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image to build, with nothing left open."""

    rule: BuiltImage
    stack: Stack
    packages: PackageLock

    def with_base_digest(self, digest: str | None) -> Recipe:
        """Return the recipe with its base pinned."""
        if digest is None:
            return self
        return replace(self, rule=replace(self.rule, base=pinned_base(self.rule.base, digest)))

    @property
    def own_parts(self) -> tuple[ContextPart, ...]:
        """What goes into the context beside packages."""
        folder = data_folder("images")
        name, stack = self.rule.name, self.stack.name
        shared = tuple(TextFile(f"build/{file}", _read(folder / file)) for file in SHARED_FILES)
        dockerfiles = tuple(
            TextFile(file.name, _read(file)) for file in sorted((folder / name).glob("*Dockerfile"))
        )
        scripts = tuple(
            TextFile(f"build/{file.name}", _read(file)) for file in sorted((folder / name).glob("*.py"))
        )
        expected = TextFile("build/expected.json", self.expected)
        parts: tuple[ContextPart, ...] = (*shared, *dockerfiles, *scripts, expected)
        stand_ins = folder / name / "stand-ins" / stack
        if stand_ins.is_dir():
            parts = (*parts, Tree(f"layers/engine/{SITE}", stand_ins, leave_out=("__pycache__",)))
        return (*parts, *own_package()) if name == "kit" else parts

    @property
    def expected(self) -> str:
        """What the image's smoke test holds it against."""
        facts = {
            "image": self.rule.name,
            "stack": self.stack.name,
            "packages": {pin.name: pin.version for pin in self.packages.pins},
            "dropped": sorted(self.rule.drop),
        }
        return json.dumps(facts, indent=1, sort_keys=True) + "\n"

    @property
    def digest(self) -> str:
        """sha256 over everything that the build reads, e.g. `sha256:1f3a…`."""
        hasher = hashlib.sha256()
        rule = json.dumps(asdict(self.rule), sort_keys=True)
        stack = (self.stack.name, self.stack.python, self.stack.platform, self.stack.torch_backend)
        base = self.rule.base
        root = root_digest(base) if isinstance(base, Debootstrap) else ""
        hasher.update(
            json.dumps([_FORM, rule, stack, self.stack.leave_out, self.packages.digest, root]).encode()
        )
        for part in self.own_parts:
            for place, data in _contents(part):
                hasher.update(f"\0{place}\0{len(data)}\0".encode())
                hasher.update(data)
        return "sha256:" + hasher.hexdigest()


def pinned_base(base: Base, digest: str | None) -> Base:
    """Return a base with what kit.lock pins of it: an image's digest, or the state of a root's archive."""
    if isinstance(base, Debootstrap):
        return replace(base, archive=digest)
    return PulledImage(base.reference, digest)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _contents(part: ContextPart) -> list[tuple[str, bytes]]:
    if isinstance(part, TextFile):
        return [(part.place, part.content.encode())]
    return [(place, path.read_bytes()) for place, path in part.files()]


def read_packages(rule: BuiltImage, stack: Stack) -> PackageLock:
    """Return the package lock that this installation of kit brings. Raises ConfigError."""
    file = data_folder("images") / rule.name / f"{stack.name}.lock"
    return parse_packages(_read(file), f"images/{rule.name}/{stack.name}.lock")


def own_package() -> tuple[ContextPart, ...]:
    """Return kit itself, installed as its wheel would be."""
    from kit import __version__

    package = Path(__file__).resolve().parent.parent
    place = f"layers/engine/{SITE}"
    # locks and stand-ins serve builds only; the rest is what a checkout's bundles hold after use
    leave_out = ("__pycache__", "*.lock", "stand-ins", "bundle", ".kit", "model", "collected", "bundle.tar")
    script = "#!/opt/kit/bin/python\nimport sys\nfrom kit.__main__ import main\nsys.exit(main())\n"
    metadata = (
        f"Metadata-Version: 2.4\nName: airgap-kit\nVersion: {__version__}\nLicense-Expression: Apache-2.0\n"
    )
    data = tuple(
        Tree(f"{place}/kit/_data/{name}", data_folder(name), leave_out=leave_out)
        for name in ("images", "templates", "bundles")
    )
    return (
        Tree(f"{place}/kit", package, leave_out=("__pycache__", "_data")),
        *data,
        TextFile(f"{place}/airgap_kit-{__version__}.dist-info/METADATA", metadata),
        TextFile("layers/engine/bin/kit", script, executable=True),
        TextFile("layers/engine/bin/airgap-kit", script, executable=True),
    )
