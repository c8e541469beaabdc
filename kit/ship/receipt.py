"""What a ship did on a host; a copy stays there under ROOT/receipts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Receipt:
    """A host that holds what it needs out of a bundle."""

    host: str
    bundle: str
    """The bundle's digest."""
    sent_bytes: int
    """Bytes that crossed the network for it."""
    there_bytes: int
    """Bytes of wanted blobs that were there before."""
    images: tuple[tuple[str, str], ...]
    """(identity tag, image ID in this engine) of every wanted image."""
    loaded: tuple[str, ...]
    """Identity tags that were set by this ship."""
    trees: tuple[str, ...]
    """Folders of the models and datasets, under the host's root."""
    seconds: float
    rate: int = 0
    """Bytes a second while blobs were sent; 0 when they were too few to tell."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON can say it."""
        return asdict(self)
