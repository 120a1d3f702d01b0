"""Night after night, with all that goes wrong on the way, the data ends as one clean backfill of the same files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from barcode_pipeline.events.times import day_number
from barcode_pipeline.nightly import stale_once_merged
from barcode_pipeline.stale_dates import stale_dates
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.events.projects import (
    assert_nothing_is_lost,
    dated_days,
    interim_bytes,
    make_project,
)
from barcode_pipeline_tests.nightly.nights import MAKERS, eventful_month, make_night


def clean_backfill(given: Workspace, root: Path) -> dict[str, str]:
    """The bytes that one backfill of the same raw files makes."""
    clean = make_project(root)
    shutil.copytree(given.raw, clean.raw, dirs_exist_ok=True)
    clean.intake.take_in()
    for make in MAKERS.values():
        make(clean, dated_days(clean))
    return interim_bytes(clean)


def run_month(root: Path, events: int, nights: int, seed: int, event_ids: bool) -> None:
    month = eventful_month(events, nights, seed, event_ids)
    workspace = make_project(root / "nights")
    for night, day in enumerate(month.days):
        month.deliver(workspace.raw, night)
        if night in month.missed:
            continue
        # What is predicted before the night is what the night makes.
        workspace = Workspace.open(workspace.root)
        workspace.intake.take_in()
        expected = stale_once_merged(workspace)
        made = make_night(workspace, day_number(day))
        for asset in MAKERS:
            assert set(made[asset]) == {*expected[asset], day_number(day)}, (day, asset)
            assert not stale_dates(workspace, [asset])[asset]
    found, expected_bytes = interim_bytes(workspace), clean_backfill(workspace, root / "clean")
    assert {name for name in expected_bytes if found.get(name) != expected_bytes[name]} == set()
    assert set(found) >= set(expected_bytes)
    assert_nothing_is_lost(workspace)


@pytest.mark.parametrize(("event_ids", "seed"), [(False, 1), (True, 2)], ids=["no event ids", "event ids"])
def test_eight_nights(tmp_path: Path, event_ids: bool, seed: int) -> None:
    run_month(tmp_path, 5_000, 8, seed, event_ids)


@pytest.mark.slow
@pytest.mark.parametrize(("event_ids", "seed"), [(False, 3), (True, 4)], ids=["no event ids", "event ids"])
def test_thirty_nights(tmp_path: Path, event_ids: bool, seed: int) -> None:
    run_month(tmp_path, 20_000, 30, seed, event_ids)
