"""The sensor `raw_files`: what it takes in, what it leaves for the next look, and what it asks for."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import dagster as dg
import pytest

from barcode_pipeline.events.locks import alone
from barcode_pipeline.nightly import look_again
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.orchestration.sensors import DATES_TAG, raw_files
from barcode_pipeline.stale_dates import arrived_dates
from barcode_pipeline_tests.events.projects import GOOD_FILE, line, make_project, text
from barcode_pipeline_tests.orchestration.project import workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project").root


def look(root: Path, cursor: str | None) -> tuple[list[dg.RunRequest], str, str | None]:
    """(what is asked for, why nothing is, cursor) of one look."""
    with dg.build_sensor_context(cursor=cursor, resources={"workspace": WorkspaceResource(root=str(root))}) as context:
        result = raw_files(context)
    assert isinstance(result, dg.SensorResult)
    skipped = result.skip_reason.skip_message or "" if result.skip_reason else ""
    return list(result.run_requests or []), skipped, result.cursor


def settled(root: Path, cursor: str | None = None) -> tuple[list[dg.RunRequest], str, str | None]:
    """Two looks, as many as a file that lies still needs."""
    first, said, cursor = look(root, cursor)
    assert first == [] and "may still be being written" in said
    return look(root, cursor)


def test_a_new_file_is_taken_in_at_the_second_look_and_its_dates_are_asked_for(root: Path) -> None:
    (root / "data" / "raw" / "2025-07-09").mkdir()
    (root / "data" / "raw" / "2025-07-09" / "icn.csv").write_bytes(GOOD_FILE)
    (request,), _, cursor = settled(root)
    assert request.partition_key == "2025-07-09"
    assert request.tags[DATES_TAG] == "2025-07-02...2025-07-03, 2025-07-09"
    # No model is in service yet: nothing is scored.
    assert [key.to_user_string() for key in request.asset_selection or []] == [
        "merged_events",
        "enriched_events",
        "rule_labels",
        "epc_sequences",
    ]
    # It is not asked for again while the run is on its way, nor after it has failed.
    again, said, cursor = look(root, cursor)
    assert again == [] and said == "" and json.loads(cursor or "")["asked"] == request.run_key


def test_with_a_model_in_service_the_dates_are_scored_too(root: Path) -> None:
    pointer = workspace(root).model_pointer
    pointer.parent.mkdir(parents=True)
    pointer.write_text("{}")
    (root / "data" / "raw" / "icn.csv").write_bytes(GOOD_FILE)
    (request,), _, _ = settled(root)
    assert {dg.AssetKey("event_scores"), dg.AssetKey("alerts")} <= set(request.asset_selection or [])


def test_a_file_that_grows_is_left_alone(root: Path) -> None:
    path = root / "data" / "raw" / "icn.csv"
    path.write_bytes(GOOD_FILE[:-200])
    requests, said, cursor = look(root, None)
    path.write_bytes(GOOD_FILE)
    requests, said, cursor = look(root, cursor)
    assert requests == [] and "1 files may still be being written" in said
    assert workspace(root).intake.days() == []
    requests, _, _ = look(root, cursor)
    assert len(requests) == 1 and len(arrived_dates(workspace(root))) == 3


def test_other_rows_ask_again_and_the_same_rows_do_not(root: Path) -> None:
    path = root / "data" / "raw" / "icn.csv"
    path.write_bytes(GOOD_FILE)
    (first,), _, cursor = settled(root)
    path.touch()
    requests, said, cursor = settled(root, cursor)
    assert requests == [] and "0 files taken in" in said
    path.write_bytes(text(line(event_time="2025-07-04 10:00:00")))
    (second,), _, cursor = settled(root, cursor)
    assert second.run_key != first.run_key and "2025-07-04" in second.tags[DATES_TAG]


def test_what_the_command_line_took_in_is_asked_for(root: Path) -> None:
    """As is what a sensor took in that was killed before it could ask."""
    (root / "data" / "raw" / "icn.csv").write_bytes(GOOD_FILE)
    workspace(root).intake.take_in()
    requests, _, _ = look(root, None)
    assert len(requests) == 1


def test_while_another_works_on_the_data_files_wait(root: Path) -> None:
    (root / "data" / "raw" / "icn.csv").write_bytes(GOOD_FILE)
    _, _, cursor = look(root, None)
    with alone(root / "data" / ".lock", "run 1234 of nightly"):
        requests, said, cursor = look(root, cursor)
    assert requests == [] and said.startswith("1 files wait: run 1234 of nightly (process")
    assert len(look(root, cursor)[0]) == 1


def test_a_file_that_cannot_be_read_asks_for_nothing(root: Path) -> None:
    (root / "data" / "raw" / "icn.csv").write_bytes(b"\x00\xff no table")
    requests, said, _ = settled(root)
    assert requests == [] and "1 of them could not be read" in said


def test_nothing_there(root: Path) -> None:
    assert look(root, None) == ([], "", json.dumps({"waiting": {}, "asked": ""}))
    shutil.rmtree(root / "data" / "raw")
    assert look(root, None)[0] == []


def test_thousands_of_known_files_cost_a_look_at_the_folder(root: Path) -> None:
    place = workspace(root)
    for day in range(40):
        folder = place.raw / f"day-{day}"
        folder.mkdir()
        for number in range(50):
            (folder / f"{number}.csv").write_bytes(b"epc_code\n")
    place.intake.take_in()
    started = time.process_time()
    requests, said, _ = look(root, None)
    assert requests == [] and said == ""
    # Generous: it takes about 0.05 s. Opening or parsing them again took seconds.
    assert time.process_time() - started < 1


def test_a_look_compares_size_and_time(root: Path) -> None:
    place = workspace(root)
    (place.raw / "a.csv").write_bytes(b"1")
    waiting = place.intake.waiting()
    settled_files, seen = look_again(waiting, {})
    assert settled_files == [] and look_again(waiting, seen)[0] == waiting
    moved = {name: [size, changed + 1] for name, (size, changed) in seen.items()}
    assert look_again(waiting, moved)[0] == []
