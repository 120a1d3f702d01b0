"""The rules' endpoint against a second, slow reading of the rules (`rules.reference_rules`), through requests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.serving.clock import zone_clock
from barcode_pipeline.serving.judge import Models, Settings
from barcode_pipeline.serving.judging import Judging
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.requests import Refused, read_rows
from barcode_pipeline.serving.rows import labels_of_bits
from barcode_pipeline_tests.rules import strategies
from barcode_pipeline_tests.rules.reference_rules import LABELS, Row, is_same_scan, label_rows, labels_of
from barcode_pipeline_tests.rules.worked_examples import ROUTES, SITES
from barcode_pipeline_tests.serving.cases import answer_of, no_counts
from barcode_pipeline_tests.serving.standins import PATHS, serving
from barcode_pipeline_tests.worlds import reference

SAMPLE = Path(__file__).parents[3] / "shared" / "reference" / "api_request_sample.json"


def as_event(row: Row, number: int) -> dict[str, object]:
    return {
        "event_id": number if row.event_id is None else row.event_id, "file_id": 1, "epc_code": row.epc_code,
        "event_time": row.event_time, "location_id": row.location_id, "scan_location": row.scan_location,
        "business_step": row.business_step, "event_type": row.event_type,
    }  # fmt: skip


@given(strategies.cases(), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_each_request_is_judged_as_the_slow_reading_judges_what_is_known(case: strategies.Case, pieces: int) -> None:
    world = case.world
    rules = RuleSettings(
        tuple(case.settings.companies), case.settings.v_max, tuple(case.settings.thresholds[name] for name in LABELS)
    )
    desk = Judging(
        MemoryHistory(), Settings(reference(world.sites, world.routes), rules), Models, zone_clock("Asia/Seoul")
    )
    known: list[Row] = []
    told: list[list[str]] = []
    numbered = [
        Row(**(vars(row) | {"event_id": 10**6 + number if row.event_id is None else row.event_id}))
        for number, row in enumerate(case.rows)
    ]
    for piece in np.array_split(np.arange(len(numbered)), pieces):
        rows = [numbered[place] for place in piece]
        events = [as_event(row, 0) for row in rows]
        try:
            scans = read_rows(events, case.settings.zone)
        except Refused:
            return  # a row without a place or a readable time, say: others test that
        verdicts = desk.judge([scans]).verdicts[0]
        for row in sorted(rows, key=lambda row: row.event_id or 0):
            if not any(is_same_scan(row, other, world.sites, case.settings) for other in known):
                known.append(row)
                told.append([])
        scores = label_rows(known, world.sites, world.routes, case.settings)
        for row, bits in zip(rows, labels_of_bits(verdicts["rule_labels"]), strict=True):
            place = next(n for n, other in enumerate(known) if is_same_scan(row, other, world.sites, case.settings))
            # A verdict stands as it was when the scan came.
            told[place] = told[place] or ["judged", *labels_of(scores[place], case.settings)]
            assert [name for name, bit in zip(LABELS, bits, strict=True) if bit] == told[place][1:]


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample request lies beside the repository")
@pytest.mark.parametrize("endpoint", PATHS)
def test_the_sample_request(endpoint: str) -> None:
    content = json.loads(SAMPLE.read_text(encoding="utf-8"))
    events = content["data"]
    rows = [
        Row(event["epc_code"], event["event_time"], event["location_id"], None, event["business_step"],
            event["event_type"], event["eventId"])
        for event in events
    ]  # fmt: skip
    method = {} if endpoint == "rule" else {"method": "rule"}
    found = {
        str(row.event_id): {label: float(score) for label, score in scores.items() if score} | method
        for row, scores in zip(rows, label_rows(rows, SITES, ROUTES), strict=True)
        if any(scores.values())
    }
    with serving() as client:
        first = client.post(PATHS[endpoint], json=content)
        assert first.status_code == 200
        again = client.post(PATHS[endpoint], json=content).json()
    told = first.json()
    assert again == told
    told.pop("warning", None)
    assert told == answer_of({"endpoint": endpoint, "found": found}, events)
    assert told["fileAnomalyStats"] != no_counts()
