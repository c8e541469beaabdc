"""The verbs of kit's agent that belong to shipping, for the registry of `kit agent`."""

from __future__ import annotations

from kit.ship.agent.ship import ship

VERBS = {"ship": ship}
