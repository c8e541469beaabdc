"""Whether the programs in a built cu126 image take what kit wrote for them: their own parsers are asked.

Nothing computes and no GPU is there. LLaMA-Factory checks its arguments as the one rank of a training; told
it is only that the GPU knows bfloat16.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.unit.jobs.launch_factories import service_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.jobs.launch import HostLaunch

_LLAMA_FACTORY = """\
import sys, yaml
import transformers.training_args as arguments
arguments.is_torch_bf16_gpu_available = lambda: True
from llamafactory.hparams import get_infer_args, get_train_args
asked = yaml.safe_load(open(sys.argv[1]))
parsed = {}
for part in (get_train_args if "output_dir" in asked else get_infer_args)(asked):
    parsed.update(vars(part))
print("PARSED", sum(name in parsed for name in asked), "of", len(asked))
"""
_VLLM = """\
import sys
from vllm.entrypoints.openai.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils import FlexibleArgumentParser
asked = sys.argv[1:]
parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(asked)
validate_parsed_serve_args(parsed)
print("PARSED", len(asked), "of", len(asked))
"""
# One rank as torchrun would start it; torchrun itself asks for names that nobody answers here.
_RANK = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 29501}
_ALONE = (
    *("--network=none", "--hostname=localhost", "--env=DS_ACCELERATOR=cpu", "--env=GLOO_SOCKET_IFNAME=lo"),
    *(f"--env={name}={value}" for name, value in _RANK.items()),
)
_FILES = ("train.yaml", "export.yaml", "api.yaml", "chat.yaml")
_PARSER = "parse_in_image.py"
_SERVER = "vllm.entrypoints.openai.api_server"


def parsed_inside(image: str, share: HostLaunch, environment: Mapping[str, str]) -> str:
    """Return what an image's program said of a host's share of a launch; "" when it reads nothing of kit's.

    `environment` names the engine. Raises AssertionError with what the program printed.
    """
    with tempfile.TemporaryDirectory(prefix="kit-jobs-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file in share.files:
            if "/" not in file.path:
                (folder / file.path).write_text(file.content, encoding="utf-8")
        words = _words(share, folder)
        if not words:
            return ""
        run = ("docker", "run", "--rm", *_ALONE, f"--volume={folder}:/kit/run", image, *words)
        done = _run(run, environment)
    said = [line for line in done.stdout.splitlines() if line.startswith("PARSED ")]
    assert done.returncode == 0, done.stdout[-3000:]
    assert said, done.stdout[-3000:]
    found, of = said[0].split()[1::2]
    assert found == of, said[0]
    return f"and by the program's own parser in the built image ({found} words)"


def _run(command: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        env=dict(environment),
        check=False,
    )


def _words(share: HostLaunch, folder: Path) -> tuple[str, ...]:
    """Return the command that parses; its program is written into the folder."""
    service = service_of(share)
    command = [*service.get("entrypoint", []), *service.get("command", [])]
    written = [file.path for file in share.files if file.path in _FILES]
    if _SERVER in command:
        (folder / _PARSER).write_text(_VLLM, encoding="utf-8")
        # Over several hosts a script of kit's comes first, which starts Ray.
        flags = command[command.index(_SERVER) + 1 :]
        return ("python", f"/kit/run/{_PARSER}", *(str(word) for word in flags))
    if written:
        asked = yaml.safe_load((folder / written[0]).read_text(encoding="utf-8"))
        assert asked, written
        (folder / _PARSER).write_text(_LLAMA_FACTORY, encoding="utf-8")
        return ("python", f"/kit/run/{_PARSER}", f"/kit/run/{written[0]}")
    return ()
