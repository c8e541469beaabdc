"""The uv commands that lock and install packages. Pure: words and environment, nothing is run.

uv takes indexes, credentials and CA bundle from its own variables and netrc; what pip is told
(`PIP_INDEX_URL`, `PIP_FIND_LINKS` …) counts too when uv is told nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.images.context import MTIME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kit.images.stacks import BuiltImage, Stack

# uv's variable, its older name, and the variables of others that say the same
_SETTINGS = (
    ("UV_DEFAULT_INDEX", "UV_INDEX_URL", ("PIP_INDEX_URL",)),
    ("UV_INDEX", "UV_EXTRA_INDEX_URL", ("PIP_EXTRA_INDEX_URL",)),
    ("UV_FIND_LINKS", "", ("PIP_FIND_LINKS",)),
    ("SSL_CERT_FILE", "", ("PIP_CERT", "REQUESTS_CA_BUNDLE")),
)


@dataclass(frozen=True, slots=True)
class UvCommand:
    """A call of uv."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    """The variables to set beside those of this process."""


def index_env(env: Mapping[str, str], pip_mirror: str | None) -> tuple[tuple[str, str], ...]:
    """Return the variables that tell uv where packages are: mirror, then uv's settings, then pip's."""
    found = {}
    for ours, older, others in _SETTINGS:
        said = [env[name] for name in others if env.get(name)]
        if said and ours not in env and older not in env:
            # pip separates wheel folders by spaces, uv by commas
            found[ours] = ",".join(said[0].split()) if ours == "UV_FIND_LINKS" else said[0]
    if pip_mirror:
        found["UV_DEFAULT_INDEX"] = pip_mirror
    return tuple(sorted(found.items()))


def link_options(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the options that name the wheel folders of `index_env`.

    uv forgets its variable as soon as an option names a folder.
    """
    links = {**env, **dict(index_env(env, None))}.get("UV_FIND_LINKS", "")
    return tuple(word for place in links.split(",") if place for word in ("--find-links", place))


def install_env(env: Mapping[str, str], pip_mirror: str | None) -> tuple[tuple[str, str], ...]:
    """Return the variables of `index_env`, and those that make builds from source the same each time."""
    same = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": str(MTIME)}
    return tuple(sorted((*index_env(env, pip_mirror), *same.items())))


def torch_index(stack: Stack, requirements: str, wheel_files: tuple[str, ...]) -> tuple[str, ...]:
    """Return the option for PyTorch's own index when the wheel is there and in no wheel folder at hand.

    `wheel_files` are the names of the files in local wheel folders.
    """
    for line in requirements.splitlines():
        name, _, version = line.split(" ")[0].partition("==")
        if name == "torch" and version.endswith(f"+{stack.torch_backend}"):
            at_hand = any(file.startswith(f"torch-{version}-") for file in wheel_files)
            return () if at_hand else ("--torch-backend", stack.torch_backend)
    return ()


def _target(stack: Stack) -> tuple[str, ...]:
    return ("--python-version", stack.python, "--python-platform", stack.platform)


def _wheels_only(rule: BuiltImage) -> tuple[str, ...]:
    named = (word for name in rule.sdists for word in ("--no-binary", name))
    return ("--only-binary", ":all:", *named)


def compile_argv(
    rule: BuiltImage,
    stack: Stack,
    requirements: Path,
    overrides: Path,
    options: tuple[str, ...] = (),
    preferred: Path | None = None,
) -> tuple[str, ...]:
    """Return the command that prints the lock of the requirements in a file.

    With `preferred`, it turns the lock in that file into the new one instead, and keeps of it what it can.
    """
    return (
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--generate-hashes"),
        *("--no-header", "--no-annotate"),
        *(("--upgrade",) if preferred is None else ("--output-file", str(preferred))),
        *_target(stack),
        *_wheels_only(rule),
        *(("--exclude-newer", rule.as_of) if rule.as_of else ()),
        *("--override", str(overrides)),
        *options,
        str(requirements),
    )


def install_argv(
    rule: BuiltImage,
    stack: Stack,
    requirements: Path,
    target: Path,
    options: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return the command that installs exactly the pins in a file, hashes checked, into a folder."""
    return (
        *(sys.executable, "-m", "uv", "pip", "install", "--no-deps", "--require-hashes", "--no-progress"),
        *_target(stack),
        *_wheels_only(rule),
        *options,
        *("--target", str(target), "-r", str(requirements)),
    )


def override_lines(rule: BuiltImage) -> str:
    """Return the overrides that keep dropped packages out."""
    return "".join(f"{name} ; sys_platform == 'never'\n" for name in rule.drop)
