"""One lab of three ages of engine for each test module, under a name of its own beside one that may be up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab import Lab, LabUnavailableError
from tests.lab.tiny_image import tiny_image

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = (("old", "20.10"), ("mid", "26.1"), ("new", "28.5"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    state = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LAB_NAME", "labtest")
        patch.setenv("KIT_LAB_STATE", str(state))
        try:
            started = Lab.up(KINDS, disk="1G")
        except LabUnavailableError as error:
            pytest.skip(str(error))
        try:
            for name in started.names:
                started.exec(name, ("docker", "import", "-", "tiny:1"), stdin=tiny_image())
            yield started
        finally:
            started.down(purge=True)
