"""A host whose docker or whose shell lies: kit refuses it by name, in bounds, and nothing happens here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.lies import AGENTS, LISTS, require_harmless, ship
from tests.e2e.ship_stage import ROOT, Stage, standing_stage
from tests.lab import environment

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
HOST = "old"
PLACE = "/usr/local/bin/docker"
SHELLS = {
    # Each takes the place of the login's shell.
    "endless": ("yes kit:uid", (4, 6)),
    "endless-zeros": ("cat /dev/zero", (4, 6)),
    "escapes": (r"printf 'kit:user \033]0;owned\007\nkit:uid $(reboot)\nkit:end 1\n'", (4,)),
    "nothing": ("exit 0", (4,)),
}


@pytest.fixture(scope="module")
def stage(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("liars")
    with standing_stage(docker_host, folder, "liartest", ((HOST, "20.10"),), disk="2G") as made:
        yield made


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


@pytest.mark.usefixtures("honest_again")
@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_that_lies_is_refused(stage: Stage, bundle: Path, tmp_path: Path, name: str) -> None:
    script, code = AGENTS[name]
    lying_docker(stage, "run*", script)
    ended = ship(stage.definition(HOST), bundle, tmp_path, environment(stage.lab))
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
    ended = ship(stage.definition(HOST), bundle, tmp_path, environment(stage.lab))
    require_harmless(ended, tmp_path)
    assert ended.status in codes, ended.out


@pytest.mark.usefixtures("honest_again")
@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_that_lies_is_refused(stage: Stage, bundle: Path, tmp_path: Path, name: str) -> None:
    script, codes = SHELLS[name]
    put(stage, "/usr/local/bin/liar", script)
    stage.sh(HOST, "usermod -s /usr/local/bin/liar ops", user="root")
    ended = ship(stage.definition(HOST), bundle, tmp_path, environment(stage.lab))
    require_harmless(ended, tmp_path)
    assert ended.status in codes, ended.out


def test_a_host_that_is_honest_again_gets_its_bundle(stage: Stage, bundle: Path, tmp_path: Path) -> None:
    stage.sh(HOST, f"rm -rf {ROOT}/blobs", user="root")
    assert ship(stage.definition(HOST), bundle, tmp_path, environment(stage.lab)).status == 0
