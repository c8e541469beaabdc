"""GPUs for hosts of the lab, as far as Docker and kit can tell.

The driver's answers are a file. Which GPUs a container is given is decided where it really is: the
engine, asked for devices, runs `nvidia-container-runtime-hook` before the container's first process,
with the devices in the container's OCI configuration (moby, daemon/nvidia_linux.go). This hook writes
that configuration down, and refuses GPUs that the host does not have, as the real one does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.lab import Lab

DRIVER = "550.90.07"
CARDS_FILE = "/etc/lab-gpus"
RECORD = "/var/lib/gpus-given"
QUESTION = "--query-gpu=index,uuid,name,memory.total,driver_version --format=csv,noheader,nounits"

SMI = f"""#!/bin/sh
[ "$*" = "{QUESTION}" ] || {{ echo "this stand-in only knows: {QUESTION}" >&2; exit 2; }}
cat {CARDS_FILE}
"""

HOOK = f"""#!/bin/sh
set -eu
[ "$*" = prestart ] || exit 0
config=$(sed 's/.*"bundle": *"\\([^"]*\\)".*/\\1/')/config.json
{{ tr -d '\\n' <"$config"; echo; }} >>{RECORD}
cards=$(grep -o '"NVIDIA_VISIBLE_DEVICES=[^"]*"' "$config" | tail -n 1 | tr -d '"' | cut -d = -f 2 | tr , ' ')
for card in $cards; do
  grep -q -e "^$card, " -e ", $card, " {CARDS_FILE} && continue
  echo "device error: $card: unknown device" >&2
  exit 1
done
"""

RUNTIME = "/usr/local/bin/runc-within-limits"
RUNC = """#!/bin/sh
# Jobs ask for unlimited locked memory. Where this machine's root may not give that (no CAP_SYS_RESOURCE,
# as in many sandboxes), the container gets what there is; everywhere else this is runc.
previous=
for word; do
  [ "$previous" = --bundle ] && config=$word/config.json
  previous=$word
done
if [ -n "${config-}" ] && ! (ulimit -l unlimited) 2>/dev/null; then
  most=$(($(ulimit -H -l) * 1024))
  lowered='{"type":"RLIMIT_MEMLOCK","hard":'$most',"soft":'$most'}'
  sed -i 's/{"type":"RLIMIT_MEMLOCK",[^}]*}/'"$lowered"'/' "$config"
fi
exec runc "$@"
"""


@dataclass(frozen=True)
class Given:
    """A container's start with GPUs."""

    run_folder: str
    """Empty for a container that kit did not start."""
    cards: str
    """Ids as the engine hands them to NVIDIA's runtime."""
    environment: dict[str, str]


def card_uuids(host: str, count: int = 8) -> list[str]:
    """Return the UUIDs of a host's cards, in the order of their index."""
    mark = host.encode().hex()[-8:]
    return [f"GPU-{mark}-0000-4000-8000-{index:012x}" for index in range(count)]


def fit_gpus(lab: Lab, host: str, name: str, megabytes: int, count: int = 8) -> None:
    """Give a host so many cards and NVIDIA's runtime, and start its engine again."""
    cards = (
        f"{index}, {uuid}, {name}, {megabytes}, {DRIVER}\n"
        for index, uuid in enumerate(card_uuids(host, count))
    )
    lab.put(host, CARDS_FILE, "".join(cards).encode())
    lab.put(host, "/usr/bin/nvidia-smi", SMI.encode(), "0755")
    # The engine looks for it on its PATH, once, when it starts.
    lab.put(host, "/usr/bin/nvidia-container-runtime-hook", HOOK.encode(), "0755")
    lab.put(host, RECORD, b"", "0666")
    lab.put(host, RUNTIME, RUNC.encode(), "0755")
    runtimes = {"nvidia": {"path": RUNTIME}, "within-limits": {"path": RUNTIME}}
    lab.engine_set(host, {"runtimes": runtimes, "default-runtime": "within-limits"})


def given_gpus(lab: Lab, host: str) -> list[Given]:
    """Return every start with GPUs on a host, oldest first."""
    return [_given(json.loads(line)) for line in lab.exec(host, ("cat", RECORD)).splitlines()]


def _given(config: dict[str, Any]) -> Given:
    words = [word.partition("=") for word in config["process"]["env"]]
    folders = [mount["source"] for mount in config["mounts"] if mount["destination"] == "/kit/run"]
    environment = {name: value for name, _, value in words}
    return Given(folders[0] if folders else "", environment["NVIDIA_VISIBLE_DEVICES"], environment)
