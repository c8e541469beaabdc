"""The table of shipping: kept between runs, each case by itself."""

from __future__ import annotations

from pathlib import Path

from tests.bench.ship_rows import Measured, bytes_row, page, read_measured, seconds_row, write_measured


def test_cases_are_kept_as_they_were_measured(tmp_path: Path) -> None:
    found = {
        "a": Measured("a", (seconds_row("case", 1.0, "scp", 4.0, "≤ 0.25"), bytes_row("…", 1, "it", 0)), 0.5),
        "b": Measured("b", (), 2.5, failed=True),
    }
    write_measured(tmp_path / "x" / "rows.json", found)
    assert read_measured(tmp_path / "x" / "rows.json") == found
    assert read_measured(tmp_path / "none.json") == {}


def test_a_page_tells_ratios_and_the_loads_between_which_it_was_measured() -> None:
    rows = (seconds_row("one | two", 1.0, "scp", 4.0, "≤ 0.25"),)
    text = page([Measured("a", rows, 0.5), Measured("b", rows, 2.5)], "20.10", 2)
    assert "0.5 to 2.5" in text
    assert text.endswith("| one \\| two | 1.00 s | scp | 4.00 s | 0.250 | ≤ 0.25 |\n" * 2)
