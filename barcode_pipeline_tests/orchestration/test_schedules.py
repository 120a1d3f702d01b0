"""The schedule `nightly_retrain`: when it asks for a night, and of which date."""

from __future__ import annotations

import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from barcode_pipeline import chain
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.orchestration.schedules import nightly_retrain
from barcode_pipeline_tests.events.projects import GOOD_FILE, make_project

SEOUL = ZoneInfo("Asia/Seoul")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project").root


def tick(root: Path, moment: datetime.datetime) -> dg.RunRequest | dg.SkipReason:
    with dg.build_schedule_context(
        scheduled_execution_time=moment, resources={"workspace": WorkspaceResource(root=str(root))}
    ) as context:
        result = nightly_retrain(context)
    assert isinstance(result, dg.RunRequest | dg.SkipReason)
    return result


def at_two(day: int) -> datetime.datetime:
    return datetime.datetime(2025, 7, day, 2, 0, tzinfo=SEOUL)


def test_new_rows_ask_for_the_night_of_yesterday(root: Path) -> None:
    (root / "data" / "raw" / "icn.csv").write_bytes(GOOD_FILE)
    request = tick(root, at_two(10))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == request.run_key == "2025-07-09"
    # There are no baselines yet: the first night trains them.
    assert dg.AssetKey("baseline_models") in (request.asset_selection or [])


def test_yesterday_is_that_of_the_zone(root: Path) -> None:
    (root / "data" / "raw" / "icn.csv").write_bytes(GOOD_FILE)
    request = tick(root, at_two(10).astimezone(datetime.UTC))
    assert isinstance(request, dg.RunRequest) and request.partition_key == "2025-07-09"


def test_baselines_are_not_trained_every_night(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from barcode_pipeline.events.files import published_folder
    from barcode_pipeline.nightly import note_model, note_training_set
    from barcode_pipeline.workspace import Workspace

    place = Workspace.open(root)
    with published_folder(place.models / "baselines", "some"):
        pass
    note_training_set(place)
    note_model(place, "baseline_models")
    (root / "data" / "raw" / "icn.csv").write_bytes(GOOD_FILE)
    request = tick(root, at_two(10))
    assert isinstance(request, dg.RunRequest)
    assert dg.AssetKey("baseline_models") not in (request.asset_selection or [])
    assert {dg.AssetKey("lstm_model"), dg.AssetKey("evaluation_report")} <= set(request.asset_selection or [])
    # Of other features or settings they are of no use: the night makes them again.
    (root / "configuration.toml").write_text("[model]\nwidth = 32\n")
    request = tick(root, at_two(10))
    assert isinstance(request, dg.RunRequest) and dg.AssetKey("baseline_models") in (request.asset_selection or [])


def test_without_rows_there_is_no_night(root: Path) -> None:
    skipped = tick(root, at_two(10))
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "No night of 2025-07-09: there are no rows up to 2025-07-09."


def test_nights_that_were_missed_are_one_run(root: Path) -> None:
    """All that three days have left is out of date at the next tick, and asked for with it."""
    from barcode_pipeline.workspace import Workspace

    place = Workspace.open(root)
    (place.raw / "icn.csv").write_bytes(GOOD_FILE)
    place.intake.take_in()
    request = tick(root, at_two(10))
    assert isinstance(request, dg.RunRequest) and request.partition_key == "2025-07-09"
    days = place.intake.days()
    for make in (chain.make_merged, chain.make_enriched, chain.make_labels, chain.make_sequences):
        make(place, days)
    # The data is there, the model and the scores are not.
    assert isinstance(tick(root, at_two(11)), dg.RunRequest)
