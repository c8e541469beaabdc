"""What the lab's things in the kernel are called: two labs (a user's, a test's) can be up at once."""

from __future__ import annotations

import os

LAB = os.environ.get("KIT_LAB_NAME") or "kitlab"
"""Start of every name; short, since a network interface's name has 15 characters at most."""
SWITCH = LAB
"""Network namespace of the switch."""
MACHINE_LINK = f"{LAB}0"
"""The machine's own interface on the intranet; its address ends in .1."""
CONTROL_GROUP = LAB
"""Containers of every host are in control groups below this one."""


def netns_of(name: str) -> str:
    """Return the name of a host's network namespace."""
    return f"{LAB}-{name}"
