"""A host whose docker or whose shell lies: kit refuses it by name, in bounds, and nothing happens here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.ship_stage import ROOT, Stage, build_kit_image
from tests.lab import Lab, LabUnavailableError, environment

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
HOST = "old"
MOST_MB = 700
"""Memory that kit may take, whatever a host says."""
MOST_SAID = 100_000
"""Characters."""
MOST_SECONDS = 150.0
PLACE = "/usr/local/bin/docker"
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
        """echo '{"result":{"bundle":"$(touch /tmp/kit-owned)","images":[],"loaded":[],"trees":[]}}'""",
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
SHELLS = {
    # Each takes the place of the login's shell.
    "endless": ("yes kit:uid", (4, 6)),
    "endless-zeros": ("cat /dev/zero", (4, 6)),
    "escapes": (r"printf 'kit:user \033]0;owned\007\nkit:uid $(reboot)\nkit:end 1\n'", (4,)),
    "nothing": ("exit 0", (4,)),
}


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str
    seconds: float
    megabytes: float


@pytest.fixture(scope="module")
def stage(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("liars")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "liartest")
        patch.setenv("KIT_LAB_STATE", str(folder / "lab"))
        try:
            lab = Lab.up(((HOST, "20.10"),), disk="2G")
        except LabUnavailableError as error:
            pytest.skip(str(error))
        try:
            made = Stage(lab, docker_host, build_kit_image(docker_host), folder)
            yield made
            made.remove_images()
        finally:
            lab.down(purge=True)


@pytest.fixture(scope="module")
def bundle(stage: Stage) -> Path:
    """A bundle of which the host has kit's image, so that its agent is asked at once."""
    made = stage.pack("honest")
    assert stage.ship(stage.definition(HOST), made).status == 0
    return stage.pack("next", seed=5)


def put(stage: Stage, path: str, script: str) -> None:
    stage.sh(HOST, f"cat >{path} <<'LIAR'\n#!/bin/sh\n{script}\nLIAR\nchmod 755 {path}", user="root")


def lying_docker(stage: Stage, words: str, script: str) -> None:
    """Have the host's docker lie when it is asked these words."""
    put(stage, PLACE, f'case "$*" in {words}) {script} ;; *) exec /usr/bin/docker "$@" ;; esac')


@pytest.fixture
def honest_again(stage: Stage) -> Iterator[None]:
    yield
    stage.sh(HOST, f"rm -f {PLACE}; usermod -s /bin/sh ops 2>/dev/null || chsh -s /bin/sh ops", user="root")


def ship(stage: Stage, bundle: Path, folder: Path) -> Ended:
    """Run `kit ship` as a user at home in `folder`."""
    argv = (
        sys.executable,
        "-m",
        "kit",
        "ship",
        "--json",
        "-f",
        str(stage.definition(HOST)),
        "-b",
        str(bundle),
    )
    env = environment(stage.lab) | {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        started = time.monotonic()
        process = subprocess.Popen(argv, stdout=out, stderr=err, env=env, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
    texts = []
    for name in ("out", "err"):
        # No more of it than it should be: a child's memory counts from its parent's on.
        with (folder / name).open(encoding="utf-8", errors="replace") as file:
            texts.append(file.read(2 * MOST_SAID))
    return Ended(
        os.waitstatus_to_exitcode(status), *texts, time.monotonic() - started, usage.ru_maxrss / 1024
    )


def require_harmless(ended: Ended, folder: Path) -> None:
    assert not CONTROL.search(ended.out + ended.err), ended.err[-2000:]
    assert len(ended.out + ended.err) < MOST_SAID
    assert ended.megabytes < MOST_MB
    assert ended.seconds < MOST_SECONDS
    assert not Path("/tmp/kit-owned").exists()
    kept = {str(path.relative_to(folder)).split("/")[0] for path in folder.rglob("*")}
    assert kept <= {"out", "err", "state"}
    assert "Traceback" not in ended.err


@pytest.mark.usefixtures("honest_again")
@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_that_lies_is_refused(stage: Stage, bundle: Path, tmp_path: Path, name: str) -> None:
    script, code = AGENTS[name]
    lying_docker(stage, "run*", script)
    ended = ship(stage, bundle, tmp_path)
    require_harmless(ended, tmp_path)
    error = json.loads(ended.out)["error"]
    assert ended.status == error["exit_code"] == code, error
    assert HOST in error["where"]


@pytest.mark.usefixtures("honest_again")
@pytest.mark.parametrize("name", LISTS)
def test_lists_that_lie_do_nothing(stage: Stage, bundle: Path, tmp_path: Path, name: str) -> None:
    script, codes = LISTS[name]
    honest = '/usr/bin/docker "$@" </dev/null'
    lying_docker(stage, "'image inspect --format kit:stored'*' sha256:'*", f"{honest}; {script}")
    ended = ship(stage, bundle, tmp_path)
    require_harmless(ended, tmp_path)
    assert ended.status in codes, ended.out


@pytest.mark.usefixtures("honest_again")
@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_that_lies_is_refused(stage: Stage, bundle: Path, tmp_path: Path, name: str) -> None:
    script, codes = SHELLS[name]
    put(stage, "/usr/local/bin/liar", script)
    stage.sh(HOST, "usermod -s /usr/local/bin/liar ops", user="root")
    ended = ship(stage, bundle, tmp_path)
    require_harmless(ended, tmp_path)
    assert ended.status in codes, ended.out


def test_a_host_that_is_honest_again_gets_its_bundle(stage: Stage, bundle: Path, tmp_path: Path) -> None:
    stage.sh(HOST, f"rm -rf {ROOT}/blobs", user="root")
    assert ship(stage, bundle, tmp_path).status == 0
