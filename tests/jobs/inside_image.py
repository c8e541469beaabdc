"""Whether the programs in a built cu126 image take what kit wrote for them: their own parsers are asked.

Nothing computes and no GPU is there. What a parser made of each value is compared with what it was given.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.jobs.parsed_values import different, given_flags
from tests.unit.jobs.launch_factories import service_of, undoubled, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kit.jobs.launch import HostLaunch

PROGRAMS = Path(__file__).parent / "inside"
"""What asks, mounted into the container."""
TIMEOUT = 300
"""Seconds."""
# One rank as torchrun would start it; torchrun itself asks for names that nobody answers here.
_ALONE = {
    "DS_ACCELERATOR": "cpu",
    "GLOO_SOCKET_IFNAME": "lo",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29501",
}
_FILES = ("train.yaml", "api.yaml", "chat.yaml")
_SERVERS = {"vllm.entrypoints.openai.api_server": "ask_vllm.py", "sglang.launch_server": "ask_sglang.py"}
_BOARD = "board.py"
_ADDRESS = ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_SHARE")


@dataclass(frozen=True)
class Question:
    """What the program of an image is asked."""

    program: str
    """A file of PROGRAMS."""
    words: tuple[str, ...]
    given: Mapping[str, Any]
    """Name → value, which the answer must hold."""


def question_of(share: HostLaunch) -> Question | None:
    """Return what to ask for a host's share of a launch; None where Ray's worker waits to be told."""
    words = words_of(share)
    for server, program in _SERVERS.items():
        if server in words:
            # Over several hosts a script of kit's comes first, which starts Ray.
            flags = words[words.index(server) + 1 :]
            return Question(program, tuple(flags), given_flags(flags))
    files = {file.path: file.content for file in share.files}
    if _BOARD in files:
        environment = service_of(share)["environment"]
        said = {"status": 200, "closed": True}
        given = {**{name: environment[name] for name in _ADDRESS}, **said}
        return Question("ask_board.py", (f"/kit/run/{_BOARD}",), given)
    for path in _FILES:
        if path in files:
            return Question("ask_llamafactory.py", (f"/kit/run/{path}",), yaml.safe_load(files[path]))
    return None


def parsed_inside(image: str, shares: Sequence[HostLaunch], environment: Mapping[str, str]) -> str:
    """Return what an image's program said of the shares of a launch, for the table.

    `environment` names the engine. Shares that ask the same are asked once. Raises AssertionError with what
    the program printed, or with the values that it understood otherwise.
    """
    asked: list[Question] = []
    said = ""
    for share in shares:
        question = question_of(share)
        if question is None or question in asked:
            continue
        parsed = _answer(image, share, question, environment)
        wrong = different(question.given, parsed)
        assert not wrong, "; ".join(wrong)
        said = said or _told(question, parsed)
        asked.append(question)
    assert asked, "nothing of this launch is read by a program of the image"
    return said


def _told(question: Question, parsed: Mapping[str, Any]) -> str:
    if "components" in parsed:
        assert parsed["components"] > 0, parsed
        return f"and its page made and asked for in the built image ({parsed['components']} components)"
    return f"and by the program's own parser in the built image ({len(question.given)} values as given)"


def _answer(
    image: str, share: HostLaunch, question: Question, environment: Mapping[str, str]
) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory(prefix="kit-jobs-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        _write(share, folder)
        variables = {**_variables(share), **_ALONE}
        run = (
            *("docker", "run", "--rm", "--network=none", "--hostname=localhost"),
            *(f"--env={name}={value}" for name, value in variables.items()),
            *(f"--volume={folder}:/kit/run", f"--volume={PROGRAMS}:/kit/ask:ro", "--workdir=/kit/run"),
            *(image, "python", f"/kit/ask/{question.program}", *question.words),
        )
        printed = _run(run, environment)
    answers = [line for line in printed.splitlines() if line.startswith("PARSED ")]
    assert answers, printed[-3000:]
    answer: Mapping[str, Any] = json.loads(answers[-1].removeprefix("PARSED "))
    return answer


def _variables(share: HostLaunch) -> dict[str, str]:
    """Return the container's environment, as compose hands it to the engine."""
    return {name: undoubled(str(value)) for name, value in service_of(share)["environment"].items()}


def _write(share: HostLaunch, folder: Path) -> None:
    for path in share.folders:
        (folder / path).mkdir(parents=True, exist_ok=True)
    for file in share.files:
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_text(file.content, encoding="utf-8")


def _run(command: tuple[str, ...], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        env=dict(environment),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout
