from __future__ import annotations

import io
import json
from typing import Any

import pytest

from kit.errors import KitError, TransferError
from kit.ship.control import Control, ControlLines


def hear(data: bytes, handlers: dict[str, Any]) -> list[KitError]:
    lost: list[KitError] = []
    control = Control(io.BytesIO(data), handlers, lost.append)
    control.run()
    return lost


def test_each_line_reaches_its_handler_and_the_end_is_told() -> None:
    heard: list[dict[str, Any]] = []
    lines = b'{"do":"alive"}\n{"do":"wrote","blob":"b","start":1,"stop":2}\n'
    (end,) = hear(lines, {"wrote": heard.append})
    assert heard == [{"do": "wrote", "blob": "b", "start": 1, "stop": 2}]
    assert "went away" in str(end)


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"[]\n", b"7\n", b'{"do":"other"}\n', b"{}\n", b"[" * 5000 + b"\n"]
)
def test_what_is_not_understood_ends_it(line: bytes) -> None:
    (end,) = hear(line, {})
    assert isinstance(end, TransferError)
    assert "understand" in str(end)


def test_what_a_handler_refuses_ends_it_with_its_error() -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise TransferError("no such frames")

    assert [str(error) for error in hear(b'{"do":"wrote"}\n' * 2, {"wrote": refuse})] == ["no such frames"]


def test_the_senders_end_gives_what_was_said_and_signs_of_life_until_it_is_closed() -> None:
    control = ControlLines(alive=0.01)
    control.say("sent")
    lines = iter(control)
    assert json.loads(next(lines)) == {"do": "sent"}
    assert json.loads(next(lines)) == {"do": "alive"}
    control.say("sent")
    control.close()
    assert [json.loads(line)["do"] for line in lines][-1] == "sent"
