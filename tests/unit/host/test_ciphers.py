from __future__ import annotations

import pytest

from kit.host.ciphers import lane_ciphers, names_aes

KNOWN = (
    "3des-cbc",
    "aes128-ctr",
    "aes256-ctr",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
)


def test_aes_comes_first_where_both_sides_have_instructions_for_it() -> None:
    assert lane_ciphers(KNOWN, aes_here=True, aes_there=True)[0] == "aes128-gcm@openssh.com"


@pytest.mark.parametrize(("here", "there"), [(True, False), (False, True), (False, False)])
def test_chacha20_comes_first_where_one_side_lacks_them(*, here: bool, there: bool) -> None:
    ciphers = lane_ciphers(KNOWN, aes_here=here, aes_there=there)
    assert ciphers[:2] == ("chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com")


def test_only_what_ssh_knows_is_offered_and_never_an_old_cipher() -> None:
    known = ("3des-cbc", "aes128-cbc", "aes256-ctr")
    assert lane_ciphers(known, aes_here=True, aes_there=True) == ("aes256-ctr",)


@pytest.mark.parametrize(
    "text",
    [
        "processor\t: 0\nflags\t\t: fpu sse2 aes xsave avx\n",
        "flags\t\t: fpu aes\nbogomips\t: 1\n",
        "Features\t: fp asimd evtstrm aes pmull sha1\n",
    ],
)
def test_aes_instructions_are_found_in_cpuinfo(text: str) -> None:
    assert names_aes(text)


@pytest.mark.parametrize(
    "text",
    ["flags\t\t: fpu sse2 vaes avx\n", "model name\t: aes\n", "", "flags\t\t: fpu\nother\t\t: aes\n"],
)
def test_they_are_not_found_where_there_are_none(text: str) -> None:
    assert not names_aes(text)
