"""The verbs of kit's agent that belong to runs: verb -> `module:function`, imported when asked for."""

from __future__ import annotations

VERBS = {
    verb: f"kit.run.agent_entry:{verb}"
    for verb in ("survey", "write_run", "runs", "finish_run", "read_run", "probe", "ask")
}
