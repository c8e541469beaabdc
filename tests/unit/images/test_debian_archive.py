from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import ConfigError, TransferError, VerificationError
from kit.images.debian_archive import DebianArchive, release_digest
from kit.images.debootstrap_root import check_archive
from kit.images.registry_http import Answer, Request
from kit.images.stacks import Debootstrap
from tests.factories import RELEASE, debian_mirror

MIRROR = "http://mirror.example/debian/"
PLACE = "http://mirror.example/debian/dists/bookworm/Release"


class FakeTransport:
    """Answers by address; anything else is not found."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def send(self, request: Request) -> Answer:
        self.asked.append(request.url)
        return self.answers.get(request.url, Answer(404, (), b""))


def archive(**answers: Answer) -> tuple[DebianArchive, FakeTransport]:
    transport = FakeTransport(**answers)
    return DebianArchive(transport), transport


def ok(body: bytes) -> Answer:
    return Answer(200, (), body)


def test_a_suite_is_known_by_its_release_file_which_is_asked_for_once() -> None:
    known, transport = archive(**{PLACE: ok(RELEASE)})
    assert {known.release("bookworm", MIRROR), known.release("bookworm", MIRROR)} == {release_digest(RELEASE)}
    assert transport.asked == [PLACE]


def test_without_a_mirror_debians_own_is_asked() -> None:
    place = "http://deb.debian.org/debian/dists/bookworm/Release"
    assert archive(**{place: ok(RELEASE)})[0].release("bookworm", None) == release_digest(RELEASE)


def test_redirects_are_followed_a_few_times() -> None:
    there = Answer(302, (("location", "https://other.example/Release"),), b"")
    known, _ = archive(**{PLACE: there, "https://other.example/Release": ok(RELEASE)})
    assert known.release("bookworm", MIRROR) == release_digest(RELEASE)
    with pytest.raises(TransferError, match="redirects"):
        archive(**{PLACE: Answer(302, (("location", PLACE),), b"")})[0].release("bookworm", MIRROR)
    with pytest.raises(ConfigError, match="no address"):
        archive(**{PLACE: Answer(302, (("location", "file:///etc/passwd"),), b"")})[0].release(
            "bookworm", MIRROR
        )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(404, (), b""), ConfigError),
        (Answer(503, (), b""), TransferError),
        (ok(b"<html>please log in</html>"), VerificationError),
    ],
)
def test_what_is_no_release_file_is_refused(answer: Answer, error: type[Exception]) -> None:
    with pytest.raises(error):
        archive(**{PLACE: answer})[0].release("bookworm", MIRROR)


def test_a_mirror_on_this_machine_is_read(tmp_path: Path) -> None:
    mirror = debian_mirror(tmp_path)
    assert archive()[0].release("bookworm", mirror) == release_digest(RELEASE)
    with pytest.raises(ConfigError, match="cannot be read"):
        archive()[0].release("trixie", mirror)


def made_root(folder: Path, release: bytes) -> Path:
    lists = folder / "var" / "lib" / "apt" / "lists"
    lists.mkdir(parents=True)
    (lists / "deb.debian.org_debian_dists_bookworm_Release").write_bytes(release)
    (lists / "deb.debian.org_debian_dists_bookworm_InRelease").write_bytes(b"signed")
    return folder


def test_a_root_must_come_out_of_the_archive_as_it_was_locked(tmp_path: Path) -> None:
    locked = Debootstrap("bookworm", (), release_digest(RELEASE))
    # debootstrap takes the file out of the signed one, and leaves its last newline behind
    check_archive(locked, made_root(tmp_path / "same", RELEASE.rstrip()))
    later = made_root(tmp_path / "later", RELEASE.replace(b"0 0", b"1 1"))
    with pytest.raises(VerificationError, match="Debian's bookworm is not as it was locked") as caught:
        check_archive(locked, later)
    assert "snapshot.debian.org" in caught.value.fix
    with pytest.raises(VerificationError, match="the mirror has none"):
        check_archive(locked, tmp_path)
    check_archive(Debootstrap("bookworm", ()), later)
