"""Verdicts: how a file is read, which of several stands, and which event a verdict names."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import KEY_COLUMNS, LABELS
from barcode_pipeline.events.raw_files import UnreadableFile
from barcode_pipeline.events.verdicts import (
    SCAN_COLUMNS,
    VERDICTS_SCHEMA,
    find_events,
    fingerprint,
    judged_labels,
    read_verdict_file,
    read_verdicts,
    standing,
    verdict_rows,
    write_verdicts,
)
from barcode_pipeline_tests.rules.reference_rules import Site
from barcode_pipeline_tests.worlds import reference

COLUMNS = (*KEY_COLUMNS, "label", "verdict", "who", "when")
SITES = reference([Site(1, "Plant", 37.4, 126.6), Site(17, "Hub", 37.5, 126.9)], []).sites
EPC = "001.8804823.1293291.010004.20250701.000004002"
GOOD = (EPC, "2025-07-01T10:34:17", "1", "Plant", "Factory", "Aggregation", "301", "jump", "true", "kim", "2025-09-01")


def row(**changed: str) -> tuple[str, ...]:
    return tuple((dict(zip(COLUMNS, GOOD, strict=True)) | changed).values())


def content(*rows: Sequence[str], columns: Sequence[str] = COLUMNS) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue().encode()


def read(*rows: Sequence[str]) -> pa.Table:
    return read_verdict_file(content(*rows), "Asia/Seoul").verdicts


def test_a_row_is_read_as_a_raw_row_is() -> None:
    told = row(epc_code=EPC.replace(".", "-"), event_time="2025-07-01T01:34:17.9Z", location_id="17.0", event_id="3.0")
    (found,) = read(told).to_pylist()
    assert found["epc_code"] == EPC
    assert str(found["event_time"]) == "2025-07-01 10:34:17"
    assert (found["location_id"], found["event_id"]) == (17, 3)
    assert (found["label"], found["verdict"], found["who"], str(found["when"])) == (
        "jump", True, "kim", "2025-09-01 00:00:00",
    )  # fmt: skip
    assert read(row(location_id="DOCK A")).column("location_text").to_pylist() == ["DOCK A"]


@pytest.mark.parametrize(
    ("word", "holds"),
    [("true", True), ("YES", True), ("1", True), ("1.0", True), (" Confirmed ", True), ("false", False), ("no", False),
     ("0", False), ("rejected", False)],
)  # fmt: skip
def test_a_verdict_may_be_said_in_several_words(word: str, holds: bool) -> None:
    assert read(row(verdict=word)).column("verdict").to_pylist() == [holds]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"event_time": "yesterday"}, "event_time 'yesterday' is no time"),
        ({"location_id": "", "scan_location": ""}, "neither location_id nor scan_location"),
        ({"label": "theft"}, "label 'theft' is none of epcFake, epcDup, locErr, evtOrderErr, jump"),
        ({"label": ""}, "label is missing"),
        ({"verdict": "perhaps"}, "verdict 'perhaps' is neither true nor false"),
        ({"when": "soon"}, "when 'soon' is no time; write 2025-09-01 or 2025-09-01T14:30"),
        ({"when": ""}, "when is missing"),
    ],
)
def test_a_row_that_cannot_be_read_is_rejected_with_its_reason(changed: dict[str, str], reason: str) -> None:
    found = read_verdict_file(content(GOOD, row(**changed), GOOD), "Asia/Seoul")
    assert len(found.verdicts) == 2 and found.rows == 3
    assert found.rejected.select(["line", "reason"]).to_pylist() == [{"line": 3, "reason": reason}]


def test_lines_that_are_no_records_are_rejected_and_blank_ones_are_none() -> None:
    data = content(GOOD) + b"\nx,y\n" + content(GOOD).split(b"\n")[1] + b"\n"
    found = read_verdict_file(data, "Asia/Seoul")
    assert (found.rows, len(found.verdicts), found.rejected.column("line").to_pylist()) == (3, 2, [4])


def test_a_question_without_an_answer_waits() -> None:
    found = read_verdict_file(content(row(verdict="", when=""), GOOD), "Asia/Seoul")
    assert (found.rows, len(found.verdicts), found.unanswered, len(found.rejected)) == (2, 1, 1, 0)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "the header lacks epc_code"),
        (content(columns=KEY_COLUMNS), "the header lacks label, verdict, when"),
        (content(columns=(*COLUMNS, "label")), "label stands twice"),
    ],
)
def test_a_file_of_something_else_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(UnreadableFile, match=problem):
        read_verdict_file(data, "Asia/Seoul")


def test_columns_may_stand_in_any_order_with_others_between() -> None:
    columns = ("note", *reversed(COLUMNS))
    told = read_verdict_file(content(("looked at it twice", *reversed(GOOD)), columns=columns), "Asia/Seoul")
    assert told.verdicts.equals(read(GOOD))


# ---------------------------------------------------------------------- which of them stand


def test_the_latest_stands_and_of_one_time_the_last_row() -> None:
    rows = [row(when="2025-09-02", verdict="no"), row(when="2025-09-01"), row(label="locErr"),
            row(label="locErr", verdict="no")]  # fmt: skip
    kept = standing(read(*rows), SITES)
    found = zip(kept.column("label").to_pylist(), kept.column("verdict").to_pylist(), strict=True)
    assert dict(found) == {"jump": False, "locErr": False}


def test_verdicts_on_one_scan_meet_however_it_is_spelt() -> None:
    """By place and meaning of the step: one names the site by its id, the other by its name."""
    other = row(location_id="", business_step="Factory_Inbound", event_type="Inbound", event_id="", when="2025-10-01")
    assert len(standing(read(row(event_type="Inbound"), other), SITES)) == 1
    assert len(standing(read(GOOD, row(location_id="17")), SITES)) == 2


CHOICES = {
    "epc_code": (EPC, EPC[:-1] + "3", ""),
    "location_id": ("1", "1.0", "17", "999", "DOCK"),
    "event_time": ("2025-07-01T10:34:17", "2025-07-01 10:34:17", "2025-07-01T10:34:18"),
    "business_step": ("Factory", "Aggregation", "Mars", ""),
    "label": LABELS,
    "verdict": ("yes", "no"),
    "when": ("2025-09-01", "2025-09-02"),
    "event_id": ("", "4"),
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.sampled_from(words) for name, words in CHOICES.items()}), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_what_stands_does_not_depend_on_where_rows_of_different_times_stand(rows: list[dict[str, str]], random) -> None:
    dated = [row(**{**changed, "when": f"2025-09-01T00:00:{number:02}"}) for number, changed in enumerate(rows)]
    kept = standing(read(*dated), SITES)
    random.shuffle(dated)
    again = standing(read(*dated), SITES)
    assert again.to_pylist() == kept.to_pylist()
    assert fingerprint(again) == fingerprint(kept)
    assert standing(kept, SITES).to_pylist() == kept.to_pylist()


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_every_scan_and_label_has_the_last_of_its_verdicts(rows: list[dict[str, str]]) -> None:
    """Against a plain loop over the rows."""
    # A missing step has the level that the event type names; an unknown one is another word.
    step = {"Factory": 0, "Aggregation": 0, "Mars": "Mars", "": 0}

    def scan(one: dict[str, str]) -> tuple[object, ...]:
        time = one["event_time"].replace(" ", "T")
        return one["epc_code"], time, one["location_id"].removesuffix(".0"), step[one["business_step"]], one["label"]

    # Without a name to fall back on, an id that is in no table stays a place of its own.
    told = [{**one, "scan_location": "", "event_type": "Aggregation"} for one in rows]
    latest: dict[tuple[object, ...], dict[str, str]] = {}
    for one in told:
        if scan(one) not in latest or one["when"] >= latest[scan(one)]["when"]:
            latest[scan(one)] = one
    kept = standing(read(*(row(**one) for one in told)), SITES)
    assert len(kept) == len(latest)
    assert sorted(kept.column("verdict").to_pylist()) == sorted(one["verdict"] == "yes" for one in latest.values())


# ---------------------------------------------------------------------- which events they judge


def test_a_verdict_finds_its_event_and_an_unknown_one_is_kept() -> None:
    events = read(GOOD, row(event_time="2025-07-01T11:00:00"), row(epc_code=""))
    verdicts = read(
        row(event_time="2025-07-01T11:00:00", event_id="", location_id=""), row(event_time="2025-07-02T11:00:00"),
        row(epc_code="", label="epcFake", verdict="no"),
    )  # fmt: skip
    found = find_events(verdicts, events, SITES)
    assert found.tolist() == [1, -1, 2]
    judged, holds = judged_labels(verdicts, found, 3)
    assert judged.sum() == 2 and judged[1, LABELS.index("jump")] and judged[2, LABELS.index("epcFake")]
    assert holds.sum() == 1 and holds[1, LABELS.index("jump")]


def test_no_verdicts_judge_nothing() -> None:
    empty = VERDICTS_SCHEMA.empty_table()
    found = find_events(empty, read(GOOD), SITES)
    assert judged_labels(empty, found, 1)[0].tolist() == [[False] * 5]
    assert find_events(read(GOOD), empty, SITES).tolist() == [-1]


def test_verdicts_can_be_made_of_keys() -> None:
    keys = read(GOOD, row(event_id="7", location_id="17")).select([*SCAN_COLUMNS, "event_id"])
    when = np.array([0, 60])
    made = verdict_rows(keys, np.array([0, 4]), np.array([True, False]), "a simulated investigator", when)
    assert made.schema == VERDICTS_SCHEMA
    assert made.column("label").to_pylist() == ["epcFake", "jump"]
    assert made.column("verdict").to_pylist() == [True, False]
    assert find_events(made, keys, SITES).tolist() == [0, 1]
    without = verdict_rows(keys.drop_columns("location_text"), np.array([0, 4]), np.array([True, False]), "x", when)
    assert without.column("location_text").null_count == 2


# ---------------------------------------------------------------------- on disk


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    kept = standing(read(GOOD, row(location_id="DOCK", scan_location="", label="locErr")), SITES)
    path = tmp_path / "deep" / "verdicts.parquet"
    write_verdicts(path, kept)
    again = read_verdicts(path)
    assert again.schema == VERDICTS_SCHEMA and again.to_pylist() == kept.to_pylist()
    assert read_verdicts(tmp_path / "none.parquet").to_pylist() == []
    first = path.read_bytes()
    write_verdicts(path, again)
    assert path.read_bytes() == first


def test_a_file_of_another_version_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "verdicts.parquet"
    pq.write_table(VERDICTS_SCHEMA.empty_table(), path)
    with pytest.raises(UserError, match=r"another format version.*--select verdicts"):
        read_verdicts(path)
    path.write_bytes(b"PAR1 nonsense")
    with pytest.raises(UserError, match=r"damaged.*--select verdicts"):
        read_verdicts(path)
