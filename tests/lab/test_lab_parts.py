"""What the lab decides without touching anything."""

from __future__ import annotations

import re
import struct

import pytest

from tests.lab.cli import VERBS, main
from tests.lab.errors import LabError
from tests.lab.privileges import why_unavailable
from tests.lab.roots import ENGINES, engine_kind
from tests.lab.shaping import Shape, parse_shape
from tests.lab.sink_names import ANSWER, reply_to
from tests.lab.state import Intranet, lab_folders


def test_a_new_host_gets_the_next_address_and_an_old_one_keeps_its_own() -> None:
    intranet = Intranet("10.77.0").with_host("gpu1", "20.10", "").with_host("gpu2", "26.1", "")
    again = intranet.with_host("gpu1", "28.5", "2G")
    assert [again.address(name) for name in ("gpu1", "gpu2")] == ["10.77.0.11", "10.77.0.12"]
    assert again.host("gpu1").engine == "28.5"


def test_an_unknown_host_is_named_with_those_there_are() -> None:
    with pytest.raises(LabError, match="no host 'gpu9'; it has: gpu1"):
        Intranet("10.77.0").with_host("gpu1", "20.10", "").address("gpu9")


def test_a_link_is_read_in_the_units_people_write() -> None:
    assert parse_shape("1gbit", "88ms", "0.1%") == Shape(1_000_000_000, 0.088, 0.001)
    assert parse_shape("", "", "") == Shape()
    assert str(parse_shape("100mbit", "", "5%")) == "100 Mbit/s, 5.000% lost"


@pytest.mark.parametrize("words", [("fast", "", ""), ("", "88", ""), ("", "", "0.1")])
def test_a_link_in_other_units_is_refused_with_an_example(words: tuple[str, str, str]) -> None:
    with pytest.raises(LabError, match="write a link as --rate 1gbit"):
        parse_shape(*words)


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(LabError, match=re.escape(", ".join(ENGINES))):
        engine_kind("19.03")


def test_a_state_folder_too_deep_for_sockets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_LAB_STATE", "/" + "deep" * 25)
    with pytest.raises(LabError, match="KIT_LAB_STATE"):
        lab_folders()


def test_a_machine_that_cannot_run_the_lab_is_told_why() -> None:
    assert "needs Linux" in why_unavailable("Darwin", is_root=False, has_sudo=True, sudo_answers=True)
    assert "install sudo" in why_unavailable("Linux", is_root=False, has_sudo=False, sudo_answers=False)
    assert "sudo -v" in why_unavailable("Linux", is_root=False, has_sudo=True, sudo_answers=False)


def test_root_and_a_sudo_that_answers_can_run_the_lab() -> None:
    assert why_unavailable("Linux", is_root=True, has_sudo=False, sudo_answers=False) == ""
    assert why_unavailable("Linux", is_root=False, has_sudo=True, sudo_answers=True) == ""


@pytest.mark.parametrize("words", [(), *((verb,) for verb in VERBS)])
def test_every_command_explains_itself(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main((*words, "--help"))
    assert end.value.code == 0
    assert "usage: python3 -m tests.lab" in capsys.readouterr().out


def _query(kind: int) -> bytes:
    return struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\3hub\7example\0" + struct.pack(">HH", kind, 1)


def test_the_sink_knows_an_address_for_every_name_and_nothing_else() -> None:
    address, other = reply_to(_query(1)), reply_to(_query(28))
    assert address[:2] == other[:2] == struct.pack(">H", 7)
    assert address.endswith(ANSWER)
    assert struct.unpack_from(">HH", address, 4) == (1, 1)
    assert struct.unpack_from(">HH", other, 4) == (1, 0)
