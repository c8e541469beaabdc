"""Fetching one file from a hub: whole, verified, going on where an earlier attempt stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kit.errors import TransferError, VerificationError
from kit.hub.growing_file import GrowingFile
from kit.hub.patience import Patience, persist
from kit.hub.port import Passing

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.bundle.manifest import Blob
    from kit.hub.hub_cache import HubCache
    from kit.hub.port import Delivery, HubClient, HubFile, Place

_TRIES = 2
"""Times that a file may come with wrong bytes."""


class _WrongSizeError(Exception):
    """The server's file is another one; no use in fetching all of it."""


def _ignore(_: int) -> None:
    return


@dataclass(frozen=True, slots=True)
class Fetch:
    """Everything that fetching the files of one repository needs."""

    hub: HubClient
    place: Place
    cache: HubCache
    tell: Callable[[str], None]
    """Hears a line for people."""
    advance: Callable[[int], None] = _ignore
    """Hears of bytes that came; of fewer than none when some are thrown away."""
    patience: Patience = field(default_factory=Patience)


def fetch_file(fetch: Fetch, file: HubFile) -> Blob:
    """Return digest and size of a file that is in the cache whole, downloading what is missing.

    Whatever the hub says, size and checksums are made here from the bytes that were written.
    Wrong bytes are removed and fetched once more. Raises VerificationError naming hub, file,
    expected and got; UnreachableError, TransferError, ConfigError, UnfitError.
    """
    found = fetch.cache.find(file)
    if found is None:
        return _fetch_locked(fetch, file)
    fetch.advance(file.size)
    return found


def _fetch_locked(fetch: Fetch, file: HubFile) -> Blob:
    partial = fetch.cache.partial(fetch.place, file)
    with fetch.cache.growing(partial, _once(fetch, file)) as descriptor:
        found = fetch.cache.find(file)
        if found is not None:
            partial.unlink(missing_ok=True)
            fetch.advance(file.size)
            return found
        growing = GrowingFile(descriptor, partial, file)
        try:
            _download(fetch, file, growing)
        except VerificationError:
            partial.unlink(missing_ok=True)
            raise
        growing.flush()
        fetch.cache.keep(partial, growing.blob, file.git_sha1)
        return growing.blob


def _once(fetch: Fetch, file: HubFile) -> Callable[[], None]:
    """Return what tells, the first time it is called, that another kit fetches the file."""
    told: list[bool] = []

    def waiting() -> None:
        fetch.patience.sleep(0)
        if not told:
            told.append(True)
            fetch.tell(f"{fetch.place}: {file.path}: another kit fetches it; waiting")

    return waiting


def _download(fetch: Fetch, file: HubFile, growing: GrowingFile) -> None:
    if file.digest is None and file.git_sha1 is None:
        # Nothing could tell whether old and new bytes belong together.
        growing.start_over()
    else:
        fetch.advance(growing.take_up())
    wrong = ""
    for _ in range(_TRIES):
        wrong = _attempt(fetch, file, growing)
        if not wrong:
            return
        fetch.tell(f"{fetch.place}: {file.path}: wrong bytes ({wrong})")
        _start_over(fetch, growing)
    raise VerificationError(
        f"{file.path} comes with other bytes than were pinned",
        where=str(fetch.place),
        why=f"{wrong}; fetched twice",
        fix="kit lock, when the repository was changed on purpose; otherwise another mirror",
    )


def _attempt(fetch: Fetch, file: HubFile, growing: GrowingFile) -> str:
    """Fill the file up; return what is wrong with it then."""

    def go_on() -> None:
        if growing.size < file.size:
            with fetch.hub.open(fetch.place, file.path, growing.size) as delivery:
                _take(fetch, file, growing, delivery)

    try:
        persist(go_on, fetch.patience, fetch.tell, lambda: growing.size)
    except _WrongSizeError as error:
        return str(error)
    return growing.difference()


def _take(fetch: Fetch, file: HubFile, growing: GrowingFile, delivery: Delivery) -> None:
    where = f"{fetch.place}: {file.path}"
    if delivery.total is not None and delivery.total != file.size:
        raise _WrongSizeError(f"expected {file.size} bytes, got {delivery.total}")
    if delivery.offset != growing.size:
        if delivery.offset != 0:
            raise Passing(TransferError("the server sent another part than was asked for", where=where))
        _start_over(fetch, growing)
    for chunk in delivery.chunks:
        if growing.size + len(chunk) > file.size:
            raise _WrongSizeError(f"expected {file.size} bytes, got more")
        growing.write(chunk)
        fetch.advance(len(chunk))
        fetch.patience.sleep(0)
    if growing.size < file.size:
        raise Passing(
            TransferError(
                "the connection ended early",
                where=where,
                why=f"{growing.size} of {file.size} bytes came",
                fix="run it again; it goes on from there",
            )
        )


def _start_over(fetch: Fetch, growing: GrowingFile) -> None:
    fetch.advance(-growing.size)
    growing.start_over()
