"""What kit renders, held against both ages of compose: their schemas, and the programs in the lab."""

from __future__ import annotations

import io
import json
import random
import tarfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
import yaml

from kit.data_files import data_folder
from kit.jobs.make_launch import make_launch
from kit.project.job_model import Job
from kit.project.load import load_project, parse_project
from tests.unit.jobs.launch_factories import (
    RUN_ID,
    context_of,
    document,
    file_of,
    gpu_document,
    launch_of,
    undoubled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema import Draft7Validator

    from kit.jobs.launch import HostLaunch
    from tests.lab import Lab

# jsonschema takes seconds to be imported (a grammar of web addresses): one worker does it for all.
pytestmark = pytest.mark.xdist_group("schemas")

SCHEMAS = Path(__file__).with_name("compose_schemas")
BUNDLES = data_folder("bundles")
FILES = sorted([*BUNDLES.glob("*/kit.yaml"), BUNDLES / "kit.example.yaml"])
AWKWARD = "$HOME ${X:-y} \"q\" 'p' \\ {{ j }}\n第二行: # no"


@cache
def _validator(name: str) -> Draft7Validator:
    # It takes seconds, and every worker collects every file.
    from jsonschema import Draft7Validator

    return Draft7Validator(json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8")))


def _shares() -> Iterator[tuple[str, HostLaunch]]:
    for path in FILES:
        project = load_project(path).project
        context = context_of(project, interfaces=(("eth0", "10.0.0.9"),))
        for job in project.jobs:
            for share in make_launch(project, job, RUN_ID, context).hosts:
                yield f"{path.parent.name}/{job}/{share.host}", share
    ids = gpu_document({"env": {"WORDS": AWKWARD}}, gpus="0,3")
    for share in launch_of(ids).hosts:
        yield f"ids/{share.host}", share


@pytest.mark.parametrize("schema", ["compose-1.29.2", "compose-go-2.4.8"])
def test_every_compose_file_fits_the_schema(schema: str) -> None:
    seen = 0
    for name, share in _shares():
        compose = yaml.safe_load(file_of(share, "compose.yaml"))
        errors = [
            f"{name}: {error.json_path}: {error.message}" for error in _validator(schema).iter_errors(compose)
        ]
        assert errors == []
        seen += 1
    assert seen > 15


def test_every_kind_of_job_is_among_them() -> None:
    templates = {path.name.partition(".")[0] for path in data_folder("templates").glob("compose/*.yaml.j2")}
    kinds = {get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(Job)[0])}
    assert templates == kinds
    # The service of a compose file bears the name of its job's kind.
    assert {share.service for _, share in _shares()} == kinds


@pytest.mark.parametrize("schema", ["compose-1.29.2", "compose-go-2.4.8"])
def test_the_schemas_refuse_what_no_compose_takes(schema: str) -> None:
    compose = yaml.safe_load(file_of(launch_of(document()).hosts[0], "compose.yaml"))
    compose["services"]["train"]["restrat"] = "no"
    assert not _validator(schema).is_valid(compose)


# In the lab: the files of a launch, started by each compose on the engine of its age. The image is a
# shell that writes down what it was given.

KINDS = (("old", "20.10"), ("mid", "26.1"), ("new", "28.5"))
COMPOSE = {"old": ("docker-compose",), "mid": ("docker", "compose"), "new": ("docker", "compose")}
ROOT = "/aisys/kit-compose"
RECORDER = """#!/bin/sh
out=/kit/run/out
for word in "$0" "$@"; do printf '%s\\n' "$word"; done > $out/words
env -0 > $out/environment
id -u > $out/uid
cat /etc/hosts > $out/hosts
cat /proc/1/comm > $out/first
ls /sys/class/net > $out/interfaces
for folder in /kit/models/* /kit/data/* /kit/adapters/*; do
  [ -d "$folder" ] && touch "$folder/mark" 2> /dev/null && echo "$folder" >> $out/writable
done
exit 3
"""


def _image() -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, data in (
            ("bin/busybox", Path("/bin/busybox").read_bytes()),
            ("bin/llamafactory-cli", RECORDER.encode()),
            ("bin/python3", RECORDER.encode()),
        ):
            member = tarfile.TarInfo(name)
            member.mode, member.size = 0o755, len(data)
            tar.addfile(member, io.BytesIO(data))
        for name in ("sh", "env", "id", "cat", "ls", "touch"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return written.getvalue()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    from tests.lab import Lab, LabUnavailableError

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "composetest")
        patch.setenv("KIT_LAB_STATE", str(tmp_path_factory.mktemp("lab")))
        try:
            started = Lab.up(KINDS)
        except LabUnavailableError as error:
            pytest.skip(str(error))
        try:
            for host, _ in KINDS:
                for image in ("train", "serve"):
                    tag = f"kit.invalid/{image}:0123456789ab"
                    started.exec(host, ("docker", "import", "-", tag), stdin=_image())
            yield started
        finally:
            started.down(purge=True)


def _launched(lab: Lab, host: str, job: str) -> HostLaunch:
    """Write a launch of one host there, as the login user, with the folders that it mounts."""
    ids = {key: int(lab.exec(host, ("id", flag), user="ops")) for key, flag in (("uid", "-u"), ("gid", "-g"))}
    hosts = {host: {"address": lab.address(host), "user": "ops", "root": ROOT}}
    made = document({"env": {"WORDS": AWKWARD}, "hosts": [host]}, hosts=hosts)
    made["jobs"]["serve"]["hosts"] = [host]
    made["jobs"]["serve"]["args"] = {"chat_template": AWKWARD}
    project = parse_project(made)
    context = context_of(project, hostname=host, **ids)
    (share,) = make_launch(project, job, RUN_ID, context).hosts
    sources = [source.path for source in context.sources.values()]
    needed = [f"{share.run_folder}/{name}" for name in share.folders]
    needed += [f"{ROOT}/models/tiny", f"{ROOT}/datasets/questions"]
    needed += [path.replace("/aisys/kit/", f"{ROOT}/") for path in sources]
    lab.exec(host, ("mkdir", "-p", *needed), user="ops")
    lab.exec(host, ("sh", "-c", f"mkdir -p /aisys/kit && ln -sfn {ROOT}/runs /aisys/kit/runs"), user="ops")
    for file in share.files:
        path = f"{share.run_folder}/{file.path}"
        lab.exec(host, ("sh", "-c", 'cat > "$1"', "sh", path), user="ops", stdin=file.content.encode())
    return share


def _ran(lab: Lab, host: str, job: str) -> dict[str, str]:
    """Start a launch with the host's own compose and return what its container wrote down."""
    share = _launched(lab, host, job)
    compose = (*COMPOSE[host], "-f", f"{share.run_folder}/compose.yaml", "-p", share.compose_project)
    lab.exec(host, (*compose, "config", "--quiet"), user="ops")
    lab.exec(host, (*compose, "up", "-d"), user="ops")
    try:
        assert lab.exec(host, ("docker", "wait", share.compose_project), user="ops").strip() == "3"
        shown = lab.exec(host, ("docker", "inspect", share.compose_project), user="ops")
        out = f"{share.run_folder}/out"
        names = lab.exec(host, ("ls", out), user="ops").split()
        return {name: lab.exec(host, ("cat", f"{out}/{name}"), user="ops") for name in names} | {
            "inspect": shown
        }
    finally:
        lab.exec(host, (*compose, "down"), user="ops")


def _inspected(record: dict[str, str]) -> dict[str, Any]:
    (shown,) = json.loads(record["inspect"])
    return dict(shown)


@pytest.mark.lab
@pytest.mark.parametrize("host", [name for name, _ in KINDS])
def test_a_training_starts_as_rendered(lab: Lab, host: str) -> None:
    record = _ran(lab, host, "train")
    assert record["words"].split("\n")[:3] == ["/bin/llamafactory-cli", "train", "/kit/run/train.yaml"]
    environment = dict(item.split("=", 1) for item in record["environment"].rstrip("\0").split("\0"))
    assert environment["WORDS"] == AWKWARD
    assert environment["MASTER_ADDR"] == "127.0.0.1"
    assert record["uid"].strip() == lab.exec(host, ("id", "-u"), user="ops").strip()
    assert f"127.0.0.1\t{host}" in record["hosts"].replace(" ", "\t")
    assert record["interfaces"].split() == lab.exec(host, ("ls", "/sys/class/net")).split()
    assert "writable" not in record
    assert record["first"].strip() in {"docker-init", "tini"}
    settings = _inspected(record)["HostConfig"]
    assert settings["NetworkMode"] == settings["IpcMode"] == "host"
    assert settings["RestartPolicy"]["Name"] in {"", "no"}
    assert settings["LogConfig"]["Config"] == {"max-file": "4", "max-size": "50m"}
    assert _inspected(record)["Config"]["Labels"]["kit.job"] == "train"


@pytest.mark.lab
@pytest.mark.parametrize("host", [name for name, _ in KINDS])
def test_an_endpoint_starts_as_rendered(lab: Lab, host: str) -> None:
    record = _ran(lab, host, "serve")
    assert f"--chat-template={AWKWARD}" in record["words"]
    assert "--host=127.0.0.1" in record["words"].split("\n")
    assert _inspected(record)["HostConfig"]["ShmSize"] == 16 << 30


@pytest.mark.lab
@pytest.mark.parametrize("host", [name for name, _ in KINDS])
def test_a_merge_starts_as_rendered_and_sees_no_network(lab: Lab, host: str) -> None:
    record = _ran(lab, host, "merge")
    assert record["interfaces"].split() == ["lo"]
    assert "writable" not in record


PIECES: tuple[str, ...] = (
    "$",
    "$$",
    "${",
    "}",
    "$HOME",
    "${X:-y}",
    '"',
    "'",
    "\\",
    "\n",
    "\t",
    " ",
    "#",
    ": ",
    "- ",
    "{{ j }}",
    "%s",
)
PIECES += (
    "中文",
    "é",
    "😀",
    "&a",
    "*a",
    "!!str",
    "| ",
    "> ",
    "[",
    "]",
    "{",
    ",",
    "@",
    "`",
    "~",
    "null",
    "no",
    "1e3",
)
PIECES += (
    "0x1F",
    "08",
    "12:30:45",
    "2026-01-01",
    "=",
    "<<",
    "---",
    "...",
    "?",
    "\u00a0",
    "\u2028",
    "\ufeff",
    "\x7f",
    "a",
)


def _nasty(count: int) -> list[str]:
    """Return so many texts that some reader of YAML, shell or templates makes something else of."""
    chance = random.Random(7)
    made = ["".join(chance.choices(PIECES, k=chance.randrange(1, 9))) for _ in range(count)]
    return [*PIECES, *made]


def _config(lab: Lab, host: str, text: str) -> dict[str, Any]:
    """Return the service as that host's compose understands it."""
    path = "/tmp/nasty/compose.yaml"
    lab.put(host, path, text.encode())
    # Version 2 writes YAML that a reader of YAML 1.1 stumbles over: a bare `=`.
    form = () if host == "old" else ("--format", "json")
    said = lab.exec(host, (*COMPOSE[host], "-f", path, "-p", "kit-nasty", "config", *form))
    return dict((json.loads(said) if form else yaml.safe_load(said))["services"]["train"])


@pytest.mark.lab
@pytest.mark.parametrize("host", [name for name, _ in KINDS])
def test_hundreds_of_nasty_values_survive_each_age_of_compose(lab: Lab, host: str) -> None:
    env = {f"V{index}": text for index, text in enumerate(_nasty(400))}
    (share, _) = launch_of(document({"env": env})).hosts
    text = file_of(share, "compose.yaml")
    read = _config(lab, host, text)
    # What compose prints is a compose file again, in which `$$` stands for `$`.
    wrong = {key: read["environment"][key] for key in env if undoubled(read["environment"][key]) != env[key]}
    assert wrong == {}


@pytest.mark.lab
@pytest.mark.parametrize("host", [name for name, _ in KINDS])
def test_both_ages_read_a_request_for_gpus_alike(lab: Lab, host: str) -> None:
    (share, _) = launch_of(gpu_document({"env": {"WORDS": AWKWARD}}, gpus="0,3")).hosts
    path = "/tmp/gpus/compose.yaml"
    lab.put(host, path, file_of(share, "compose.yaml").encode())
    read = yaml.safe_load(lab.exec(host, (*COMPOSE[host], "-f", path, "-p", "kit-gpus", "config")))
    (device,) = read["services"]["train"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"], device["device_ids"]) == ("nvidia", ["gpu"], ["0", "3"])
