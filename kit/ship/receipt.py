"""What a ship did on a host. Pure.

A copy stays there under ROOT/receipts and one beside kit.yaml under .kit/receipts, each as JSON and as a
line for people. Neither holds a secret.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kit.errors import KitError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """A host that holds what it needs out of a bundle."""

    host: str
    bundle: str
    """The bundle's digest."""
    sent_bytes: int
    """Bytes that the sender sent to it."""
    there_bytes: int
    """Bytes of wanted blobs that were there before."""
    images: tuple[tuple[str, str], ...]
    """(identity tag, image ID in this engine) of every wanted image."""
    loaded: tuple[str, ...]
    """Identity tags that were set by this ship."""
    trees: tuple[str, ...]
    """Folders of the models and datasets, under the host's root."""
    seconds: float
    files: int = 0
    """Files of models and datasets whose name, size, sha256 and mode were compared there."""
    file_bytes: int = 0
    """Bytes of these files."""
    rate: int = 0
    """Bytes a second while blobs were sent; 0 when they were too few to tell."""
    relayed_bytes: int = 0
    """Bytes that other hosts gave it."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON can say it."""
        return asdict(self)


def error_words(error: KitError) -> dict[str, str]:
    """Return an error as a receipt tells it."""
    return {"what": error.what, "where": error.where, "why": error.why, "fix": error.fix}


def receipt_line(document: Mapping[str, Any]) -> str:
    """Return a receipt in one line, without a line feed; what a host said cannot start another."""
    subject = f"{document['name']} {str(document['bundle'])[:19]}"
    place = f" on {document['host']}" if document.get("host") else ""
    if document["outcome"] == "done":
        size = f"{document['file_bytes'] / 1e6:.1f} MB"
        told = (
            f"done in {document['seconds']:.1f} s; {len(document['images'])} images, "
            f"{document['files']} files ({size}) compared with the bundle; {len(document['loaded'])} loaded"
        )
    else:
        error = document["error"]
        reached = f" after {document['reached']}" if document.get("reached") else ""
        told = f"FAILED{reached}: {': '.join(filter(None, (error['where'], error['what'], error['why'])))}"
    line = f"{document['at']} {subject}{place}, by {document['who']}: {told}"
    return "".join(letter if letter.isprintable() else " " for letter in line)
