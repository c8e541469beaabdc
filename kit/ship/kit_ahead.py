"""Bringing kit's own image to a host before there is a bundle to ship: the first that every host needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import kit
from kit.bundle.manifest import Manifest
from kit.ship.head_start import NOTHING_AHEAD
from kit.ship.kit_image import prepare_root, send_kit_image
from kit.ship.lanes.carrier import Heard
from kit.ship.lanes.lanes import destination
from kit.ship.shipment import plan_one
from kit.ship.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.bundle.manifest import Image
    from kit.bundle.source import VerifiedBlobs
    from kit.host.port import Host
    from kit.project.model import HostSpec


def bring_kit(
    image: Image, blobs: VerifiedBlobs, host: Host, spec: HostSpec, note: Callable[[str], None]
) -> bool:
    """Send and load kit's image where it is missing, as a ship would first of all; tell whether it was.

    Raises what `plan_one` and `send_kit_image` raise; a ship does it again.
    """
    planned = plan_one(_bundle_of(image), host, spec, Wanted())
    if not planned.plan.sends_kit:
        return False
    prepare_root(host, spec.root, planned.facts.user)
    to = destination(host, spec.root, planned.facts)
    heard = Heard(lambda _: None, lambda _: None, note)
    send_kit_image(to, planned.facts, blobs, image, heard, NOTHING_AHEAD)
    return True


def _bundle_of(image: Image) -> Manifest:
    """Return what a bundle of this image alone would hold; it is planned for, and never written."""
    return Manifest("kit", "", kit.__version__, "", "", (image,), ())
