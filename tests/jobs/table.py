"""All rows, in the order of the page."""

from __future__ import annotations

from tests.jobs import trainings, windows

ROWS = (*trainings.ROWS, *windows.ROWS)
