"""The types of kit.yaml. Unknown keys are refused; everything is frozen.

`kit.project.load` reads the file and turns a violation into a ConfigError that names the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Tag, model_validator

from kit.errors import ConfigError
from kit.project.image_reference import check_mirror, parse_reference
from kit.project.job_model import Job
from kit.project.section import Gpus, Port, Section

CHOICE_COLUMNS = ("question", *"ABCDEFGHIJ", "choices", "answer", "subject", "split")
"""What questions with choices are made of; the columns of a file bear these names unless told otherwise."""
NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_PACKAGE = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9._,-]+\])?==[0-9][A-Za-z0-9.!_-]*(\+[A-Za-z0-9._-]+)?"
)


def _check_name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("a name is made of lower-case letters, digits, '.', '_' and '-' (at most 63)")
    return value


def _check_absolute(value: str) -> str:
    if not value.startswith("/") or ".." in value.split("/") or re.search(r"[\s:]", value):
        raise ValueError("an absolute path without '..', spaces or ':' is needed")
    return value.rstrip("/") or "/"


def _check_image(value: str) -> str:
    try:
        image = parse_reference(value)
    except ConfigError as error:
        raise ValueError(f"{error.what}: {error.why}; {error.fix}") from error
    if not (image.tag or image.digest):
        raise ValueError("a tag or digest is needed: what has none changes without notice")
    return value


def _check_package(value: str) -> str:
    if not _PACKAGE.fullmatch(value):
        raise ValueError("write NAME==VERSION, e.g. peft==0.15.1: what is not exact is no pin")
    return value


def _check_registry(value: str | Mapping[str, str]) -> str | Mapping[str, str]:
    try:
        for place in (value,) if isinstance(value, str) else value.values():
            check_mirror(place)
    except ConfigError as error:
        raise ValueError(f"{error.what}: {error.fix}") from error
    return value


Name = Annotated[str, AfterValidator(_check_name)]
AbsolutePath = Annotated[str, AfterValidator(_check_absolute)]
PackagePin = Annotated[str, AfterValidator(_check_package)]


class Mirrors(Section):
    """Where to fetch from instead of the public defaults. Used online only."""

    pip: str | None = None
    apt: str | None = None
    registry: Annotated[str | Mapping[str, str], AfterValidator(_check_registry)] | None = None
    """One registry in place of all others, or registry → what stands in for it."""
    hub: str | Mapping[Literal["modelscope", "huggingface"], str] | None = None
    """One address for whichever hub is used, or one for each."""

    def hub_of(self, origin: str) -> str | None:
        """Return the mirror of `modelscope` or `huggingface`; None for the hub itself."""
        if isinstance(self.hub, Mapping):
            return next((address for name, address in self.hub.items() if name == origin), None)
        return self.hub


class NamedImage(Section):
    """An image of the user's own choice, carried as its registry has it."""

    name: Name
    image: Annotated[str, AfterValidator(_check_image)]
    """`registry.example/team/tool:1.2`; `kit lock` pins its digest."""
    hosts: tuple[str, ...] = ()
    """Which hosts get it; all when left out."""


class ModelSpec(Section):
    """A model: a repository on a hub, pinned by revision, or a folder beside kit.yaml."""

    source: Literal["modelscope", "huggingface", "folder"]
    repo: str | None = None
    revision: str | None = None
    path: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow_pickle: tuple[str, ...] = ()
    """Weights in pickle files to take all the same, each by its path: loading one runs its code."""

    @model_validator(mode="after")
    def _complete(self) -> ModelSpec:
        wild = [path for path in self.allow_pickle if re.search(r"[*?\[]", path)]
        if wild:
            raise ValueError(f"allow_pickle names files, not patterns: {wild[0]!r}")
        if self.source == "folder" and not self.path:
            raise ValueError("a folder needs path")
        if self.source != "folder" and not (self.repo and self.revision):
            raise ValueError(f"{self.source} needs repo and revision")
        return self


class DatasetSpec(Section):
    """A dataset file beside kit.yaml, in a form that LLaMA-Factory reads, or questions with choices."""

    path: str
    format: Literal["alpaca", "sharegpt", "choices"] = "alpaca"
    """`choices`: a suite of questions, each with its choices and the letter of the right one."""
    columns: Mapping[str, str] = {}
    """LLaMA-Factory's column names; when given, they replace all of its defaults. Of choices: those above."""
    ranking: bool = False
    """Pairs of a chosen and a rejected answer, for the stages rm and dpo."""
    tags: Mapping[str, str] = {}
    """LLaMA-Factory's names for roles in sharegpt; when given, they replace all of its defaults."""

    @model_validator(mode="after")
    def _of_choices(self) -> DatasetSpec:
        if self.format != "choices":
            return self
        if self.ranking or self.tags:
            raise ValueError("ranking and tags are for training data, not for choices")
        strange = [name for name in self.columns if name not in CHOICE_COLUMNS]
        if strange:
            raise ValueError(f"columns.{strange[0]}: choices have the columns {', '.join(CHOICE_COLUMNS)}")
        if not self.path.lower().endswith((".json", ".jsonl", ".csv")):
            raise ValueError("path: choices are read from .json, .jsonl and .csv")
        return self


class HostSpec(Section):
    """A machine of the intranet, or this one (`address: local`)."""

    address: str
    user: str | None = None
    port: Port | None = None
    """None lets ~/.ssh/config decide."""
    root: AbsolutePath = "/aisys/kit"
    """Folder on the host that holds everything kit puts there."""
    gpus: Gpus = 0
    p2p: bool = True
    """False for PCIe-only cards that cannot reach each other's memory (ACS or IOMMU on)."""
    nic: str | None = None
    """Network interface for training traffic; found by the route to the master when left out."""
    identity: str | None = None
    """Private key file for SSH, relative to kit.yaml."""
    host_key: str | None = None
    """The host's key, `ssh-ed25519 AAAA…`, or its fingerprint, `SHA256:…`; otherwise known_hosts decides."""


def _kind_of_image(value: Any) -> str:
    return "named" if isinstance(value, Mapping | NamedImage) else "ours"


OwnImage = Literal["train", "serve", "serve-sglang", "proxy", "data"]
"""The images that a stack brings."""
BuiltImageName = Literal["train", "serve", "serve-sglang"]
"""Those of them that kit builds."""
ImageEntry = Annotated[
    Annotated[OwnImage, Tag("ours")] | Annotated[NamedImage, Tag("named")], Discriminator(_kind_of_image)
]


class Project(Section):
    """kit.yaml as a whole."""

    version: Literal[1]
    name: Name | None = None
    """The bundle's name; the folder's name when left out."""
    stack: Literal["cpu", "cu126"]
    mirrors: Mirrors = Mirrors()
    images: tuple[ImageEntry, ...] = ()
    packages: Mapping[BuiltImageName, tuple[PackagePin, ...]] = {}
    """Python packages to add to an image that kit builds, or to have there at another release."""
    models: Mapping[Name, ModelSpec] = {}
    datasets: Mapping[Name, DatasetSpec] = {}
    hosts: Mapping[Name, HostSpec] = {}
    jobs: Mapping[Name, Job] = {}

    @property
    def named_images(self) -> tuple[NamedImage, ...]:
        """The images that are not the stack's."""
        return tuple(image for image in self.images if isinstance(image, NamedImage))
