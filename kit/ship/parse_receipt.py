"""What a host says that it holds at the end of a ship, held against what it was to hold. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.errors import TransferError, VerificationError
from kit.ship.engine.identity import expected_ids

if TYPE_CHECKING:
    from kit.ship.plan import HostPlan


def check_receipt(result: dict[str, Any], plan: HostPlan, bundle: str) -> None:
    """Return when a host's words are those of a receipt for all that was planned.

    Raises TransferError when they are none, VerificationError when something is missing or another.
    """
    try:
        said = str(result["bundle"])
        images = {str(tag): str(found) for tag, found in result["images"]}
        loaded, trees = set(map(str, result["loaded"])), set(map(str, result["trees"]))
        files, size = result["files"], result["file_bytes"]
    except (KeyError, TypeError, ValueError) as error:
        raise TransferError("the receipt is none", where=plan.host, why=str(error)[:200]) from error
    wrong = [
        image.identity_tag
        for image in plan.images
        if images.get(image.identity_tag) not in expected_ids(image)
    ]
    if said != bundle:
        raise _other(plan, f"it is for the bundle {said[:80]}")
    if wrong or len(images) != len(plan.images) or not loaded <= images.keys():
        raise _other(plan, f"its images are not those of the bundle: {', '.join(wrong)}")
    if trees != {f"{tree.kind}s/{tree.name}" for tree in plan.trees}:
        raise _other(plan, "its models and datasets are not those of the bundle")
    wanted = [file.size for tree in plan.trees for file in tree.files]
    if type(files) is not int or type(size) is not int or (files, size) != (len(wanted), sum(wanted)):
        raise _other(plan, f"{files!r:.40} files of {size!r:.40} bytes were compared, not {len(wanted)}")


def _other(plan: HostPlan, why: str) -> VerificationError:
    return VerificationError(
        "the receipt is not for what was shipped", where=plan.host, why=why, fix="run kit ship again"
    )
