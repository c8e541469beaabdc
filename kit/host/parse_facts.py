"""From what a host answered to its facts. Pure; whatever it says, nothing but values comes of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from kit.host.answers import Answers, number_in
from kit.host.docker_words import SUDO, docker_words
from kit.host.facts import Gpu, Held, HostFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

_KIB = 1024
_MIB = 1 << 20
SMI_COLUMNS = 5
MOST_GPUS = 64
_WORD = 255
"""Most characters of a name."""
_ERROR = 400
_USER = re.compile(r"[\w.@\\-]{1,64}\$?")
"""A login's name: it stands in commands that people are told to type."""
_VERSION = re.compile(r"[0-9][\w.+~:-]{0,63}")


def _disk(line: str) -> tuple[int, int] | None:
    """Return (bytes, free bytes) from the last line of `df -Pk`."""
    found = re.search(r"\s([0-9]{1,18})\s+-?[0-9]{1,18}\s+(-?)([0-9]{1,18})\s+\S{1,8}\s+/", line[:1024])
    if found is None:
        return None
    return int(found[1]) * _KIB, 0 if found[2] else int(found[3]) * _KIB


def _compose(answers: Answers, sudo: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    for key, command in (("compose_v2", ("docker", "compose")), ("compose_v1", ("docker-compose",))):
        found = re.match(r"v?([0-9]{1,4}\.[0-9]{1,4}(?:\.[0-9]{1,4})?)", answers.text(key))
        if found:
            return (*sudo, *command), found[1]
    return (), None


def _gpu(line: str) -> tuple[Gpu, str] | None:
    fields = [field.strip()[:_WORD] for field in line[: 4 * _WORD].split(",")]
    index = number_in(fields[0])
    if len(fields) != SMI_COLUMNS or index is None:
        return None
    return Gpu(index, fields[1], fields[2], (number_in(fields[3]) or 0) * _MIB), fields[4]


def _clock(text: str) -> float:
    found = re.match(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?", text)
    if not found:
        return 0.0
    # A date without %N gives whole seconds: half a second is the best guess at the rest.
    return float(f"{found[1]}.{found[2] or '5'}")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _pairs(lines: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple((words[0], words[1]) for words in (line.split() for line in lines) if len(words) == 2)  # noqa: PLR2004


def _engine(answers: Answers) -> tuple[str | None, str]:
    """Return the engine's version, or why there is none."""
    version = answers.text("engine_version")
    if _VERSION.fullmatch(version):
        return version, ""
    return None, (answers.text("engine_error") or version)[:_ERROR]


_HELD = re.compile(r"(\S{1,255}) (\S{1,255}) gpus=([\w,-]{0,2048}) port=([0-9]{0,5})")


def _held(lines: list[str]) -> tuple[Held, ...]:
    found = filter(None, map(_HELD.fullmatch, lines))
    return tuple(
        Held(line[1], line[2], tuple(filter(None, line[3].split(","))), number_in(line[4])) for line in found
    )


def _user(text: str) -> str:
    return text if _USER.fullmatch(text) else ""


def parse_facts(host: str, root: str, lines: Iterable[bytes], clock_heard: float) -> HostFacts:
    """Return the facts in the script's answer, whose `lines` come without their mark.

    `clock_heard` is this machine's time when the host's clock was heard. Raises UnreachableError
    when the answer is not the script's.
    """
    answers = Answers(host)
    for line in lines:
        answers.add(line)
    clock = _clock(answers.text("clock"))
    disk, engine_disk, shm = (_disk(answers.text(f"{key}_df")) for key in ("root", "engine", "shm"))
    by_sudo = bool(answers.text("sudo"))
    compose, compose_version = _compose(answers, SUDO if by_sudo else ())
    engine_version, engine_error = _engine(answers)
    gpus = [found for found in map(_gpu, answers.all("gpu")[:MOST_GPUS]) if found]
    ports = {int(port, 16) for port in answers.all("listening") if re.fullmatch("[0-9A-F]{1,4}", port)}
    interfaces = _pairs(answers.all("interface"))
    runtimes = _json(answers.text("runtimes"))
    return HostFacts(
        host=host,
        hostname=answers.text("hostname")[:_WORD],
        uid=answers.number("uid"),
        gid=answers.number("gid"),
        docker_gid=answers.optional("docker_gid"),
        cores=answers.number("cores"),
        memory_bytes=answers.number("memory_kib") * _KIB,
        root=root,
        root_writable=answers.text("root_writable") == "1",
        free_bytes=disk[1] if disk else 0,
        engine_version=engine_version,
        engine_error=engine_error,
        sudo_error="" if engine_version else answers.text("sudo_error")[:_ERROR],
        engine_free_bytes=engine_disk[1] if engine_disk else None,
        containerd_store="io.containerd.snapshotter" in answers.text("store"),
        compose=compose,
        compose_version=compose_version,
        nvidia_runtime=isinstance(runtimes, dict) and "nvidia" in runtimes,
        driver_version=gpus[0][1] if gpus else None,
        gpus=tuple(gpu for gpu, _ in gpus),
        clock=clock,
        clock_offset=clock - clock_heard,
        resolves_to_loopback=answers.text("own_address").startswith("127."),
        interfaces=tuple(pair for pair in interfaces if pair[0] != "lo"),
        listening=tuple(sorted(ports)),
        shm_bytes=shm[0] if shm else 0,
        architecture=answers.text("architecture")[:_WORD],
        images=_pairs(answers.all("image")),
        image_env=tuple((tag, text) for tag, _, text in (x.partition(" ") for x in answers.all("image_env"))),
        engine_on_root_disk=answers.text("engine_device") in ("", answers.text("root_device")),
        user=_user(answers.text("user")),
        held=_held(answers.all("held")),
        aes=answers.text("aes") == "1",
        docker=docker_words(by_sudo=by_sudo),
    )
