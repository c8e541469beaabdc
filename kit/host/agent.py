"""Asking kit's own image on a host to do something: JSON in, JSON lines out, over the SSH session."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from kit.errors import (
    ConfigError,
    EngineError,
    JobError,
    KitError,
    TransferError,
    UnfitError,
    UnreachableError,
    VerificationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kit.host.facts import HostFacts
    from kit.host.port import Argv, Completed, Host

    Event = dict[str, Any]

SOCKET = "/var/run/docker.sock"
ANSWER_LIMIT = 256 << 20
"""Most bytes that one answer may have in all."""
_TEXT_LIMIT = 4000
_ENGINE_REFUSED = 125
"""Status of `docker run` when the container was not even made."""

_KINDS: dict[int, type[KitError]] = {
    kind.exit_code: kind
    for kind in (
        ConfigError,
        VerificationError,
        UnreachableError,
        UnfitError,
        TransferError,
        EngineError,
        JobError,
    )
}


def container_argv(facts: HostFacts, image_tag: str) -> Argv:
    """Return the words that run kit's image on a host as the login user; the command follows them.

    The container sees kit's folder under its own path, the engine's socket and the host's network.
    """
    group = () if facts.docker_gid is None else ("--group-add", str(facts.docker_gid))
    return (
        *(*facts.docker, "run", "--rm", "-i", "--pull", "never", "--network", "host", "--log-driver", "none"),
        *("--user", f"{facts.uid}:{facts.gid}", *group),
        *("-v", f"{facts.root}:{facts.root}", "-v", f"{SOCKET}:{SOCKET}"),
        image_tag,
    )


def agent_argv(facts: HostFacts, image_tag: str, verb: str) -> Argv:
    """Return the command that runs a verb of kit's agent on a host."""
    return (*container_argv(facts, image_tag), "agent", verb, "--root", facts.root)


def error_document(error: KitError) -> dict[str, Any]:
    """Return an error as the agent sends it."""
    return {
        "what": error.what,
        "where": error.where,
        "why": error.why,
        "fix": error.fix,
        "exit_code": error.exit_code,
    }


def error_from(document: Any, host: str) -> KitError:
    """Return the error that an agent sent, with the host's name before its place."""
    if not isinstance(document, dict):
        return TransferError("kit's agent failed without saying how", where=host)
    words = {key: str(document.get(key) or "")[:_TEXT_LIMIT] for key in ("what", "where", "why", "fix")}
    code = document.get("exit_code")
    kind = _KINDS.get(code, KitError) if type(code) is int else TransferError
    where = f"{host}: {words['where']}" if words["where"] else host
    return kind(words["what"] or "kit's agent failed", where=where, why=words["why"], fix=words["fix"])


class _Answer:
    """What the agent says, line by line."""

    def __init__(
        self, host: str, on_event: Callable[[Event], None] | None, on_last: Callable[[], None] | None
    ) -> None:
        self._host = host
        self._on_event = on_event
        self._on_last = on_last
        self._size = 0
        self.result: dict[str, Any] | None = None
        self.error: KitError | None = None

    def __call__(self, line: bytes) -> None:
        self._size += len(line)
        document = self._parse(line)
        if isinstance(document.get("result"), dict):
            self.result = document["result"]
            self.ended()
        elif "error" in document:
            self.error = error_from(document["error"], self._host)
            self.ended()
        elif self._on_event is not None and "event" in document:
            self._on_event(document)

    def ended(self) -> None:
        """Tell that nothing more will be read; whoever feeds the agent need not wait any longer."""
        if self._on_last is not None:
            self._on_last()

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or self._size > ANSWER_LIMIT:
            raise TransferError(
                "what answers is not kit's agent",
                where=self._host,
                why=f"it said {line[:80]!r}",
                fix="kit ship sends kit's image again when the one there differs",
            )
        return document


def _silent(host: str, image_tag: str, done: Completed) -> KitError:
    why = done.stderr.decode("utf-8", "replace").strip()[-_TEXT_LIMIT:] or f"status {done.status}"
    if "No such image" in why or "Unable to find image" in why:
        return UnfitError("kit's image is missing", where=host, why=f"no {image_tag} there", fix="kit ship")
    if done.status == _ENGINE_REFUSED or "docker" in why.lower():
        return EngineError(
            "the engine did not run kit's image",
            where=host,
            why=why,
            fix=f"kit check tells more about {host}",
        )
    return TransferError(
        "kit's agent ended without an answer", where=host, why=why, fix="run the same command again"
    )


def call_agent(  # noqa: PLR0913, PLR0917 - the four that name the call, and four that feed and hear it
    host: Host,
    facts: HostFacts,
    image_tag: str,
    verb: str,
    request: dict[str, Any],
    chunks: Iterable[bytes] = (),
    on_event: Callable[[Event], None] | None = None,
    on_last: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Run a verb of kit's agent on a host and return its result.

    `chunks` follow the request on its standard input; `on_event` hears `{"event": …}` lines, and
    `on_last` that nothing more will be read, from another thread. Raises the KitError that the agent
    sent, EngineError when its container did not start, UnfitError when the host lacks the image,
    TransferError for an answer that is none, UnreachableError when the connection is lost.
    """
    answer = _Answer(host.name, on_event, on_last)
    first = json.dumps(request, separators=(",", ":")).encode() + b"\n"
    done = host.stream(agent_argv(facts, image_tag, verb), itertools.chain((first,), chunks), answer)
    if answer.error is not None:
        raise answer.error
    if answer.result is None:
        raise _silent(host.name, image_tag, done)
    return answer.result
