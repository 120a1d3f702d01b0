"""The review list over HTTP: what the last report has kept, without what has been judged since."""

from __future__ import annotations

import csv
import json
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from barcode_pipeline.events.formats import KEY_COLUMNS
from barcode_pipeline.reporting import make_report
from barcode_pipeline.reviewing import KEPT, REVIEW_COLUMNS, REVIEW_FILE, make_review, write_review
from barcode_pipeline.serving import nightly
from barcode_pipeline.serving.feedback import FeedbackDesk
from barcode_pipeline.serving.review import ReviewDesk
from barcode_pipeline.serving.stores import open_history
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.conftest import SmallProject
from barcode_pipeline_tests.serving.standins import serving

MADE_AT = "2025-09-01T12:00:00"


def desk_of(place: Workspace) -> ReviewDesk:
    kept = place.reports / "latest" / REVIEW_FILE
    return ReviewDesk(kept, place.feedback, place.configuration.time.zone, place.reference.sites)


def question(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("label", *KEY_COLUMNS))


def drop(place: Workspace, name: str, rows: list[dict[str, Any]]) -> Path:
    """What an investigator puts into the folder of verdicts."""
    path = place.feedback / name
    path.unlink(missing_ok=True)
    write_review(path, [row | {"verdict": "no", "who": "kim", "when": "2025-12-24"} for row in rows])
    return path


def test_a_report_keeps_the_list_that_it_has_made(small_project: SmallProject) -> None:
    place = small_project.workspace
    kept = json.loads((small_project.report.folder / REVIEW_FILE).read_text(encoding="utf-8"))
    assert kept["made_at"] == MADE_AT and kept["model"] == small_project.trained.path.name
    assert len(kept["questions"]) == KEPT
    assert list(kept["questions"][0]) == list(REVIEW_COLUMNS)
    # A longer list begins as a shorter one does, so that any number of questions can be taken from it.
    assert kept["questions"][:40] == make_review(place, 40)
    told = desk_of(place).questions(40)
    assert told == {**kept, "questions": kept["questions"][:40]}


def test_what_has_been_judged_since_is_left_out(copy_of_project: Workspace) -> None:
    place = copy_of_project
    desk = desk_of(place)
    first = desk.questions(60)["questions"]
    other_label = first[3] | {"label": "jump" if first[3]["label"] != "jump" else "locErr"}
    drop(place, "a.csv", [*first[:3], other_label, *first[10:12]])
    drop(place, "elsewhere/b.csv", [first[20]])
    (place.feedback / "broken.csv").write_text("no verdicts\n")
    told = desk.questions(KEPT)["questions"]
    assert len(told) == KEPT - 6
    gone = {question(first[number]) for number in (0, 1, 2, 10, 11, 20)}
    assert [question(row) for row in told[:54]] == [question(row) for row in first if question(row) not in gone]
    # A file that is corrected is read again, and one that is taken away takes its verdicts along.
    drop(place, "a.csv", first[:1])
    (place.feedback / "elsewhere" / "b.csv").unlink()
    assert [question(row) for row in desk.questions(59)["questions"]] == [question(row) for row in first[1:]]


def test_a_new_report_brings_a_new_list(copy_of_project: Workspace) -> None:
    place = copy_of_project
    desk = desk_of(place)
    before = desk.questions(5)
    make_report(place, "20250902-120000", "2025-09-02 12:00:00", lambda _: None)
    assert desk.questions(5) == before | {"made_at": "2025-09-02T12:00:00"}


def test_a_verdict_over_http_takes_its_question_away(copy_of_project: Workspace) -> None:
    place = copy_of_project
    nightly.fill(place, say=lambda _: None)
    feedback = FeedbackDesk(place.feedback, place.configuration.time.zone)
    with serving(history=open_history(place), feedback=feedback, review=desk_of(place).questions) as client:
        told = client.get("/api/v1/review", params={"count": 7}).json()
        assert told["made_at"] == MADE_AT and len(told["questions"]) == 7
        asked = next(row for row in told["questions"] if row["epc_code"])
        given = {name: asked[name] for name in ("label", "epc_code", "event_time")} | {"verdict": False, "who": "kim"}
        assert client.post("/api/v1/feedback", json={"verdicts": [given]}).json() == {"stored": 1, "known": 0}
        after = client.get("/api/v1/review", params={"count": 6}).json()["questions"]
        assert after == [row for row in told["questions"] if row != asked]
        assert client.get("/api/v1/review", params={"count": 0}).status_code == 422


def test_it_is_answered_in_milliseconds(small_project: SmallProject) -> None:
    desk = desk_of(small_project.workspace)
    seconds = []
    for _ in range(21):
        started = time.perf_counter()
        desk.questions(1000)
        seconds.append(time.perf_counter() - started)
    assert statistics.median(seconds) < 0.02


@pytest.mark.parametrize(
    "content", [None, "{", "[]", '{"made_at": ""}', '{"made_at": "", "model": "", "questions": 1}']
)
def test_without_a_list_it_says_what_to_do(copy_of_project: Workspace, content: str | None) -> None:
    file = copy_of_project.reports / "latest" / REVIEW_FILE
    file.unlink()
    if content is not None:
        file.write_text(content)
    with serving(review=desk_of(copy_of_project).questions) as client:
        for _ in range(2):
            response = client.get("/api/v1/review")
            error = response.json()["error"]
            assert response.status_code == 503 and "barcode-pipeline evaluate" in error
            assert "reports/latest/review.json" in error and str(copy_of_project.root) not in error


def test_a_place_that_is_no_number_is_found_again(copy_of_project: Workspace) -> None:
    place = copy_of_project
    file = place.reports / "latest" / REVIEW_FILE
    kept = json.loads(file.read_text(encoding="utf-8"))
    rows = kept["questions"][:4]
    rows[1] |= {"location_id": "DOCK 7", "epc_code": None}
    rows[2] |= {"location_id": None, "scan_location": "Dock 9", "event_id": None}
    file.write_text(json.dumps({**kept, "questions": rows}), encoding="utf-8")
    desk = desk_of(place)
    with drop(place, "review.csv", rows[1:3]).open(encoding="utf-8-sig", newline="") as stream:
        assert [row["location_id"] for row in csv.DictReader(stream)] == ["DOCK 7", ""]
    assert desk.questions(9)["questions"] == [rows[0], rows[3]]
