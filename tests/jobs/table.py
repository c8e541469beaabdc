"""All rows, in the order of the page."""

from __future__ import annotations

from tests.jobs import (
    afterwards,
    documents,
    elastic,
    quantising,
    resumes,
    serving,
    suites,
    trainings,
    watched,
    windows,
)

ROWS = (
    *trainings.ROWS,
    *watched.ROWS,
    *elastic.ROWS,
    *resumes.ROWS,
    *serving.ROWS,
    *windows.ROWS,
    *documents.ROWS,
    *afterwards.ROWS,
    *quantising.ROWS,
    *suites.ROWS,
)
