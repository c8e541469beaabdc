from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.demo import cross
from tests.e2e.journey import Journey, demo_journey
from tests.lab import LabUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def journey() -> Iterator[Journey]:
    """The demo, carried across: two hosts that hold everything, nothing launched."""
    try:
        with demo_journey() as journey:
            cross(journey)
            yield journey
            journey.kit("down", "--all")
    except LabUnavailableError as error:
        pytest.skip(str(error))
