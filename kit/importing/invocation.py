"""A command out of its wrappers: `nohup`, `env`, `bash -c`, `docker run`, and the launchers. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from kit.errors import ConfigError
from kit.importing.docker_run import enter_container
from kit.importing.draft import Invocation
from kit.importing.launchers import LAUNCHERS
from kit.importing.options import read_options
from kit.importing.shell_words import read_commands, split_assignments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kit.importing.draft import ReadText
    from kit.importing.shell_words import Command

_PREFIXES: dict[str, tuple[str, ...]] = {
    # name → its options that take a value
    "nohup": (),
    "exec": ("a",),
    "setsid": (),
    "command": (),
    "sudo": ("u", "user", "g", "group"),
    "env": ("u", "unset", "C", "chdir"),
    "stdbuf": ("i", "o", "e"),
    "nice": ("n", "adjustment"),
    "numactl": ("N", "m", "C", "cpunodebind", "membind", "physcpubind"),
    "timeout": ("s", "signal", "k", "kill_after"),
    "tini": (),
}
_SHELLS = ("bash", "sh", "zsh", "dash")


def invocations(commands: tuple[Command, ...], where: str, read: ReadText) -> Iterator[Invocation]:
    """Yield every command without what is wrapped around it; a shell's `-c` may hold several.

    Raises ConfigError for what is wrapped so that nobody can tell.
    """
    for command in commands:
        place = f"{where}, line {command.line}" if command.line > 1 else where
        invocation = Invocation(command.words, dict(command.env), place, read, unknown=command.unknown)
        yield from _unwrapped(invocation)


def _unwrapped(invocation: Invocation) -> Iterator[Invocation]:
    while invocation.words:
        env, invocation.words = split_assignments(invocation.words)
        invocation.env |= env
        name = _name(invocation)
        if name in _PREFIXES:
            _strip(invocation, _PREFIXES[name])
        elif name in ("uv", "poetry", "pipenv") and invocation.words[1:2] == ("run",):
            invocation.words = invocation.words[2:]
        elif name in ("docker", "podman", "nerdctl"):
            if not enter_container(invocation):
                return
        elif name in _SHELLS and (script := _script(invocation.words)) is not None:
            yield from _inner(invocation, script)
            return
        elif name in LAUNCHERS:
            invocation.words = LAUNCHERS[name](invocation)
        elif _is_launcher_module(invocation.words):
            invocation.words = LAUNCHERS["torchrun"](_without_python(invocation))
        else:
            yield invocation
            return


def _name(invocation: Invocation) -> str:
    return PurePosixPath(invocation.words[0]).name if invocation.words else ""


def _strip(invocation: Invocation, valued: tuple[str, ...]) -> None:
    words = list(invocation.words)
    prefix = PurePosixPath(words.pop(0)).name
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            break
        if word.lstrip("-").replace("-", "_") in valued and words:
            words.pop(0)
    if prefix == "timeout" and words:
        words.pop(0)
    invocation.words = tuple(words)


def _script(words: tuple[str, ...]) -> str | None:
    for index, word in enumerate(words[1:], 1):
        if word.startswith("-") and not word.startswith("--") and word.endswith("c"):
            return words[index + 1] if index + 1 < len(words) else ""
        if not word.startswith("-"):
            return None
    return None


def _inner(outer: Invocation, script: str) -> Iterator[Invocation]:
    for command in read_commands(script, outer.where):
        inner = Invocation(
            command.words,
            {**outer.env, **dict(command.env)},
            outer.where,
            outer.read,
            mounts=outer.mounts,
            hosts=outer.hosts,
            gpus=outer.gpus,
            published=outer.published,
            image=outer.image,
            unknown=(*outer.unknown, *command.unknown),
        )
        inner.changes.lines += outer.changes.lines
        yield from _unwrapped(inner)


def _is_launcher_module(words: tuple[str, ...]) -> bool:
    modules = ("torch.distributed.run", "torch.distributed.launch")
    return len(words) > 2 and _is_python(words[0]) and words[1] == "-m" and words[2] in modules  # noqa: PLR2004


def _without_python(invocation: Invocation) -> Invocation:
    invocation.words = invocation.words[2:]
    return invocation


def _is_python(word: str) -> bool:
    return PurePosixPath(word).name.rstrip("0123456789.") == "python"


def program(invocation: Invocation) -> tuple[str, tuple[str, ...]]:
    """Return what is started, a Python module or script by its name, and the words for it."""
    words = invocation.words
    if not words:
        return "", ()
    if not _is_python(words[0]):
        return PurePosixPath(words[0]).name, words[1:]
    line = read_options(words[1:], switches=("u", "B", "O", "OO", "I", "s", "E"), stops=True)
    for index, word in enumerate(words):
        if word == "-m" and index + 1 < len(words):
            return words[index + 1], words[index + 2 :]
    if not line.rest:
        raise ConfigError("python without a program", where=invocation.where, fix="give the whole command")
    return PurePosixPath(line.rest[0]).name, line.rest[1:]
