"""A sample of what `make bench-ship` does 200 times: shipments struck half way, shipped again, looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import TransferError
from tests.bench.kill_moment import MISSED, Outcome
from tests.bench.kill_noise import Sizes
from tests.bench.kill_plan import DELTA, FIRST, FLIPPED, FROZEN, Moment
from tests.bench.kill_run import Setup, learn, ranges, strike_all
from tests.lab import LabUnavailableError

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
MB = 1_000_000
SETUP = Setup(Sizes((30 * MB, 60 * MB), 120 * MB), 6.0, 2, (DELTA, FIRST))
STRUCK = (
    (FIRST, "send", "kit and its ssh"),
    (FIRST, "load", "engine"),
    (DELTA, "send", "agent"),
    (DELTA, "assemble", "kit alone"),
    (FIRST, "send", "every ssh session"),
    (FIRST, "send", FLIPPED),
    (DELTA, "have", "one ssh session"),
    (FIRST, "send", FROZEN),
)


@pytest.fixture(scope="module")
def outcomes(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    folder, found = tmp_path_factory.mktemp("kills"), list[Outcome]()
    moments = (Moment(number, *what, fraction=0.5) for number, what in enumerate(STRUCK))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "killtest")
        patch.setenv("KIT_LAB_STATE", str(folder / "lab"))
        try:
            with ranges(SETUP, Path(folder / "work"), docker_host) as all_ranges:
                learn(all_ranges, SETUP.scenarios)
                strike_all(all_ranges, moments, found.append)
        except LabUnavailableError as error:
            pytest.skip(str(error))
    return found


def test_every_shipment_was_struck_but_for_one_that_may_have_been_quicker(outcomes: list[Outcome]) -> None:
    assert len(outcomes) == len(STRUCK)
    assert sum(outcome.kind == MISSED for outcome in outcomes) <= 1
    assert sum(outcome.first_status == 0 for outcome in outcomes) <= 2


def test_run_again_each_ended_with_exactly_the_right_bytes(outcomes: list[Outcome]) -> None:
    assert [outcome for outcome in outcomes if outcome.wrong] == []


def test_nothing_was_ever_visible_in_part(outcomes: list[Outcome]) -> None:
    assert min(outcome.looks for outcome in outcomes) > 3
    assert [outcome for outcome in outcomes if outcome.half] == []


def test_a_frozen_agent_is_given_up_by_name(outcomes: list[Outcome]) -> None:
    (frozen,) = (outcome for outcome in outcomes if outcome.kind == FROZEN)
    assert frozen.first_status == TransferError.exit_code
    assert "no sign of life" in frozen.words
    assert frozen.host in frozen.words


def test_little_was_sent_again(outcomes: list[Outcome]) -> None:
    assert [outcome for outcome in outcomes if not outcome.is_well] == []
