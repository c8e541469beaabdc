from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kit.ship.early import EARLY_NAME, NOTHING_EARLY, Early, early_name, new_run, parse_early
from kit.ship.lanes.script import _ACK, Record, check_ack

A = "sha256:" + "a" * 64


def test_names_differ_from_ship_to_ship_and_tell_the_blob() -> None:
    one, other = early_name(new_run(), A), early_name(new_run(), A)
    assert one != other
    found = re.fullmatch(EARLY_NAME, one)
    assert found is not None
    assert found[2] == "a" * 64


def test_a_record_goes_where_its_name_says_and_its_answer_is_known() -> None:
    record = Record(A, 0, 1, 10, 20, early_name("0" * 8, A))
    assert record.header == f"early.{'0' * 8}.{'a' * 64} 10 20\n".encode()
    assert _ACK.match(record.header.rstrip())
    check_ack(record.header.rstrip(), record, "gpu1")


@pytest.mark.parametrize("early", [NOTHING_EARLY, Early("0123abcd", {A: ((0, 2), (5, 6))})])
def test_what_is_told_is_what_is_heard(early: Early) -> None:
    found = parse_early(json.loads(json.dumps(early.document)))
    assert (found.run, dict(found.frames)) == (early.run, dict(early.frames))


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        {"run": "", "frames": []},
        {"run": "../../..", "frames": {}},
        {"run": 5, "frames": {}},
        {"run": None, "frames": {}},
        {"run": "0123abcd", "frames": {"sha256:../x": [[0, 1]]}},
        {"run": "0123abcd", "frames": {A: [[0]]}},
        {"run": "0123abcd", "frames": {A: [[1, 1]]}},
        {"run": "0123abcd", "frames": {A: [[-1, 1]]}},
        {"run": "0123abcd", "frames": {A: [["0", "1"]]}},
    ],
)
def test_anything_else_is_refused(document: Any) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        parse_early(document)
