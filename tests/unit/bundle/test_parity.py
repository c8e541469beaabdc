from __future__ import annotations

import random
from itertools import combinations

import pytest

from kit.bundle.parity import Code, stripes


def pieces(count: int, length: int = 700) -> list[bytes]:
    chance = random.Random(count)
    return [chance.randbytes(length) for _ in range(count)]


@pytest.mark.parametrize(("data", "parity"), [(1, 1), (2, 2), (4, 3)])
def test_any_so_many_lost_pieces_come_back(data: int, parity: int) -> None:
    code = Code(data, parity)
    plain = pieces(data)
    shares = [*plain, *code.encoder()(plain)]
    for lost in combinations(range(data + parity), parity):
        here = {number: shares[number] for number in range(data + parity) if number not in lost}
        found = code.decoder(lost)(dict(list(here.items())[:data]))
        assert found == {number: shares[number] for number in lost}


def test_the_largest_group_comes_back() -> None:
    code = Code(254, 2)
    plain = pieces(254, 512)
    shares = [*plain, *code.encoder()(plain)]
    here = {number: shares[number] for number in range(256) if number not in (0, 253)}
    assert code.decoder((0, 253))(dict(list(here.items())[:254])) == {0: plain[0], 253: plain[253]}


def test_the_code_is_this_one_and_stays() -> None:
    # Volumes are kept for years: what wrote this must be able to read it, whatever the library's version.
    parity = Code(3, 2).encoder()([b"a" * 512, b"b" * 512, b"c" * 512])
    assert parity == [b"\x86" * 512, b"\x79" * 512]


@pytest.mark.parametrize(("size", "shares"), [(1, 2), (512, 2), (5 << 20, 12), (3 << 20, 256)])
def test_stripes_cover_everything_in_little_memory(size: int, shares: int) -> None:
    found = list(stripes(size, shares))
    assert sum(length for _, length in found) == size
    assert all(offset % 512 == 0 for offset, _ in found)
    assert max(length for _, length in found) * shares <= max(16 << 20, 512 * shares)
