from __future__ import annotations

import pytest

from kit.errors import TransferError
from kit.ship.have import Have, ask_have, parse_have
from kit.ship.identity import SeenImage
from tests.unit.host.test_gather import SayingHost

A, B = "a" * 64, "b" * 64


def test_blobs_partial_blobs_and_images_are_listed() -> None:
    text = f"""motd
kit:blob 12 ./{A}
kit:partial 5 ./{B}
kit:image sha256:1 ["kit.invalid/train:1","other:2"] ["sha256:l1","sha256:l2"]
kit:image sha256:2 [] null
kit:end
"""
    assert parse_have(text) == Have(
        {"sha256:" + A: 12},
        {"sha256:" + B: 5},
        (
            SeenImage("sha256:1", ("kit.invalid/train:1", "other:2"), ("sha256:l1", "sha256:l2")),
            SeenImage("sha256:2", (), ()),
        ),
    )


@pytest.mark.parametrize(
    "line",
    [
        "kit:blob 12 ./kit-image.tar",
        f"kit:blob -1 ./{A}",
        f"kit:blob 12 ./../{A}",
        f"kit:blob 12 ./{A.upper()}",
        "kit:image sha256:1 {broken [",
        "kit:image sha256:1",
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert parse_have(line + "\nkit:end") == Have()


def test_an_answer_that_breaks_off_is_not_taken_for_an_empty_host() -> None:
    with pytest.raises(TransferError, match="cannot be listed"):
        ask_have(SayingHost(f"kit:blob 12 ./{A}\n"), "/aisys/kit")
