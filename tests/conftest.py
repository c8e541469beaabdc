from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """The address of the online machine's engine, which keeps its images from one run to the next."""
    from tests.lab import LabUnavailableError, online_engine, stop_online_engine
    from tests.lab.engine import answers
    from tests.lab.state import lab_folders

    was_up = answers(lab_folders().engine_socket)
    try:
        yield online_engine()
    except LabUnavailableError as error:
        pytest.skip(str(error))
    if not was_up:
        stop_online_engine()
