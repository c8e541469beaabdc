"""The verbs of kit's agent that belong to runs, with the real engine, for the registry of `kit agent`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from kit.run.agent_work import FED, WORK
from kit.run.engine_socket import EngineSocket

if TYPE_CHECKING:
    from kit.run.agent_work import Emit, Request, Result


def _work(verb: str, request: Request, stdin: BinaryIO, emit: Emit) -> Result:
    del stdin
    return WORK[verb](request, EngineSocket(), emit)


def _take(verb: str, request: Request, stdin: BinaryIO, emit: Emit) -> Result:
    del emit
    return FED[verb](request, stdin)


VERBS = {verb: partial(_work, verb) for verb in WORK} | {verb: partial(_take, verb) for verb in FED}
