"""A lab host to which shipments go that are struck: what it holds before, and whether all is right after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from kit.ship.engine.identity import expected_ids
from tests.bench.kill_noise import Version, digest_of
from tests.bench.kill_sight import Whole, look
from tests.bench.ship_scene import definition_of
from tests.e2e.ship_stage import ROOT
from tests.lab import Lab
from tests.lab.host_shell import HostShell

_NO_CONTAINERS = "docker ps -aq | xargs -r docker rm -f >/dev/null"
_NO_IMAGES = "docker images -aq | sort -u | xargs -r docker rmi -f >/dev/null"
_NO_OTHERS = """
docker images --format '{{.Repository}}:{{.Tag}}' | grep -v '^kit.invalid/kit:' | grep -v '<none>' |
  xargs -r docker rmi -f >/dev/null
docker images -q --filter dangling=true | xargs -r docker rmi -f >/dev/null
"""
_SUMS = """
sums() {
  while read -r wanted name; do
    found=$(openssl dgst -sha256 -r "./$name" 2>&1)
    [ "${found%% *}" = "$wanted" ] || { echo "$name: $found"; wrong=1; }
  done
  return ${wrong:-0}
}
"""
"""Compares sha256 sums as `sha256sum -c` does, with the processor's own instructions."""


@dataclass
class KillHost:
    """A host, and the bundle that it holds."""

    lab: Lab
    name: str
    engine: str
    shell: HostShell
    folder: Path
    has_disk: bool = False
    """One of its own, which can be filled."""
    has_kit: bool = False
    """Its engine has kit's image."""
    holds: Version | None = None

    @property
    def definition(self) -> Path:
        """A kit.yaml for this host alone."""
        path = self.folder / f"{self.name}.yaml"
        if not path.exists():
            path.write_text(yaml.safe_dump(definition_of(self.lab, (self.name,))), encoding="utf-8")
        return path

    def received(self) -> int:
        """Return the bytes that its interface has taken in."""
        return int(self.shell.say("cat /sys/class/net/eth0/statistics/rx_bytes"))

    def make_bare(self, *, keep_kit: bool) -> None:
        """Leave nothing of kit there, but its own image when that is to stay."""
        images = _NO_OTHERS if keep_kit else _NO_IMAGES
        self.shell.say(f"{_NO_CONTAINERS}\n{images}\nrm -rf {ROOT}; sync")
        self.holds = None
        self.has_kit = keep_kit and self.has_kit

    def took(self, version: Version) -> None:
        """Note that a version was shipped to it."""
        self.holds = version
        self.has_kit = True

    def keep_only(self, version: Version, other: Version) -> None:
        """Leave one version there and nothing of the other."""
        kept = {blob.digest[7:] for blob in version.manifest.blobs}
        gone = [blob.digest[7:] for blob in other.manifest.blobs if blob.digest[7:] not in kept]
        tags = {image.identity_tag for image in other.manifest.images}
        tags -= {image.identity_tag for image in version.manifest.images}
        self.shell.say(_NO_CONTAINERS)
        self.shell.ask(f"docker rmi -f {' '.join(tags)}")
        self.shell.say(f"cd {ROOT} && rm -rf partial/*; cd blobs/sha256 && rm -f {' '.join(gone)}; sync")

    def wrongs(self, version: Version) -> list[str]:
        """Return what of a version is not there, or not right, to the last byte."""
        found = look(self.shell, Whole.of(version.manifest))
        manifest = version.manifest
        sums = "".join(
            f"{file.digest[7:]}  {tree.kind}s/{tree.name}/{file.path}\n"
            for tree in manifest.trees
            for file in tree.files
        )
        sums += f"{digest_of(version.bundle / 'kit.json')}  bundles/current.json\n"
        found += self._failed(f"{_SUMS}cd {ROOT} && sums <<'EOF'\n{sums}EOF")
        for image in manifest.images:
            seen = self.shell.ask(f"docker image inspect -f '{{{{.Id}}}}' {image.identity_tag}")
            if seen.text not in expected_ids(image):
                found.append(f"{image.identity_tag}: {seen.text}")
        return found + self._image_wrongs(version)

    def _image_wrongs(self, version: Version) -> list[str]:
        train = version.manifest.image("train")
        assert train is not None
        run = f"docker run -d --pull never --network none {train.identity_tag} /bin/busybox sleep 600"
        inside = "cd /proc/$(docker inspect -f '{{.State.Pid}}' $container)/root"
        script = f"container=$({run}) && {inside} && sums <<'EOF'\n{version.sums}EOF\n"
        return self._failed(f"{_SUMS}{script}status=$?; docker rm -f $container >/dev/null; (exit $status)")

    def _failed(self, script: str) -> list[str]:
        answer = self.shell.ask(script)
        return [answer.text[-300:]] if answer.status else []
