"""Rows made to slow a reader down: what is not linear in them takes minutes here, and fails."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from barcode_pipeline_tests.events.projects import HEADER, assert_nothing_is_lost, line, make_all, make_project

ROWS = 60_000
MORE = 200_000
"""For what compiled loops do: they make 10^9 steps in a second, and this is 2 · 10^10 pairs."""
LONGEST_SECONDS = 10.0
SECONDS_OF_DAY = [f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" for second in range(86_400)]

KINDS = {
    "one EPC in one second, at as many places": [line(location_id=str(1000 + number)) for number in range(MORE)],
    "one EPC in one second, sent again": [line()] * MORE,
    "one EPC all day": [line(event_time=f"2025-07-05 {second}") for second in SECONDS_OF_DAY],
    "as many steps and types": [line(business_step=f"s{number}", event_type=f"t{number}") for number in range(ROWS)],
    "as many names": [line(location_id="", scan_location=f"n{number}") for number in range(ROWS)],
    "as many times that are none": [line(event_time=f"t{number}") for number in range(ROWS)],
    "short lines": ["x"] * 10 * ROWS,
    "without EPC": [line(epc_code="", location_id=str(number)) for number in range(ROWS)],
}


@pytest.fixture(scope="module")
def compiled_beforehand(tmp_path_factory: pytest.TempPathFactory) -> None:
    workspace = make_project(tmp_path_factory.mktemp("first"))
    (workspace.raw / "a.csv").write_text(f"{HEADER}\n{line()}\n")
    workspace.intake.take_in()
    make_all(workspace)


@pytest.mark.usefixtures("compiled_beforehand")
@pytest.mark.parametrize("rows", KINDS.values(), ids=KINDS.keys())
def test_time_is_linear(rows: list[str], tmp_path: Path) -> None:
    workspace = make_project(tmp_path)
    (workspace.raw / "a.csv").write_text("\n".join([HEADER, *rows]))
    start = time.perf_counter()
    workspace.intake.take_in()
    make_all(workspace)
    assert time.perf_counter() - start < LONGEST_SECONDS
    assert_nothing_is_lost(workspace)
