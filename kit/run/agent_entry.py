"""The verbs of `kit.run.agent_work` with the host's real engine, in the form that `kit agent` calls."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from kit.run.agent_work import WORK
from kit.run.engine_socket import EngineSocket

if TYPE_CHECKING:
    from kit.run.agent_work import Emit, Request, Result


def _work(verb: str, request: Request, stdin: BinaryIO, emit: Emit) -> Result:
    del stdin
    return WORK[verb](request, EngineSocket(), emit)


survey = partial(_work, "survey")
write_run = partial(_work, "write_run")
runs = partial(_work, "runs")
finish_run = partial(_work, "finish_run")
read_run = partial(_work, "read_run")
probe = partial(_work, "probe")
ask = partial(_work, "ask")
