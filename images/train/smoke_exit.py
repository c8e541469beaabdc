"""Run while the train image for CPUs is built: Python ends well while Gloo's thread still holds its work.

Without `gloo_at_exit` it ends with SIGABRT, each time.
"""

from __future__ import annotations

import os
import sys
import time

import torch
from torch import distributed


def main() -> None:
    """End while a thread of Gloo waits for Python's lock, which this one does not give up on its own."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    group = distributed.group.WORLD  # held until the end, as DeepSpeed holds its own
    sys.setswitchinterval(60)
    distributed.all_gather_into_tensor(torch.empty(1 << 22), torch.ones(1 << 22), group, async_op=True)
    gathered = time.monotonic() + 0.5
    while time.monotonic() < gathered:
        pass


if __name__ == "__main__":
    main()
