"""The pins and rules in `images/stacks.yaml`, as frozen types."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.own_yaml import read_own_yaml


@dataclass(frozen=True, slots=True)
class Debootstrap:
    """A root file system made on the spot out of Debian's packages."""

    suite: str
    packages: tuple[str, ...]
    archive: str | None = None
    """Digest of the suite's Release file, `sha256:…`; None until it is asked for online."""
    bare: bool = False
    """Without apt, perl, time zones and encodings: Python works in it, and nothing is ever installed."""
    over: tuple[str, ...] = ()
    """Those of the packages that a bare root is made of, which is the layer beneath this one."""

    @property
    def beneath(self) -> Debootstrap | None:
        """The root beneath this one."""
        return Debootstrap(self.suite, self.over, self.archive, bare=True) if self.over else None

    @property
    def reference(self) -> str:
        """How kit.lock names it."""
        return f"debootstrap:{self.suite}"


@dataclass(frozen=True, slots=True)
class PulledImage:
    """An image from a registry."""

    reference: str
    """Without digest."""
    digest: str | None = None
    """`sha256:…`; None until it is resolved online."""


Base = Debootstrap | PulledImage


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """A layer of packages: those whose name matches a pattern and no earlier group's."""

    name: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder that the container keeps its state in."""

    container: str
    seeded: bool
    """The host's folder starts as a copy of what the image holds there."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """What an index that is not always within reach says about a package."""

    requirement: str
    """e.g. `torch==2.6.0+cu126`."""
    requires: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """The rules of an image that kit builds."""

    name: str
    base: Base
    extra: str
    """Extra of pyproject.toml; empty for kit's own dependencies."""
    layers: tuple[LayerGroup, ...]
    as_of: str | None = None
    """Day (`2025-07-01`) whose newest packages are taken; None for today."""
    drop: tuple[str, ...] = ()
    """Packages that no other may pull in."""
    sdists: tuple[str, ...] = ()
    """Pure-Python packages that may come without a wheel."""
    unreachable: tuple[Unreachable, ...] = ()
    devel: PulledImage | None = None
    """Compiler of the GPU operators; None when there are none to build."""


@dataclass(frozen=True, slots=True)
class UpstreamImage:
    """The rules of an image that is taken as it is."""

    name: str
    image: PulledImage
    mounts: tuple[Mount, ...] = ()


ImageRule = BuiltImage | UpstreamImage


@dataclass(frozen=True, slots=True)
class Stack:
    """A named set of pins."""

    name: str
    python: str
    """Version of Python in its images, e.g. `3.11`."""
    platform: str
    """uv's name of the platform that its wheels are for."""
    torch_backend: str
    """uv's name of PyTorch's own index."""
    images: tuple[ImageRule, ...]
    leave_out: tuple[str, ...] = ()
    """Files and folders of packages that no image has; see `kit.images.leave_out`."""

    def image(self, name: str) -> ImageRule:
        """Return the rules of an image. Raises ConfigError when the stack has none of that name."""
        for rule in self.images:
            if rule.name == name:
                return rule
        known = ", ".join(rule.name for rule in self.images)
        raise ConfigError(
            f"the stack {self.name!r} has no image {name!r}",
            where="images",
            why=f"it has {known}",
            fix="correct images or stack in kit.yaml",
        )

    def built_image(self, name: str) -> BuiltImage:
        """Return the rules of an image that kit builds. Raises ConfigError when it is none."""
        rule = self.image(name)
        if isinstance(rule, BuiltImage):
            return rule
        raise ConfigError(f"the image {name!r} is not built", where="kit.lock", fix="kit lock")


def _refuse(key: str, message: str) -> NoReturn:
    raise ConfigError(f"{key}: {message}", where="images/stacks.yaml", fix="correct images/stacks.yaml")


def _take(value: Any, key: str, *, needs: tuple[str, ...], may: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(key, "a mapping is needed")
    for name in needs:
        if name not in value:
            _refuse(f"{key}.{name}", "missing")
    for name in value:
        if name not in needs + may:
            _refuse(f"{key}.{name}", "unknown key")
    return value


def _texts(value: Any, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        _refuse(key, "a list of texts is needed")
    return tuple(value)


def _relative(patterns: tuple[str, ...], key: str) -> tuple[str, ...]:
    for pattern in patterns:
        # The first part names a package: a slip must not empty all of them.
        if {"", ".", ".."} & set(pattern.split("/")) or not pattern[0].isalpha() or "/" not in pattern:
            _refuse(key, f"{pattern!r} is not a path below a package")
    return patterns


def _pulled(value: Any, key: str) -> PulledImage:
    value = _take(value, key, needs=("image",), may=("digest",))
    return PulledImage(str(value["image"]), value.get("digest"))


def _root(value: Any, key: str) -> Base:
    if isinstance(value, dict) and "debootstrap" in value:
        value = _take(value, key, needs=("debootstrap", "include"), may=("bare", "over"))
        packages = _texts(value["include"], f"{key}.include")
        over = _texts(value.get("over", []), f"{key}.over")
        if not set(over) <= set(packages):
            _refuse(f"{key}.over", "packages of include are needed")
        return Debootstrap(str(value["debootstrap"]), packages, bare=bool(value.get("bare")), over=over)
    return _pulled(value, key)


def _pairs(value: Any, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(value, dict):
        _refuse(key, "a mapping is needed")
    return tuple((str(name), _texts(items, f"{key}.{name}")) for name, items in value.items())


def _upstream(name: str, value: dict[str, Any], key: str) -> UpstreamImage:
    value = _take(value, key, needs=("pull",), may=("mounts",))
    mounts = tuple(
        Mount(**_take(item, f"{key}.mounts[{i}]", needs=("container", "seeded")))
        for i, item in enumerate(value.get("mounts", []))
    )
    return UpstreamImage(name, _pulled(value["pull"], f"{key}.pull"), mounts)


def _image(name: str, value: Any, key: str) -> ImageRule:
    if isinstance(value, dict) and "pull" in value:
        return _upstream(name, value, key)
    optional = ("as_of", "drop", "sdists", "unreachable", "devel")
    value = _take(value, key, needs=("base", "extra", "layers"), may=optional)
    return BuiltImage(
        name=name,
        base=_root(value["base"], f"{key}.base"),
        extra=str(value["extra"]),
        layers=tuple(LayerGroup(*pair) for pair in _pairs(value["layers"], f"{key}.layers")),
        as_of=value.get("as_of"),
        drop=_texts(value.get("drop", []), f"{key}.drop"),
        sdists=_texts(value.get("sdists", []), f"{key}.sdists"),
        unreachable=tuple(
            Unreachable(*pair) for pair in _pairs(value.get("unreachable", {}), f"{key}.unreachable")
        ),
        devel=_pulled(value["devel"], f"{key}.devel") if "devel" in value else None,
    )


def parse_stacks(document: Any) -> tuple[Stack, ...]:
    """Return the stacks that a parsed stacks.yaml describes. Raises ConfigError naming the key."""
    document = _take(document, "stacks.yaml", needs=("python", "platform", "leave_out", "stacks"))
    python, platform = str(document["python"]), document["platform"]
    leave_out = _relative(_texts(document["leave_out"], "leave_out"), "leave_out")
    stacks = []
    for name, value in _take(document["stacks"], "stacks", needs=(), may=tuple(document["stacks"])).items():
        key = f"stacks.{name}"
        value = _take(value, key, needs=("torch_backend", "images"))  # noqa: PLW2901
        images = tuple(
            _image(image, rule, f"{key}.images.{image}") for image, rule in value["images"].items()
        )
        stacks.append(Stack(name, python, platform, value["torch_backend"], images, leave_out))
    return tuple(stacks)


@cache
def load_stacks() -> tuple[Stack, ...]:
    """Return the stacks that this installation of kit knows. Raises ConfigError."""
    return parse_stacks(read_own_yaml((data_folder("images") / "stacks.yaml").read_text(encoding="utf-8")))


def find_stack(name: str) -> Stack:
    """Return the stack of that name. Raises ConfigError."""
    for stack in load_stacks():
        if stack.name == name:
            return stack
    known = ", ".join(stack.name for stack in load_stacks())
    raise ConfigError(
        f"no stack named {name!r}", where="stack", why=f"known: {known}", fix="correct kit.yaml"
    )
