"""load.sh, run by a real shell beside an engine that only notes what it is told."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kit.ship import starter_script
from kit.ship.starter_script import SCRIPT_NAME, Starter

TAG = "kit.invalid/kit:0123456789ab"
IDS = ("sha256:" + "a" * 64, "sha256:" + "b" * 64)
NOBODY = 65534
ARCHIVE = b"an archive of kit's image"
DOCKER = """\
#!/bin/sh
case $1 in
version)
  if [ "$DOWN" ]; then echo "Cannot connect to the Docker daemon"; exit 1; fi
  echo 20.10.24 ;;
image) cat "$NOTES/image" 2>/dev/null ;;
load) cat >"$NOTES/loaded"; echo "$LOADS" >"$NOTES/image" ;;
run) printf '%s\\n' "$@" >"$NOTES/run"; pwd >"$NOTES/pwd"; echo "${AS_ROOT:-user}" >"$NOTES/as" ;;
esac
"""


@dataclass
class Stand:
    """A medium, a host's folders and commands."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def medium(self) -> Path:
        return self.folder / "my disk"

    @property
    def root(self) -> Path:
        return self.folder / "srv" / "kit"

    def note(self, name: str) -> str:
        path = self.folder / "notes" / name
        return path.read_text() if path.exists() else ""

    @property
    def ran(self) -> list[str]:
        """The words of docker run."""
        return self.note("run").splitlines()

    @property
    def kit(self) -> list[str]:
        """The words that kit gets."""
        return self.ran[self.ran.index(TAG) + 1 :]

    def load(
        self, *words: str, cwd: Path | None = None, user: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        argv = ("sh", str(self.medium / SCRIPT_NAME), *words)
        return subprocess.run(
            argv, cwd=cwd or "/", env=self.env, user=user, capture_output=True, text=True, check=False
        )


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    return make_stand(tmp_path, monkeypatch)


def make_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    made = Stand(tmp_path)
    for folder in ("commands", "notes", "my disk"):
        (tmp_path / folder).mkdir()
    scripts = {"docker": DOCKER, "sudo": '#!/bin/sh\nAS_ROOT=root exec "$@"\n'}
    for name, script in scripts.items():
        (tmp_path / "commands" / name).write_text(script)
        (tmp_path / "commands" / name).chmod(0o755)
    made.env = {
        "PATH": f"{tmp_path}/commands:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "NOTES": str(tmp_path / "notes"),
        "LOADS": IDS[1],
    }
    engine = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)
    engine.bind("docker.sock")
    monkeypatch.setattr(starter_script, "SOCKET", str(tmp_path / "docker.sock"))
    sha256 = hashlib.sha256(ARCHIVE).hexdigest()
    starter = Starter("crossing.tar", "kit-0123.tgz", sha256, TAG, IDS, str(made.root), "1.0")
    (made.medium / SCRIPT_NAME).write_bytes(starter_script.starter_script(starter))
    (made.medium / "kit-0123.tgz").write_bytes(ARCHIVE)
    (made.medium / "crossing.tar").write_bytes(b"a bundle")
    return made


def test_a_fresh_host_gets_the_image_and_then_kit_load_runs_in_it(stand: Stand) -> None:
    done = stand.load()
    assert done.returncode == 0, done.stderr
    assert stand.note("loaded").encode() == ARCHIVE
    assert stand.kit == ["load", f"{stand.medium}/crossing.tar", "--root", str(stand.root)]
    assert f"{stand.medium}:{stand.medium}:ro" in stand.ran
    assert f"{stand.root}:{stand.root}" in stand.ran
    assert stand.ran[stand.ran.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
    assert stand.note("pwd").strip() == str(stand.root)
    assert stand.root.stat().st_mode & 0o777 == 0o700


def test_an_image_that_is_there_is_not_loaded_again(stand: Stand) -> None:
    (stand.folder / "notes/image").write_text(IDS[0])
    (stand.medium / "kit-0123.tgz").unlink()
    assert stand.load().returncode == 0
    assert not stand.note("loaded")
    assert stand.kit[0] == "load"


def test_another_image_under_that_name_is_no_kit(stand: Stand) -> None:
    stand.env["LOADS"] = "sha256:" + "c" * 64
    done = stand.load()
    assert (done.returncode, "another image" in done.stderr) == (3, True)
    assert not stand.ran


@pytest.mark.parametrize("data", [b"", ARCHIVE[:-1], ARCHIVE.replace(b"kit", b"cat")])
def test_a_damaged_archive_never_reaches_the_engine(stand: Stand, data: bytes) -> None:
    (stand.medium / "kit-0123.tgz").write_bytes(data)
    done = stand.load()
    assert (done.returncode, "kit-0123.tgz is damaged" in done.stderr) == (3, True)
    assert not stand.note("loaded")
    assert not stand.root.exists()


def test_a_missing_archive_is_named(stand: Stand) -> None:
    (stand.medium / "kit-0123.tgz").unlink()
    done = stand.load()
    assert (done.returncode, "kit-0123.tgz is missing" in done.stderr) == (3, True)


def test_words_of_kit_load_and_another_root_are_passed_on(stand: Stand, tmp_path: Path) -> None:
    elsewhere = tmp_path / "it's" / "a folder"
    elsewhere.mkdir(parents=True)
    other = tmp_path / "other root"
    words = ("--dry-run", "--root", str(other), "--host", "gpu1", "-f", "kit.yaml", "b.tar", "--json")
    done = stand.load(*words, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    kept = ["--dry-run", "--host", "gpu1", "-f", f"{elsewhere}/kit.yaml", "--json"]
    assert stand.kit == ["load", f"{elsewhere}/b.tar", "--root", str(other), *kept]
    assert f"{elsewhere}:{elsewhere}:ro" in stand.ran
    assert f"{stand.medium}:{stand.medium}:ro" not in stand.ran


def test_a_bundle_in_a_folder_that_the_image_needs_is_seen_in_the_hosts_root(stand: Stand) -> None:
    assert stand.load("/usr/crossing.tar").returncode == 0
    assert stand.kit[1] == "/host/usr/crossing.tar"
    assert not [word for word in stand.ran if word.startswith("/usr:")]


def test_sudo_is_used_when_the_socket_is_not_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody may enter pytest's own folders.
    with tempfile.TemporaryDirectory() as name:
        stand = make_stand(Path(name), monkeypatch)
        for path in (stand.folder, *stand.folder.rglob("*")):
            path.chmod(0o777)
        (stand.folder / "docker.sock").chmod(0o444)
        stand.root.mkdir(parents=True)
        stand.root.chmod(0o777)
        done = stand.load(user=NOBODY if os.getuid() == 0 else os.getuid())
        assert done.returncode == 0, done.stderr
        assert stand.note("as").strip() == "root"
        monkeypatch.chdir("/")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"DOWN": "1"}, "sudo systemctl start docker"),
        ({"DOWN": "1"}, "sudo usermod -aG docker"),
        ({"PATH": "few"}, "install Docker"),
    ],
)
def test_a_host_without_an_engine_is_told_what_mends_it(
    stand: Stand, change: dict[str, str], says: str
) -> None:
    place = stand.folder / "few"
    place.mkdir()
    for name in ("sh", "dirname", "id"):
        (place / name).symlink_to(shutil.which(name) or "")
    if "PATH" in change:
        script = stand.medium / SCRIPT_NAME
        script.write_text(script.read_text().replace("export LC_ALL=C PATH=", "export LC_ALL=C IGNORED="))
        change = {"PATH": str(place)}
    stand.env |= change
    done = stand.load()
    assert (done.returncode, says in done.stderr) == (5, True), done.stderr


def test_no_socket_is_no_engine(stand: Stand) -> None:
    (stand.folder / "docker.sock").unlink()
    done = stand.load()
    assert (done.returncode, "docker.sock" in done.stderr) == (5, True)


def test_a_folder_that_cannot_be_made_is_refused_with_the_command(stand: Stand) -> None:
    (stand.folder / "srv").write_text("in the way")
    done = stand.load()
    assert done.returncode == 5
    assert "sudo install -d -m 700 -o " in done.stderr
    assert not stand.ran


@pytest.mark.parametrize("words", [("--root",), ("--root", "kit"), ("--root=",)])
def test_wrong_words_are_refused_with_the_usage(stand: Stand, words: tuple[str, ...]) -> None:
    done = stand.load(*words)
    assert (done.returncode, "usage: sh load.sh" in done.stderr) == (2, True)


def test_help_names_the_bundle_and_does_nothing(stand: Stand) -> None:
    done = stand.load("--help")
    assert (done.returncode, "crossing.tar beside this script" in done.stdout) == (0, True)
    assert not stand.note("loaded")
