"""What engines say when a container does not start, and what mends it. Pure; only hints."""

from __future__ import annotations

import re

_KNOWN: tuple[tuple[str, str], ...] = (
    (
        r"error setting rlimit",
        (
            "the engine may not lift the limit on locked memory, which NCCL needs: start dockerd on {host} as"
            " real root, with LimitMEMLOCK=infinity in its service"
        ),
    ),
    (
        r"could not select device driver|unknown or invalid runtime name: nvidia|nvidia-container-cli",
        (
            "the NVIDIA container toolkit does not work on {host}: install it, run"
            " 'nvidia-ctk runtime configure --runtime=docker', restart docker; kit check"
        ),
    ),
    (
        r"port is already allocated|address already in use",
        "free that port on {host}, or set another in kit.yaml",
    ),
    (r"no space left on device", "free space on {host}: docker system df, df -h"),
    (
        r"permission denied.*docker\.sock",
        "let the user use docker on {host} (group docker), or name another user",
    ),
)


def hint_for(complaint: str, host: str) -> str:
    """Return what to do about a complaint of compose or the engine on `host`."""
    for pattern, fix in _KNOWN:
        if re.search(pattern, complaint, re.IGNORECASE | re.DOTALL):
            return fix.format(host=host)
    return f"mend that on {host} (kit check tells more), then run the same command again"
