"""Where shipping is measured: hosts of the lab, the online machine's engine, kit's own command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from kit.bundle.docker_engine import DockerEngine
from kit.bundle.folder_target import FolderTarget
from kit.bundle.manifest import Manifest
from kit.bundle.pack import pack_bundle
from kit.bundle.pack_request import LocalTree, PackRequest
from kit.bundle.source import open_bundle
from kit.progress import NoProgress
from tests.bench.awake import kept_awake
from tests.e2e.ship_stage import ROOT, build_kit_image, busybox_image, make_tree
from tests.lab import Lab, environment, online_engine
from tests.lab.host_shell import HostShell
from tests.lab.names import MACHINE_LINK
from tests.lab.state import lab_folders

CIPHER = "aes128-gcm@openssh.com"
"""What ssh and scp are told: the fastest that they have on processors with AES instructions."""
USER = "ops"
ELSEWHERE = "/aisys/by-hand"
"""Where the other ways put their files on a host."""
TINY = {"config.json": 40}
_EMPTY = f"""
rm -rf {ROOT} {ELSEWHERE}; install -d -o {USER} {ELSEWHERE}
docker ps -aq | xargs -r docker rm -f; docker images -aq | sort -u | xargs -r docker rmi -f
test -z "$(docker images -aq)" && sync
"""
_ENGINE = "/var/lib/docker /var/lib/containerd"
_ASIDE = f"""
for place in $PLACES; do
  aside=$(mktemp -d "$place/.aside.XXXXXX") || exit 1
  find "$place" -mindepth 1 -maxdepth 1 ! -name '.aside.*' -exec mv -t "$aside" {{}} +
done
install -d -o {USER} {ELSEWHERE}
"""
_KEEP_KIT = """
docker save -o /aisys/.aside.kit.tar $(docker images --format '{{.Repository}}:{{.Tag}}' kit.invalid/kit)
"""
_TAKE_KIT = "docker load -q -i /aisys/.aside.kit.tar"


class WayFailedError(RuntimeError):
    """One of the ways did not end well: there is nothing to compare."""


def said(line: str) -> None:
    """Tell how far the bench is."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Wire:
    """Bytes on a host's interface."""

    received: int
    sent: int

    @property
    def both(self) -> int:
        return self.received + self.sent

    def since(self, before: Wire) -> Wire:
        return Wire(self.received - before.received, self.sent - before.sent)


@dataclass
class Scene:
    """The lab and its hosts, the engine's address, and a folder for bundles and whatever else is written."""

    lab: Lab
    engine: str
    folder: Path
    kit_image: str
    shells: dict[str, HostShell]
    packed: dict[str, Path] = field(default_factory=dict)
    out_of_memory: set[Path] = field(default_factory=set)
    """Folders aside whose files the kernel was told to drop."""

    @property
    def environment(self) -> dict[str, str]:
        """What kit and docker are run with."""
        return environment(self.lab, self.engine)

    @property
    def ssh(self) -> str:
        """The options that ssh and scp are given."""
        return f"-F {self.lab.ssh_config} -c {CIPHER}"

    def run(self, *argv: str) -> float:
        """Run a command that must end well; return the seconds. Raises WayFailedError."""
        started = time.monotonic()
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        if done.returncode:
            words = " ".join((done.stdout + done.stderr).split())[-600:]
            raise WayFailedError(f"{' '.join(argv)[-120:]}: exit {done.returncode}: {words}")
        return seconds

    def bash(self, line: str) -> float:
        """Run a line of bash; return the seconds."""
        return self.run("bash", "-o", "pipefail", "-c", line)

    def kit(self, *words: str) -> float:
        """Run a kit command to its end; return the seconds, its start included."""
        return self.run(sys.executable, "-m", "kit", *words, "--json")

    def ship(self, bundle: Path, *hosts: str) -> float:
        """Ship a bundle to these hosts; return the seconds."""
        return self.kit("ship", "-f", str(self.definition(*hosts)), "-b", str(bundle))

    def definition(self, *hosts: str) -> Path:
        """Write a kit.yaml by which these hosts get all that the bundles here hold."""
        path = self.folder / "kit.yaml"
        path.write_text(yaml.safe_dump(definition_of(self.lab, hosts)), encoding="utf-8")
        return path

    def empty(self, *hosts: str) -> None:
        """Leave nothing on these hosts: kit's folder, the other ways' files, images. All is on the disk."""
        for host in hosts:
            self.shells[host].say(_EMPTY)

    def renew(self, host: str, *, with_kit: bool = False, with_blobs: bool = False) -> None:
        """Give a host an engine that never had an image, or kit's own alone; all is on the disk.

        kit's folder goes, too, unless it is `with_blobs`.

        Nothing is deleted: for minutes ext4 goes past the inodes of deleted files, one by one, for each file
        that it makes, and the next to unpack an image would pay for that. What was there lies aside, and is
        taken out of memory: once that is full, the kernel works for each page that the next one needs.
        """
        shell = self.shells[host]
        if with_kit:
            shell.say(_KEEP_KIT)
        shell.say("docker ps -aq | xargs -r docker rm -f")
        self.lab.engine_stop(host)
        places = _ENGINE if with_blobs else f"{_ENGINE} /aisys"
        shell.say(f"PLACES='{places}'{_ASIDE}")
        self.lab.engine_start(host)
        if with_kit:
            shell.say(_TAKE_KIT)
        shell.say("sync")
        for folder in set(lab_folders().host(host).glob("*/.aside.*/")) - self.out_of_memory:
            _take_out_of_memory(folder)
            self.out_of_memory.add(folder)

    def forget(self, bundle: Path, *hosts: str) -> None:
        """Take a bundle's models and datasets, and the other ways' files, away from these hosts."""
        blobs = {blob.digest[7:] for tree in self.manifest(bundle).trees for blob in tree.blobs}
        for host in hosts:
            shell = self.shells[host]
            shell.say(f"rm -rf {ELSEWHERE}; install -d -o {USER} {ELSEWHERE}")
            shell.say(f"cd {ROOT} && rm -rf models datasets partial/* receipts/*")
            shell.say(f"cd {ROOT}/blobs/sha256 && rm -f {' '.join(sorted(blobs))} && sync")

    def wire(self, host: str) -> Wire:
        """Return what has passed a host's interface so far."""
        place = "/sys/class/net/eth0/statistics"
        numbers = self.shells[host].say(f"cat {place}/rx_bytes {place}/tx_bytes").split()
        return Wire(*map(int, numbers))

    @staticmethod
    def uplink() -> int:
        """Return the bytes that this machine has sent into the intranet so far."""
        return int(Path(f"/sys/class/net/{MACHINE_LINK}/statistics/tx_bytes").read_text(encoding="ascii"))

    @staticmethod
    def manifest(bundle: Path) -> Manifest:
        """Return what a bundle holds."""
        return open_bundle(bundle).manifest

    def pack(self, name: str, sizes: Mapping[str, int], train: str = "", seed: int = 1) -> Path:
        """Pack kit's image, a train image (a tiny one unless named) and a model of noise; return where."""
        if name not in self.packed:
            image = train or busybox_image(self.engine, "kit-bench:tiny", b"")
            self.packed[name] = self._pack(name, image, dict(sizes), seed)
        return self.packed[name]

    def _pack(self, name: str, train: str, sizes: dict[str, int], seed: int) -> Path:
        said(f"packing {name}")
        made = self.folder / name
        trees = noise_trees(made, sizes, seed)
        images = (("kit", self.kit_image), ("train", train))
        request = PackRequest(name, "cpu", b"{}\n", "2026-05-01T12:30:00Z", images, trees)
        pack_bundle(request, DockerEngine(self.engine), FolderTarget(made / "bundle"), NoProgress())
        for place in ("model", "data"):
            shutil.rmtree(made / place)
        return made / "bundle"

    def drop(self, name: str) -> None:
        """Remove a packed bundle."""
        self.packed.pop(name, None)
        shutil.rmtree(self.folder / name, ignore_errors=True)


def _take_out_of_memory(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def noise_trees(folder: Path, sizes: dict[str, int], seed: int) -> tuple[LocalTree, LocalTree]:
    """Write a model of these files, and a small dataset, of bytes that do not compress."""
    model = make_tree("model", "tiny", folder / "model", sizes, seed)
    data = make_tree("dataset", "questions", folder / "data", {"questions.json": 100}, 1)
    return model, data


def definition_of(lab: Lab, hosts: tuple[str, ...]) -> dict[str, object]:
    """Return a kit.yaml by which these hosts get the train image, the model and the dataset."""
    places = {host: {"address": lab.address(host), "user": USER, "root": ROOT} for host in hosts}
    job = {"kind": "train", "model": "tiny", "datasets": ["questions"], "hosts": list(hosts)}
    return {
        "version": 1,
        "name": "bench",
        "stack": "cpu",
        "images": ["train"],
        "models": {"tiny": {"source": "folder", "path": "model"}},
        "datasets": {"questions": {"path": "data/questions.json"}},
        "hosts": places,
        "jobs": {"train": job},
    }


@contextmanager
def bench_scene(folder: Path, hosts: tuple[tuple[str, str], ...]) -> Iterator[Scene]:
    """Raise these (name, engine) hosts and the online engine; they and the folder go afterwards.

    Raises LabUnavailableError where this machine cannot hold a lab.
    """
    names = tuple(name for name, _ in hosts)
    lab = Lab.up(hosts)
    shells: dict[str, HostShell] = {}
    try:
        engine = os.environ["DOCKER_HOST"] = online_engine()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shells |= {name: HostShell(name) for name in names}
        yield Scene(lab, engine, folder, build_kit_image(engine), shells)
    finally:
        for shell in shells.values():
            shell.close()
        lab.down(*names, purge=True)
        if not lab.status():
            lab.down()  # its wires and the online engine, too: nobody else is there
        shutil.rmtree(folder, ignore_errors=True)


def await_settled() -> None:
    """Wait until ext4 takes no more notice of hosts that were deleted, by a bench before this one, say."""
    purged = lab_folders().purged
    left = purged.stat().st_mtime + PASSED_BY - time.time() if purged.exists() else 0
    if left > 0:
        said(f"waiting {left:.0f} s: hosts were deleted a moment ago")
        time.sleep(left)


def best_of(
    rounds: int, ways: Mapping[str, Callable[[], float]], before: Callable[[], None]
) -> dict[str, float]:
    """Go every way so often, in turn, with `before` ahead of each; return the shortest seconds of each."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            before()
            with kept_awake():
                taken[name].append(way())
            said(f"  {name}: {taken[name][-1]:.2f} s")
    return {name: min(seconds) for name, seconds in taken.items()}


PASSED_BY = 330.0
"""Seconds for which ext4 passes deleted inodes by, and some more (ialloc.c: RECENTCY_MIN, RECENTCY_DIRTY)."""
ROUNDS = int(os.environ.get("KIT_BENCH_ROUNDS", "2"))
