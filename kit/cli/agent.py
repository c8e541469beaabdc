"""`kit agent VERB`: what kit's own image does on a host. In no help; spoken to over SSH by kit itself.

One JSON line on standard input is the request, bytes for the verb may follow. JSON lines come back:
`{"event": …}` while it works, then one `{"result": …}` or `{"error": …}`.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from kit.errors import ConfigError, KitError, TransferError
from kit.ship.patient_input import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Verb = Callable[[dict[str, Any], io.BufferedReader, Callable[[dict[str, Any]], None]], dict[str, Any]]

REQUEST_LIMIT = 256 << 20
"""Most bytes of a request."""


def find_verb(verb: str) -> Verb:
    """Return the function of a verb. Raises ConfigError."""
    for part in ("kit.ship.agent.verbs", "kit.run.agent_verbs"):
        found: Verb | None = importlib.import_module(part).VERBS.get(verb)
        if found is not None:
            return found
    raise ConfigError(
        f"no verb {verb!r}", where="kit agent", fix="use the version of kit that the bundle carries"
    )


def _request(stdin: io.BufferedReader) -> dict[str, Any]:
    line = stdin.readline(REQUEST_LIMIT)
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TransferError(
            "the request is not a JSON line", where="kit agent", why=repr(line[:80])
        ) from error
    if not isinstance(request, dict):
        raise TransferError("the request is not an object", where="kit agent")
    return request


def _as_error(failure: Exception) -> dict[str, Any]:
    if isinstance(failure, KitError):
        what, where, why, fix, code = failure.what, failure.where, failure.why, failure.fix, failure.exit_code
    else:
        what, where, fix, code = "a bug in kit's agent", "", "report it with what kit printed", 1
        why = f"{type(failure).__name__}: {failure}"
    return {"error": {"what": what, "where": where, "why": why, "fix": fix, "exit_code": code}}


def answer(verb: str, root: str, stdin: io.BufferedReader, stdout: BinaryIO) -> int:
    """Do one verb, speaking JSON lines; return the exit code."""
    lock = threading.Lock()

    def emit(document: dict[str, Any]) -> None:
        with lock:
            stdout.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")
            stdout.flush()

    try:
        emit({"result": find_verb(verb)(_request(stdin) | {"root": root}, stdin, emit)})
    except Exception as failure:  # noqa: BLE001 - the border: whatever it was, the other side must hear it
        document = _as_error(failure)
        emit(document)
        return int(document["error"]["exit_code"])
    return 0


def main(words: Sequence[str]) -> int:
    """Do one thing for a kit elsewhere; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="kit agent", description="Do one thing for a kit elsewhere (used by kit itself)."
    )
    parser.add_argument("verb", help="what to do")
    parser.add_argument("--root", required=True, help="kit's folder on this host")
    asked = parser.parse_args(words)
    # What it makes here is the login user's alone, folders on the way to a file too.
    os.umask(0o077)
    return answer(asked.verb, asked.root, patient(sys.stdin.fileno()), sys.stdout.buffer)
