"""A wire with a length: passes Ethernet frames between two taps, each frame a fixed time after it came.

Run by `shaping` in the switch's network namespace as `python3 delay_relay.py TAP TAP SECONDS`; the taps
vanish when it ends. netem would do the same, but not every kernel has it (CONFIG_NET_SCH_NETEM). Frames
carry a virtio header: a burst of TCP segments passes as one large frame, and the relay is no bottleneck.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys
import time
from collections import deque
from contextlib import suppress

TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
TAP_WITH_VIRTIO_HEADER = 0x0002 | 0x1000 | 0x4000
CHECKSUM_AND_SEGMENTATION = 0x01 | 0x02 | 0x04
LARGEST_FRAME = 1 << 17
FRAMES_AT_ONCE = 64


def open_tap(name: str) -> int:
    """Make a tap and return its file descriptor, non-blocking."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP_WITH_VIRTIO_HEADER))
    fcntl.ioctl(tap, TUNSETOFFLOAD, CHECKSUM_AND_SEGMENTATION)
    return tap


def take_frames(tap: int, due: float, waiting: deque[tuple[float, bytes]]) -> None:
    """Read what has come in and note when it shall go out."""
    with suppress(BlockingIOError):
        for _ in range(FRAMES_AT_ONCE):
            waiting.append((due, os.read(tap, LARGEST_FRAME)))


def give_frames(tap: int, now: float, waiting: deque[tuple[float, bytes]]) -> None:
    """Write every frame whose time has come; a full queue drops it, as a wire does."""
    while waiting and waiting[0][0] <= now:
        frame = waiting.popleft()[1]
        with suppress(OSError):
            os.write(tap, frame)


def relay(near: int, far: int, seconds: float) -> None:
    """Pass frames both ways until killed."""
    to_far: deque[tuple[float, bytes]] = deque()
    to_near: deque[tuple[float, bytes]] = deque()
    while True:
        first = min((queue[0][0] for queue in (to_far, to_near) if queue), default=None)
        pause = None if first is None else max(0.0, first - time.monotonic())
        readable = select.select((near, far), (), (), pause)[0]
        now = time.monotonic()
        for tap, waiting in ((near, to_far), (far, to_near)):
            if tap in readable:
                take_frames(tap, now + seconds, waiting)
        give_frames(far, now, to_far)
        give_frames(near, now, to_near)


if __name__ == "__main__":
    relay(open_tap(sys.argv[1]), open_tap(sys.argv[2]), float(sys.argv[3]))
