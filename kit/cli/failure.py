"""The one place where a failure becomes words and an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from kit.cli.harmless import harmless
from kit.errors import KitError

INTERRUPTED = 130
BUG = 1
USAGE = 2


def error_document(error: KitError) -> dict[str, Any]:
    """Return a failure as JSON says it."""
    return {
        "what": error.what,
        "where": error.where,
        "why": error.why,
        "fix": error.fix,
        "exit_code": error.exit_code,
    }


def _trace(error: Exception) -> None:
    if os.environ.get("KIT_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)


def _say(document: dict[str, Any], text: str, *, as_json: bool) -> int:
    # A message may quote a bundle, a disc or a host that nobody has verified yet.
    if as_json:
        shown = json.dumps({"error": document}, ensure_ascii=False, indent=1)
        sys.stdout.write(harmless(shown) + "\n")
        sys.stdout.flush()
    sys.stderr.write(harmless(text) + "\n")
    return int(document["exit_code"])


def report_failure(error: KitError, *, as_json: bool) -> int:
    """Say what went wrong; return the exit code."""
    _trace(error)
    return _say(error_document(error), f"kit: {error}", as_json=as_json)


def report_usage(error: Any, *, as_json: bool) -> int:
    """Say how a command line is wrong; return the exit code. `error` is what the parser raised."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "kit"
    what = error.format_message()
    failure = KitError(what, where=command, fix=f"{command} --help")
    return _say(error_document(failure) | {"exit_code": USAGE}, str(failure), as_json=as_json)


def report_interrupt(interrupt: KeyboardInterrupt, *, as_json: bool) -> int:
    """Say how things stand after Ctrl-C; the use case put that into the exception."""
    state = str(interrupt) or "nothing half-made is in use; the same command goes on where it can"
    failure = KitError("interrupted", why=state)
    return _say(
        error_document(failure) | {"exit_code": INTERRUPTED}, f"kit: interrupted: {state}", as_json=as_json
    )


def report_bug(error: Exception, *, as_json: bool) -> int:
    """Own up to a bug; the traceback is shown with KIT_DEBUG=1."""
    _trace(error)
    failure = KitError(
        "a bug in kit",
        why=f"{type(error).__name__}: {error}",
        fix="run it again with KIT_DEBUG=1 and report what it prints",
    )
    return _say(error_document(failure) | {"exit_code": BUG}, f"kit: {failure}", as_json=as_json)
