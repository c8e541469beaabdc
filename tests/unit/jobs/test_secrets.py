from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.data_files import data_folder
from kit.errors import ConfigError
from kit.jobs.check_arguments import argument_errors
from kit.project.load import parse_project
from tests.factories import project_document
from tests.unit.jobs.launch_factories import document, file_of, gpu_document, launch_of, words_of

TLS = {"cert": "a.pem", "key": "a.key"}
STARTER = data_folder("templates") / "serve" / "with_key.py"


def _share(made: dict[str, Any], job: str = "serve") -> Any:
    (share,) = launch_of(made, job).hosts
    return share


def test_a_key_lies_in_a_file_of_its_owner_and_nowhere_else() -> None:
    share = _share(document({"api_key_file": "key"}, name="serve"))
    (secret,) = (file for file in share.files if file.content == "what stands in key")
    assert (secret.path, secret.mode, secret.is_secret) == ("secret/api-key", 0o600, True)
    assert words_of(share)[:3] == ["python3", "/kit/run/with_key.py", "vllm.entrypoints.openai.api_server"]
    assert "what stands in key" not in file_of(share, "compose.yaml")


def test_without_a_key_the_engine_is_started_as_ever() -> None:
    share = _share(document())
    assert words_of(share)[:2] == ["python3", "-m"]
    assert [file.path for file in share.files] == ["compose.yaml"]


def test_vllm_gets_certificate_and_key_from_files_of_their_owner() -> None:
    launch = launch_of(document({"tls": TLS}, name="serve"), "serve")
    assert launch.endpoint_tls
    share = launch.hosts[0]
    assert {"--ssl-certfile=/kit/run/secret/cert.pem", "--ssl-keyfile=/kit/run/secret/key.pem"} <= set(
        words_of(share)
    )
    assert {file.path: file.mode for file in share.files if file.is_secret} == {
        "secret/cert.pem": 0o600,
        "secret/key.pem": 0o600,
    }


def test_a_proxy_gets_both_in_one_file() -> None:
    made = project_document(images=["train", "serve", "proxy"])
    made["jobs"]["front"] = {"kind": "proxy", "to": ["serve"], "hosts": ["gpu1"], "tls": TLS}
    share = _share(made, "front")
    assert file_of(share, "secret/tls.pem") == "what stands in a.pem\nwhat stands in a.key\n"
    assert "bind 127.0.0.1:8080 ssl crt /kit/run/secret/tls.pem" in file_of(share, "haproxy.cfg")
    del made["jobs"]["front"]["tls"]
    assert "    bind 127.0.0.1:8080\n" in file_of(_share(made, "front"), "haproxy.cfg")


def test_what_speaks_no_tls_is_refused() -> None:
    with pytest.raises(ConfigError, match="this SGLang speaks no TLS"):
        launch_of(gpu_document({"engine": "sglang", "tls": TLS}, name="serve"), "serve")


@pytest.mark.parametrize(
    ("replica", "told"), [({"tls": TLS}, "move tls to jobs.front"), ({"api_key_file": "x"}, "different keys")]
)
def test_replicas_that_a_proxy_cannot_ask_are_refused(replica: dict[str, Any], told: str) -> None:
    made = project_document(images=["train", "serve", "proxy"])
    made["jobs"]["other"] = {**made["jobs"]["serve"], "port": 8001, **replica}
    made["jobs"]["front"] = {"kind": "proxy", "to": ["serve", "other"], "hosts": ["gpu1"]}
    with pytest.raises(ConfigError, match=told):
        parse_project(made)


def test_a_key_on_the_command_line_is_refused() -> None:
    (error,) = argument_errors(
        parse_project(document({"args": {"api-key": "s3cret"}}, name="serve")), "serve"
    )
    assert "`api_key_file`" in error.why
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("module", "variables", "words"),
    [
        ("vllm_stand_in", {"VLLM_API_KEY": "k3y"}, ["--port=1"]),
        ("llamafactory_stand_in", {"API_KEY": "k3y"}, ["--port=1"]),
        ("sglang_stand_in", {}, ["--port=1", "--api-key", "k3y"]),
    ],
)
def test_the_starter_hands_the_key_over_inside_the_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    variables: dict[str, str],
    words: list[str],
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "api-key").write_text("k3y\n")
    (tmp_path / "with_key.py").write_bytes(STARTER.read_bytes())
    (tmp_path / f"{module}.py").write_text(
        "import os, pathlib, sys\n"
        "keys = {name: os.environ[name] for name in ('API_KEY', 'VLLM_API_KEY') if os.environ[name]}\n"
        "told = repr((__name__, keys, sys.argv[1:]))\n"
        "pathlib.Path(__file__).with_name('told').write_text(told)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["with_key.py", module, "--port=1"])
    with monkeypatch.context() as patch:
        patch.setenv("VLLM_API_KEY", "")
        patch.setenv("API_KEY", "")
        runpy.run_path(str(tmp_path / "with_key.py"), run_name="__main__")
    assert (tmp_path / "told").read_text() == repr(("__main__", variables, words))
