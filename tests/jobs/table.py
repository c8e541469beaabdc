"""All rows, in the order of the page."""

from __future__ import annotations

from tests.jobs import afterwards, resumes, trainings, windows

ROWS = (*trainings.ROWS, *resumes.ROWS, *windows.ROWS, *afterwards.ROWS)
