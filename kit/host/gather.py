"""Asking a host for its facts: one POSIX shell script, so that sh, docker and coreutils suffice.

Each line of its answer that counts is `kit:KEY VALUE`; whatever a login shell prints besides is passed over.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from kit.errors import UnreachableError
from kit.host.docker_words import FIND_ENGINE, SUDO, docker_words
from kit.host.facts import Gpu, HostFacts
from kit.host.output import Capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.host.port import Host
    from kit.project.model import HostSpec

_MARK = "kit:"
_KIB = 1024
_MIB = 1 << 20
SMI_COLUMNS = 5

SCRIPT = (
    r"""
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root=$1
say() { key=$1; shift; printf 'kit:%s %s\n' "$key" "$(printf '%s' "$*" | tr '\n' ' ')"; }
"""
    + FIND_ENGINE
    + r"""
say clock "$(date +%s.%N)"
say hostname "$(uname -n)"
say architecture "$(uname -m)"
say user "$(id -un 2>/dev/null)"
say uid "$(id -u)"
say gid "$(id -g)"
socket=/var/run/docker.sock
[ -S "$socket" ] && say docker_gid "$(stat -L -c %g "$socket")"
say cores "$(getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c '^processor' /proc/cpuinfo)"
while read -r key value unit; do [ "$key" = MemTotal: ] && say memory_kib "$value"; done </proc/meminfo
folder=$root
while [ ! -d "$folder" ] && [ "$folder" != / ]; do folder=${folder%/*}; folder=${folder:-/}; done
if [ -w "$folder" ] && [ -x "$folder" ]; then say root_writable 1; else say root_writable 0; fi
say root_df "$(df -Pk "$folder" 2>/dev/null | tail -n 1)"
say root_device "$(stat -L -c %d "$folder")"
say shm_df "$(df -Pk /dev/shm 2>/dev/null | tail -n 1)"
find_engine
if have docker; then
  if [ -n "$version" ]; then
    say engine_version "$version"
    say sudo "$sudo"
    data=$(limited $sudo docker info --format '{{.DockerRootDir}}' 2>/dev/null)
    say engine_df "$(df -Pk "$data" 2>/dev/null | tail -n 1)"
    say engine_device "$(stat -L -c %d "$data" 2>/dev/null)"
    say store "$(limited $sudo docker info --format '{{json .DriverStatus}}' 2>/dev/null)"
    say runtimes "$(limited $sudo docker info --format '{{json .Runtimes}}' 2>/dev/null)"
    limited $sudo docker image ls --no-trunc --filter 'reference=kit.invalid/*' \
      --format 'kit:image {{.Repository}}:{{.Tag}} {{.ID}}' 2>/dev/null
    images=$(limited $sudo docker image ls --quiet --filter 'reference=kit.invalid/*' 2>/dev/null | sort -u)
    format='{{range $t := .RepoTags}}{{range $.Config.Env}}{{println "kit:image_env" $t .}}{{end}}{{end}}'
    [ -n "$images" ] && limited $sudo docker image inspect --format "$format" $images 2>/dev/null |
      grep -E '^kit:image_env [^ ]+ NVIDIA_(REQUIRE_CUDA|DISABLE_REQUIRE)='
  else
    say engine_error "$engine_error"
    say sudo_error "$sudo_error"
  fi
  say compose_v2 "$(limited $sudo docker compose version --short 2>/dev/null)"
else
  say engine_error 'docker: command not found'
fi
have docker-compose && say compose_v1 "$(limited $sudo docker-compose version --short 2>/dev/null)"
if have nvidia-smi; then
  limited nvidia-smi --query-gpu=index,uuid,name,memory.total,driver_version --format=csv,noheader,nounits \
    2>/dev/null | while read -r line; do say gpu "$line"; done
fi
own=$(uname -n)
if have getent; then say own_address "$(getent ahostsv4 "$own" 2>/dev/null | head -n 1)"
else say own_address "$(grep -w -- "$own" /etc/hosts 2>/dev/null | head -n 1)"; fi
have ip && ip -4 -o addr show 2>/dev/null | while read -r _ name _ address _; do
  say interface "$name ${address%%/*}"
done
for table in /proc/net/tcp /proc/net/tcp6; do
  [ -r "$table" ] && while read -r _ local _ state _; do
    [ "$state" = 0A ] && say listening "${local##*:}"
  done <"$table"
done
say end 1
"""
)


class _Answers:
    """The script's answers, each by its key."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._values: dict[str, list[str]] = {}

    def add(self, line: str) -> None:
        """Take one line of output."""
        if line.startswith(_MARK):
            key, _, value = line[len(_MARK) :].partition(" ")
            self._values.setdefault(key, []).append(value.strip())

    def text(self, key: str) -> str:
        """Return an answer; empty when there is none."""
        return self._values.get(key, [""])[0]

    def all(self, key: str) -> list[str]:
        """Return every answer with that key."""
        return self._values.get(key, [])

    def number(self, key: str) -> int:
        """Return an answer that must be a number. Raises UnreachableError."""
        value = self.text(key)
        if not value.isascii() or not value.isdigit():
            raise UnreachableError(
                f"its answer has no {key}",
                where=self._host,
                why=f"it said {value[:80]!r}" if value else "a POSIX shell and coreutils are needed there",
                fix=f"try: ssh {self._host} sh -c 'id -u; df -Pk /'",
            )
        return int(value)

    def optional(self, key: str) -> int | None:
        """Return an answer that may be missing."""
        value = self.text(key)
        return int(value) if value.isascii() and value.isdigit() else None


def _disk(line: str) -> tuple[int, int] | None:
    """Return (bytes, free bytes) from the last line of `df -Pk`."""
    found = re.match(r"\S.*?\s+(\d+)\s+\d+\s+(\d+)\s+\S+%?\s+/", line)
    return (int(found[1]) * _KIB, int(found[2]) * _KIB) if found else None


def _compose(answers: _Answers, sudo: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    for key, command in (("compose_v2", ("docker", "compose")), ("compose_v1", ("docker-compose",))):
        found = re.match(r"v?(\d+\.\d+(?:\.\d+)?)", answers.text(key))
        if found:
            return (*sudo, *command), found[1]
    return (), None


def _gpu(line: str) -> tuple[Gpu, str] | None:
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != SMI_COLUMNS or not fields[0].isdigit():
        return None
    memory = int(fields[3]) * _MIB if fields[3].isdigit() else 0
    return Gpu(int(fields[0]), fields[1], fields[2], memory), fields[4]


def _clock(text: str) -> float:
    found = re.match(r"(\d+)(?:\.(\d+))?", text)
    if not found:
        return 0.0
    # A date without %N gives whole seconds: half a second is the best guess at the rest.
    return float(f"{found[1]}.{found[2] or '5'}")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _pairs(lines: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple((words[0], words[1]) for words in (line.split() for line in lines) if len(words) == 2)  # noqa: PLR2004


def parse_facts(host: str, root: str, lines: list[str], clock_heard: float) -> HostFacts:
    """Return the facts in the script's answer. Pure.

    `clock_heard` is this machine's time when the host's clock was heard. Raises UnreachableError
    when the answer is not the script's.
    """
    answers = _Answers(host)
    for line in lines:
        answers.add(line)
    clock = _clock(answers.text("clock"))
    disk, engine_disk, shm = (_disk(answers.text(f"{key}_df")) for key in ("root", "engine", "shm"))
    by_sudo = bool(answers.text("sudo"))
    compose, compose_version = _compose(answers, SUDO if by_sudo else ())
    gpus = [found for found in map(_gpu, answers.all("gpu")) if found]
    ports = {int(port, 16) for port in answers.all("listening") if re.fullmatch("[0-9A-F]{1,4}", port)}
    interfaces = _pairs(answers.all("interface"))
    return HostFacts(
        host=host,
        hostname=answers.text("hostname"),
        uid=answers.number("uid"),
        gid=answers.number("gid"),
        docker_gid=answers.optional("docker_gid"),
        cores=answers.number("cores"),
        memory_bytes=answers.number("memory_kib") * _KIB,
        root=root,
        root_writable=answers.text("root_writable") == "1",
        free_bytes=disk[1] if disk else 0,
        engine_version=answers.text("engine_version") or None,
        engine_error="" if answers.text("engine_version") else answers.text("engine_error")[:400],
        sudo_error="" if answers.text("engine_version") else answers.text("sudo_error")[:400],
        engine_free_bytes=engine_disk[1] if engine_disk else None,
        containerd_store="io.containerd.snapshotter" in answers.text("store"),
        compose=compose,
        compose_version=compose_version,
        nvidia_runtime="nvidia" in (_json(answers.text("runtimes")) or {}),
        driver_version=gpus[0][1] if gpus else None,
        gpus=tuple(gpu for gpu, _ in gpus),
        clock=clock,
        clock_offset=clock - clock_heard,
        resolves_to_loopback=answers.text("own_address").startswith("127."),
        interfaces=tuple(pair for pair in interfaces if pair[0] != "lo"),
        listening=tuple(sorted(ports)),
        shm_bytes=shm[0] if shm else 0,
        architecture=answers.text("architecture"),
        images=_pairs(answers.all("image")),
        image_env=tuple((tag, text) for tag, _, text in (x.partition(" ") for x in answers.all("image_env"))),
        engine_on_root_disk=answers.text("engine_device") in ("", answers.text("root_device")),
        user=answers.text("user"),
        docker=docker_words(by_sudo=by_sudo),
    )


def gather_facts(host: Host, spec: HostSpec, now: Callable[[], float] = time.time) -> HostFacts:
    """Return what is true of a host. Raises UnreachableError when it does not answer as a host would."""
    lines: list[str] = []
    heard: list[float] = []
    limit = Capture(host.name)

    def on_line(line: bytes) -> None:
        if line.startswith(b"kit:clock") and not heard:
            heard.append(now())
        limit(line)
        lines.append(line.decode("utf-8", "replace"))

    done = host.stream(("sh", "-s", spec.root), (SCRIPT.encode(),), on_line)
    if not any(line.startswith("kit:end") for line in lines):
        raise UnreachableError(
            "its shell does not run kit's questions to the end",
            where=host.name,
            why=done.stderr.decode("utf-8", "replace").strip()[-400:] or f"status {done.status}",
            fix=f"a POSIX shell is needed there: ssh {host.name} sh -c 'echo fine'",
        )
    return parse_facts(host.name, spec.root, lines, heard[0] if heard else now())
