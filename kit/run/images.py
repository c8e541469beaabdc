"""Is the image that a launch needs on the host, and is it the one of the manifest? Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import UnfitError, VerificationError
from kit.ship.engine.identity import expected_ids

if TYPE_CHECKING:
    from kit.bundle.manifest import Image
    from kit.host.facts import HostFacts


def check_image(image: Image, facts: HostFacts) -> None:
    """Hold an image against what the engine has; an ID is a digest of config and diffIDs.

    Raises UnfitError when it is not there, VerificationError when it is another one.
    """
    tag, fix = image.identity_tag, f"kit ship --host {facts.host}"
    found = dict(facts.images).get(tag)
    if found is None:
        raise UnfitError(f"the image {image.name} ({tag}) is missing", where=facts.host, fix=fix)
    if found not in expected_ids(image):
        raise VerificationError(
            f"{tag} is not the image that was packed",
            where=facts.host,
            why=f"the engine has {found} under that name",
            fix=f"docker rmi {tag} there, then {fix}",
        )
