"""Making the client of a hub, and checking that what was pinned is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.errors import ConfigError, VerificationError
from kit.hub.listing import check_listing, check_names
from kit.hub.patience import persist
from kit.hub.plain_words import check_mirror
from kit.hub.port import Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.hub.fetch_file import Fetch
    from kit.hub.port import HubClient, HubFile, HubListing
    from kit.hub.requests_download import Tempo


def make_hub(origin: str, endpoint: str | None, tempo: Tempo | None = None) -> HubClient:
    """Return the client of `modelscope` or `huggingface`. Raises ConfigError for another."""
    check_mirror(endpoint)
    endpoint = endpoint.rstrip("/") if endpoint else None
    if origin == "modelscope":
        from kit.hub.modelscope_hub_client import ModelScopeHub
        from kit.hub.requests_download import Downloads

        return ModelScopeHub(endpoint, Downloads(tempo))
    if origin == "huggingface":
        from kit.hub.huggingface_hub_client import HuggingFaceHub
        from kit.hub.requests_download import Downloads

        return HuggingFaceHub(endpoint, Downloads(tempo))
    raise ConfigError(f"no hub named {origin!r}", where="source", fix="modelscope, huggingface or folder")


def list_place(fetch: Fetch) -> HubListing:
    """Return what the hub lists at `fetch.place`, checked.

    Raises ConfigError, UnreachableError, VerificationError.
    """
    place = fetch.place
    check_names(place)
    listing = persist(lambda: fetch.hub.list_files(place.repo, place.revision), fetch.patience, fetch.tell)
    check_listing(listing, str(place))
    check_names(Place(place.origin, place.repo, listing.revision))
    return listing


def check_unmoved(fetch: Fetch, files: Iterable[HubFile]) -> None:
    """Raise VerificationError when a branch or tag does not hold the pinned files any more.

    Asked before the first byte of what may be many gigabytes. Raises also what `list_place` does.
    """
    listed = {file.path: file for file in list_place(fetch).files}
    moved = [file.path for file in files if not _is_same(file, listed.get(file.path))]
    if moved:
        shown = moved[0] if len(moved) == 1 else f"{moved[0]} and {len(moved) - 1} more"
        raise VerificationError(
            f"{fetch.place.revision} moved since it was locked",
            where=str(fetch.place),
            why=f"another {shown}",
            fix="accept what is there now with: kit lock",
        )


def _is_same(pinned: HubFile, listed: HubFile | None) -> bool:
    if listed is None or listed.size != pinned.size:
        return False
    return listed.digest in (None, pinned.digest)
