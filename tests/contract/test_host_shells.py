"""What a host's sh may be: every shell must give the same facts and lists."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kit.bundle.manifest import Blob, Image, Layer
from kit.host.ciphers import aes_here
from kit.host.facts import Held
from kit.host.gather import gather_facts
from kit.host.local_machine import LocalMachine
from kit.host.port import Argv, Completed
from kit.project.model import HostSpec
from kit.ship.have import ask_have, ask_host


class ShellMachine(LocalMachine):
    """This machine, with another program in the place of sh."""

    def __init__(self, shell: Argv) -> None:
        super().__init__("here")
        self._shell = shell

    def stream(
        self, argv: Argv, chunks: Iterable[bytes] = (), on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        assert argv[0] == "sh"
        return super().stream((*self._shell, *argv[1:]), chunks, on_line)

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        del timeout
        return self.stream(argv, (stdin,))


FAKE_DOCKER = """#!/bin/sh
case "$*" in
*Server.Version*) echo 20.10.24 ;;
*DockerRootDir*) printf '%s\\n' / '[["Backing Filesystem","extfs"]]' '{"nvidia":{},"runc":{}}' ;;
"image ls"*kit.invalid*) echo 'kit:image kit.invalid/train:1f3a5c7e9b2d sha256:aa' ;;
"image ls"*) printf 'sha256:aa\\nsha256:bb\\n' ;;
"image inspect"*) echo 'kit:stored sha256:aa ["kit.invalid/train:1f3a5c7e9b2d"] ["sha256:l1"]' ;;
"ps --filter label=kit.run"*) echo 'kit:held kit-serve-node1-2c2f62 serve gpus=0,GPU-bb port=' ;;
"compose version"*) echo 2.26.1 ;;
*) exit 1 ;;
esac
"""
# Refuses everybody but root, whom the sudo below makes of its caller; both complain before they answer.
GUARDED_DOCKER = FAKE_DOCKER.replace(
    "case",
    """echo 'WARNING: config.json: permission denied' >&2
[ "$FAKE_ROOT" = 1 ] || { echo 'permission denied while trying to connect' >&2; exit 1; }
case""",
    1,
)
FAKE_SUDO = """#!/bin/sh
echo 'sudo: unable to resolve host node1' >&2
[ "$1" = -n ] && shift && FAKE_ROOT=1 exec "$@"
"""
STRICT_SUDO = """#!/bin/sh
echo 'sudo: a password is required' >&2
exit 1
"""
FAKE_SMI = """#!/bin/sh
echo '0, GPU-aa, NVIDIA L20, 46068, 550.54.15'
echo '1, GPU-bb, NVIDIA L20, 46068, 550.54.15'
"""


@pytest.fixture(params=[("dash",), ("busybox", "sh"), ("bash", "--posix")], ids=lambda shell: shell[0])
def shell(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShellMachine:
    if shutil.which(request.param[0]) is None:
        pytest.skip(f"no {request.param[0]} here")
    put_commands(tmp_path, docker=FAKE_DOCKER, **{"nvidia-smi": FAKE_SMI})
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return ShellMachine(request.param)


@pytest.mark.skipif(sys.platform != "linux", reason="hosts run Linux")
def test_every_shell_finds_the_same_facts(shell: ShellMachine, tmp_path: Path) -> None:
    facts = gather_facts(shell, HostSpec(address="local", root=f"{tmp_path}/not/yet"))
    assert (facts.engine_version, facts.engine_error) == ("20.10.24", "")
    assert (facts.compose, facts.compose_version) == (("docker", "compose"), "2.26.1")
    assert facts.nvidia_runtime
    assert not facts.containerd_store
    assert [gpu.uuid for gpu in facts.gpus] == ["GPU-aa", "GPU-bb"]
    assert facts.images == (("kit.invalid/train:1f3a5c7e9b2d", "sha256:aa"),)
    assert facts.held == (Held("kit-serve-node1-2c2f62", "serve", ("0", "GPU-bb")),)
    assert facts.root_writable
    assert facts.engine_free_bytes is not None
    assert facts.engine_on_root_disk == (tmp_path.stat().st_dev == Path("/").stat().st_dev)
    assert facts.shm_bytes > 0
    assert facts.aes == aes_here()


def put_commands(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


@pytest.mark.skipif(sys.platform != "linux", reason="hosts run Linux")
def test_every_shell_reaches_an_engine_by_sudo_when_there_is_no_other_way(
    shell: ShellMachine, tmp_path: Path
) -> None:
    put_commands(tmp_path, docker=GUARDED_DOCKER, sudo=FAKE_SUDO)
    facts = gather_facts(shell, HostSpec(address="local", root=str(tmp_path)))
    assert (facts.engine_version, facts.docker) == ("20.10.24", ("sudo", "-n", "docker"))
    assert facts.compose == ("sudo", "-n", "docker", "compose")
    assert facts.images == (("kit.invalid/train:1f3a5c7e9b2d", "sha256:aa"),)
    assert len(ask_have(shell, str(tmp_path)).images) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="hosts run Linux")
def test_a_sudo_that_wants_a_password_is_told(shell: ShellMachine, tmp_path: Path) -> None:
    put_commands(tmp_path, docker=GUARDED_DOCKER, sudo=STRICT_SUDO)
    facts = gather_facts(shell, HostSpec(address="local", root=str(tmp_path)))
    assert (facts.engine_version, facts.docker) == (None, ("docker",))
    assert "permission denied" in facts.engine_error
    assert facts.sudo_error == "sudo: a password is required"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One whole blob, one of which the middle came, one older one with an index."""
    root = tmp_path / "root"
    for folder in ("blobs/sha256", "partial", "frames"):
        (root / folder).mkdir(parents=True)
    (root / "blobs/sha256" / ("a" * 64)).write_bytes(b"123")
    (root / "blobs/sha256" / ("c" * 64)).write_bytes(b"old")
    (root / "frames" / ("c" * 64)).write_bytes(bytes(range(256)))
    (root / "frames" / ("d" * 64)).write_bytes(b"of a blob that is not here")
    (root / "frames" / "not one; reboot").write_bytes(b"")
    with (root / "partial" / ("b" * 64)).open("wb") as file:
        file.seek(1 << 20)
        file.write(bytes([1]) * 8192)
        file.truncate(4 << 20)
    (root / "partial" / "verified.jsonl").write_bytes(b"{}")
    return root


def image_of(tag: str, *layers: str) -> Image:
    """An image of which only the names of its layers matter."""
    name = tag.partition("/")[2].partition(":")[0]
    config = Blob(f"sha256:{tag.partition(':')[2]:0<64}", 1)
    return Image(name, config, config, tuple(Layer(f"sha256:{layer * 64}", 3, "", 3) for layer in layers))


@pytest.mark.skipif(sys.platform != "linux", reason="hosts run Linux")
def test_every_shell_lists_what_is_there(shell: ShellMachine, tmp_path: Path, root: Path) -> None:
    have = ask_have(shell, str(root))
    assert have.blobs == {"sha256:" + "a" * 64: 3, "sha256:" + "c" * 64: 3}
    assert have.partial == {"sha256:" + "b" * 64: 8192}
    assert [image.tags for image in have.images] == [("kit.invalid/train:1f3a5c7e9b2d",)]
    assert have.indexes == {}
    assert ask_have(shell, str(tmp_path / "nowhere")).blobs == {}


@pytest.mark.skipif(sys.platform != "linux", reason="hosts run Linux")
@pytest.mark.parametrize(
    ("image", "given"),
    [
        pytest.param(image_of("kit.invalid/train:2f3a5c7e9b2d", "a", "b"), {"c"}, id="a-layer-is-missing"),
        pytest.param(
            image_of("kit.invalid/train:2f3a5c7e9b2d", "c", "b"), set(), id="the-old-one-is-wanted-itself"
        ),
        pytest.param(image_of("kit.invalid/train:2f3a5c7e9b2d", "a"), set(), id="all-blobs-are-there"),
        pytest.param(image_of("kit.invalid/train:1f3a5c7e9b2d", "b"), set(), id="the-engine-has-it"),
    ],
)
def test_every_shell_gives_indexes_of_other_blobs_when_one_is_missing(
    shell: ShellMachine, root: Path, image: Image, given: set[str]
) -> None:
    facts, have = ask_host(shell, HostSpec(address="local", root=str(root)), (image,))
    assert facts.engine_version == "20.10.24"
    assert have.indexes == {f"sha256:{name * 64}": bytes(range(256)) for name in given}
    assert set(have.blobs) == {"sha256:" + "a" * 64, "sha256:" + "c" * 64}
