from __future__ import annotations

from pathlib import Path

import paramiko
import pytest

from kit.host.ssh_keys import find_offers, load_key, public_blob


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder."""
    (tmp_path / "home/.ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home/.ssh"


def make_key(path: Path, passphrase: str | None = None, *, public: bool = True) -> paramiko.ECDSAKey:
    key = paramiko.ECDSAKey.generate()
    key.write_private_key_file(str(path), passphrase)
    if public:
        path.with_name(path.name + ".pub").write_text(f"{key.get_name()} {key.get_base64()} me@here\n")
    return key


def test_a_key_is_read_with_its_passphrase_alone(tmp_path: Path) -> None:
    key = make_key(tmp_path / "locked", "secret")
    with pytest.raises(paramiko.PasswordRequiredException):
        load_key(tmp_path / "locked")
    with pytest.raises(paramiko.SSHException, match="not its passphrase"):
        load_key(tmp_path / "locked", "wrong")
    assert load_key(tmp_path / "locked", "secret").asbytes() == key.asbytes()


def test_the_public_key_is_found_beside_the_private_one_or_in_the_file(tmp_path: Path) -> None:
    key = make_key(tmp_path / "one")
    assert public_blob(tmp_path / "one") == key.asbytes()
    assert public_blob(tmp_path / "one.pub") == key.asbytes()
    assert public_blob(tmp_path / "none") is None


def test_the_agents_copy_of_a_named_key_goes_first_and_its_file_stays_closed(tmp_path: Path) -> None:
    named, other = make_key(tmp_path / "named", "secret"), make_key(tmp_path / "other")
    offers = find_offers((tmp_path / "named",), (other, named), named_only=False)
    assert [offer.key for offer in offers.ready] == [named, other]
    assert offers.locked == ()
    assert [
        offer.key for offer in find_offers((tmp_path / "named",), (other, named), named_only=True).ready
    ] == [named]


def test_named_files_go_before_strange_keys_of_the_agent(tmp_path: Path) -> None:
    named, other = make_key(tmp_path / "named", public=False), make_key(tmp_path / "other")
    offers = find_offers((tmp_path / "named",), (other,), named_only=False)
    assert [offer.key.asbytes() for offer in offers.ready] == [named.asbytes(), other.asbytes()]


def test_the_usual_files_count_where_none_is_named(home: Path, tmp_path: Path) -> None:
    make_key(home / "id_ecdsa")
    make_key(home / "id_rsa", "secret")
    offers = find_offers((), (), named_only=False)
    assert [offer.name for offer in offers.ready] == [str(home / "id_ecdsa")]
    assert offers.locked == (home / "id_rsa",)
    make_key(tmp_path / "named")
    assert [offer.name for offer in find_offers((tmp_path / "named",), (), named_only=False).ready] == [
        str(tmp_path / "named")
    ]


def test_files_that_are_no_keys_are_told_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    offers = find_offers((tmp_path / "text", tmp_path / "none"), (), named_only=False)
    assert offers.ready == ()
    assert "no private key" in offers.unreadable[0]
    assert "No such file" in offers.unreadable[1]
