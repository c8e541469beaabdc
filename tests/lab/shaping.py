"""A host's link made slow: rate by tc's token bucket, loss by nft, delay by a relay, each way alike.

What is measured through such a link: TCP cubic on both ends (links.py pins it by route), a queue of 50
ms before the bottleneck. Where frames get lost or late they are cut to the MTU first (segmentation
offload off on the link); where only the rate is held they are not: cutting them, once for each host,
takes what two cores have.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.errors import LabError
from tests.lab.links import port_of, switch_words
from tests.lab.names import SWITCH, netns_of
from tests.lab.namespaces import NAMED, kill_process, processes_in
from tests.lab.shell import run, start_detached, try_run, wait_until
from tests.lab.state import write_file

if TYPE_CHECKING:
    from tests.lab.state import Folders, LabHost

RELAY = Path(__file__).with_name("delay_relay.py")
UNITS = {"kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
QUEUE = "50ms"
BURST_SECONDS = 0.002
SMALLEST_BURST = 3200
LARGEST_FRAME = 80_000
"""64 KiB, and a header for each part of it, as tc counts them; a smaller bucket would cut such frames."""
LOSS_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """What a slow link does; 0 leaves a thing as it is."""

    bits_per_second: int = 0
    delay: float = 0.0
    """Added to the round trip, in seconds; half of it each way."""
    loss: float = 0.0
    """Part of the frames that get lost, each way, 0 to 1."""

    @property
    def cuts_frames(self) -> bool:
        """Whether what passes are frames of the MTU, as what they are lost by is counted."""
        return bool(self.delay or self.loss)

    def __str__(self) -> str:
        rate = f"{self.bits_per_second / 1e6:g} Mbit/s" if self.bits_per_second else ""
        delay = f"+{self.delay * 1e3:g} ms" if self.delay else ""
        loss = f"{self.loss:.3%} lost" if self.loss else ""
        return ", ".join(word for word in (rate, delay, loss) if word)


def parse_shape(rate: str, delay: str, loss: str) -> Shape:
    """Read "1gbit", "88ms" and "0.1%"; empty means unchanged. Raises LabError."""
    found_rate = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]bit)", rate or "0kbit")
    found_delay = re.fullmatch(r"(\d+(?:\.\d+)?)ms", delay or "0ms")
    found_loss = re.fullmatch(r"(\d+(?:\.\d+)?)%", loss or "0%")
    if not (found_rate and found_delay and found_loss):
        said = f"{rate!r} {delay!r} {loss!r}"
        raise LabError(f"write a link as --rate 1gbit --delay 88ms --loss 0.1%, not {said}")
    bits = int(float(found_rate.group(1)) * UNITS[found_rate.group(2)])
    return Shape(bits, float(found_delay.group(1)) / 1e3, float(found_loss.group(1)) / 100)


def slow(folders: Folders, host: LabHost, shape: Shape) -> None:
    """Give a host's link this shape in place of the one it has."""
    full_speed(folders, host)
    for netns, device in _ends(host):
        inside = ("nsenter", f"--net={NAMED / netns}")
        if shape.cuts_frames:
            run(*inside, "ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off")
        if shape.bits_per_second:
            run(*inside, "tc", "qdisc", "add", "dev", device, "root", *_bucket(shape))
        if shape.loss:
            run(*inside, "nft", "-f", "-", stdin=_loss_rules(device, shape.loss).encode())
    if shape.delay:
        _lengthen(folders, host, shape.delay / 2)
    write_file(_note(folders, host), json.dumps(asdict(shape)))


def full_speed(folders: Folders, host: LabHost) -> None:
    """Undo `slow`, whatever part of it is there."""
    for pid in _relays(host):
        kill_process(pid)
    run(*switch_words(host))
    try_run("ip", "-n", SWITCH, "link", "delete", f"far{host.number}")
    for netns, device in _ends(host):
        inside = ("nsenter", f"--net={NAMED / netns}")
        try_run(*inside, "tc", "qdisc", "delete", "dev", device, "root")
        try_run(*inside, "nft", "delete", "table", "netdev", f"kitlab_{device}")
        run(*inside, "ethtool", "-K", device, "tso", "on", "gso", "on", "gro", "on")
    _note(folders, host).unlink(missing_ok=True)


def shape_of(folders: Folders, host: LabHost) -> Shape:
    """Return the shape that a host's link was given."""
    note = _note(folders, host)
    return Shape(**json.loads(note.read_text(encoding="utf-8"))) if note.exists() else Shape()


def _note(folders: Folders, host: LabHost) -> Path:
    return folders.host(host.name) / "link.json"


def _ends(host: LabHost) -> tuple[tuple[str, str], ...]:
    """Return both ends of a host's link: network namespace and interface."""
    return ((SWITCH, port_of(host)), (netns_of(host.name), "eth0"))


def _bucket(shape: Shape) -> tuple[str, ...]:
    bits = shape.bits_per_second
    burst = max(SMALLEST_BURST if shape.cuts_frames else LARGEST_FRAME, int(bits / 8 * BURST_SECONDS))
    return ("tbf", "rate", f"{bits}bit", "burst", f"{burst}b", "latency", QUEUE)


def _loss_rules(device: str, loss: float) -> str:
    lost = f"numgen random mod {LOSS_STEPS} < {int(loss * LOSS_STEPS)} drop"
    hook = f"type filter hook ingress device {device} priority 0; policy accept;"
    return f"table netdev kitlab_{device} {{ chain lossy {{ {hook} {lost}; }}; }}\n"


def _relays(host: LabHost) -> tuple[int, ...]:
    mark = f"neartap{host.number}".encode()
    found = []
    for pid in processes_in(SWITCH):
        with suppress(OSError):  # one that ends meanwhile is none
            if mark in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(pid)
    return tuple(found)


def _lengthen(folders: Folders, host: LabHost, seconds: float) -> None:
    """Put the relay between the switch and the host's port: switch - near tap - relay - far tap - port."""
    near, far, beyond = f"neartap{host.number}", f"fartap{host.number}", f"far{host.number}"
    log = folders.host(host.name) / "relay.log"
    argv = ("nsenter", f"--net={NAMED / SWITCH}", sys.executable, str(RELAY), near, far, str(seconds))
    with log.open("wb") as file:
        start_detached(argv, file)
    if not wait_until(lambda: try_run("ip", "-n", SWITCH, "link", "show", far), 5):
        raise LabError(f"the delay of {host.name} did not start: {log.read_text(encoding='utf-8')}")
    words = ("ip", "-n", SWITCH, "link")
    run(*words, "add", beyond, "type", "bridge", "forward_delay", "0")
    run(*words, "set", beyond, "up")
    for device, bridge in ((near, "switch"), (far, beyond), (port_of(host), beyond)):
        run(*words, "set", device, "master", bridge, "up")
        run(*words, "set", device, "txqueuelen", "10000")
