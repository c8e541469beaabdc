from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import TransferError
from kit.ship.agent.lock import held


def test_the_second_ship_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    with held(tmp_path, "alice@build1"), pytest.raises(TransferError) as caught, held(tmp_path, "bob@build2"):
        raise AssertionError
    assert "alice@build1 since " in caught.value.why
    assert "bob" not in caught.value.why


def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    with held(tmp_path, "alice@a-very-long-name-of-a-build-machine"):
        pass
    with (
        held(tmp_path, "bob"),
        pytest.raises(TransferError, match="held by bob since"),
        held(tmp_path, "carol"),
    ):
        raise AssertionError


def test_a_failure_lets_go_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(KeyError), held(tmp_path, "alice"):
        raise KeyError
    with held(tmp_path, "bob"):
        pass
