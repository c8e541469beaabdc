"""What is fed to `docker`, and breaks off: it must not pass for the whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.errors import TransferError
from kit.images.docker_engine import DockerCommand

DOCKER = """#!/bin/sh
cat > "$(dirname "$0")/came" && touch "$(dirname "$0")/whole" && echo sha256:made
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_root_that_breaks_off_becomes_no_image(folder: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"the beginning"
        raise TransferError("no more")

    with pytest.raises(TransferError, match="no more"):
        DockerCommand().import_root(broken(), "a:b", ())
    assert not (folder / "whole").exists()


def test_a_whole_root_becomes_one(folder: Path) -> None:
    assert DockerCommand().import_root(iter((b"all", b" of it")), "a:b", ()) == "sha256:made"
    assert (folder / "came").read_bytes() == b"all of it"
