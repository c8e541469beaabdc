"""What a host that lies may say, and what must not come of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MOST_MB = 700
"""Memory that kit may take, whatever a host says."""
MOST_SAID = 100_000
"""Characters."""
MOST_SECONDS = 150.0
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
F = "f" * 64

AGENTS = {
    # Each takes the place of `docker run`; what it must not do is to be obeyed.
    "endless-events": ("""yes '{"event":"phase","phase":"load"}'""", 6),
    "endless-line": ("tr '\\0' a </dev/zero", 6),
    "endless-errors": ("timeout 5 yes complaint >&2", 6),
    "deep": ("head -c 1000000 /dev/zero | tr '\\0' '['; echo; sleep 1", 6),
    "not-offered": (f"""echo '{{"event":"need","round":0,"blobs":{{"sha256:{F}":[[0,1]]}}}}'; sleep 5""", 6),
    "path": ("""echo '{"event":"need","round":0,"blobs":{"../../etc/passwd":[[0,1]]}}'; sleep 5""", 6),
    "escapes": (r"""printf '{"error":{"what":"\\u001b]0;owned\\u0007\\u202e","exit_code":6}}\n'""", 6),
    "raw-escapes": (r"printf '\033]0;owned\007\033[2J\n'", 6),
    "other-receipt": (
        (
            """echo '{"result":{"bundle":"$(touch /tmp/kit-owned)","images":[],"loaded":[],"trees":[],'"""
            """'"files":0,"file_bytes":0}}'"""
        ),
        3,
    ),
    "silence": ("exit 0", 6),
}
LISTS = {
    # Each follows what `docker image inspect` truly says.
    "endless-images": ("""yes 'kit:stored sha256:1 ["a"] ["b"]'""", (6,)),
    "endless-blobs": (f"yes 'kit:blob 1 8 512 ./{F}'", (0, 6)),
    "metacharacters": (
        """echo 'kit:stored $(touch${IFS}/tmp/kit-owned) ["`reboot`","../.."] ["; rm -rf /"]'""",
        (0,),
    ),
    "numbers": (f"echo 'kit:blob 999999999999999999 8 512 ./{F}'; echo 'kit:uid -1'", (0,)),
}


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str
    seconds: float
    megabytes: float


def ship(definition: Path, bundle: Path, folder: Path, env: Mapping[str, str]) -> Ended:
    """Run `kit ship` as a user at home in `folder`."""
    argv = (sys.executable, "-m", "kit", "ship", "--json", "-f", str(definition), "-b", str(bundle))
    home = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        started = time.monotonic()
        process = subprocess.Popen(argv, stdout=out, stderr=err, env={**env, **home}, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    out_text, err_text = (_said(folder / name) for name in ("out", "err"))
    return Ended(os.waitstatus_to_exitcode(status), out_text, err_text, seconds, usage.ru_maxrss / 1024)


def _said(path: Path) -> str:
    # No more of it than it should be: a child's memory counts from its parent's on.
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(2 * MOST_SAID)


def require_harmless(ended: Ended, folder: Path) -> None:
    assert not CONTROL.search(ended.out + ended.err), ended.err[-2000:]
    assert len(ended.out + ended.err) < MOST_SAID
    assert ended.megabytes < MOST_MB
    assert ended.seconds < MOST_SECONDS
    assert not Path("/tmp/kit-owned").exists()
    kept = {str(path.relative_to(folder)).split("/")[0] for path in folder.rglob("*")}
    assert kept <= {"out", "err", "state"}
    assert "Traceback" not in ended.err
