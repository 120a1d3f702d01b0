"""What is out of date, by what lies on disk: after new rows, other settings, lost files and runs that were killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from barcode_pipeline import chain
from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.times import day_number
from barcode_pipeline.nightly import note_model, note_training_set, stale_in_words, stale_once_merged, why_a_night
from barcode_pipeline.stale_dates import DATED, OF_DATA, arrived_dates, noted, stale_dates
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.events.projects import (
    HEADER,
    OTHER_EPC,
    dated_days,
    interim_bytes,
    line,
    make_project,
    simulated_lines,
    text,
    write_rows,
)
from barcode_pipeline_tests.nightly.nights import MAKERS, make_night

DATA = OF_DATA
NOTHING: dict[str, list[int]] = {asset: [] for asset in DATA}
NEWEST = day_number("2025-12-31")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names, rows = simulated_lines(2_000, True)
    workspace = make_project(tmp_path_factory.mktemp("stale"))
    write_rows(workspace.raw / "all.csv", names, rows)
    workspace.intake.take_in()
    make(workspace, dated_days(workspace))
    return workspace.root


@pytest.fixture
def made(made_once: Path, tmp_path: Path) -> Workspace:
    return Workspace.open(shutil.copytree(made_once, tmp_path / "made"))


def make(workspace: Workspace, days: list[int]) -> None:
    for maker in MAKERS.values():
        maker(workspace, days)


def stale(workspace: Workspace) -> dict[str, list[int]]:
    return stale_dates(workspace, DATA)


def of_data(stale: dict[str, list[int]]) -> dict[str, list[int]]:
    """Without what needs a model: none was trained here."""
    return {asset: stale[asset] for asset in DATA}


def deliver(workspace: Workspace, name: str, *lines: str) -> None:
    (workspace.raw / name).write_bytes(text(*lines))
    workspace.intake.take_in()


def scan(time: str, **fields: str) -> str:
    return line(event_time=time, **fields)


def test_nothing_is_out_of_date_after_a_backfill(made: Workspace) -> None:
    assert stale(made) == NOTHING
    assert stale_once_merged(made)["event_scores"] == dated_days(made)


def test_an_ordinary_new_date_makes_no_other_date_stale(made: Workspace) -> None:
    """Its rows belong to lots and EPCs with history: nothing of that is said otherwise because of later rows."""
    names, rows = simulated_lines(2_000, True)
    time, ids = names.index("event_time"), names.index("event_id")
    last = max(rows, key=lambda row: row[time])
    fresh = list(last)
    fresh[time], fresh[ids] = "2025-08-20 12:00:00", str(max(int(row[ids]) for row in rows if row[ids]) + 1)
    write_rows(made.raw / "new.csv", names, [fresh])
    made.intake.take_in()
    day = day_number("2025-08-20")
    assert of_data(stale_once_merged(made)) == {asset: [day] for asset in DATA}


def test_a_late_row_concerns_its_epc_then_its_lot(made: Workspace) -> None:
    other = OTHER_EPC.replace("900000001", "900000002")
    warehouse = {"location_id": "16", "scan_location": "Songdo Plant Warehouse", "business_step": "WMS"}
    rows = [
        scan("2025-07-05 09:00:00"),
        scan("2025-07-09 09:00:00", **warehouse, event_type="WMS_Outbound"),
        scan("2025-07-05 09:00:00", epc_code=other),
        scan("2025-07-08 09:00:00", epc_code=other, **warehouse, event_type="WMS_Inbound"),
        scan("2025-07-11 09:00:00", epc_code=other, **warehouse, event_type="WMS_Outbound"),
    ]
    deliver(made, "lot.csv", *rows)
    make(made, arrived := sorted(arrived_dates(made)))
    assert stale(made) == NOTHING and len(arrived) == 4
    deliver(made, "late.csv", scan("2025-07-07 09:00:00", **warehouse, event_type="WMS_Inbound"))
    days = {day: day_number(f"2025-07-{day:02}") for day in (5, 7, 8, 9, 11)}
    expected = stale_once_merged(made)
    assert expected["merged_events"] == [days[7]]
    assert expected["enriched_events"] == expected["rule_labels"] == [days[7], days[9]]
    assert expected["epc_sequences"] == [days[7], days[8], days[9], days[11]]
    chain.make_merged(made, [days[7]])
    assert stale(made) == {asset: expected[asset] if asset != "merged_events" else [] for asset in DATA}


def test_a_row_that_was_sent_first_and_is_dated_later_concerns_what_is_dated_before_it(made: Workspace) -> None:
    warehouse = {"location_id": "16", "scan_location": "Songdo Plant Warehouse", "business_step": "WMS"}

    def numbered(number: int, time: str, **fields: str) -> str:
        return f"{scan(time, **fields)}\t{number}"

    def deliver_numbered(name: str, *lines: str) -> None:
        (made.raw / name).write_bytes(text(*lines, header=f"{HEADER}\tevent_id"))
        made.intake.take_in()

    days = {day: day_number(f"2025-07-{day:02}") for day in (3, 5, 7, 9)}
    deliver_numbered(
        "lot.csv",
        numbered(3, "2025-07-03 09:00:00"),
        numbered(10, "2025-07-05 09:00:00", **warehouse, event_type="WMS_Inbound"),
        numbered(2, "2025-07-07 09:00:00", **warehouse, event_type="WMS_Outbound"),
    )
    make(made, list(days.values()))
    assert stale(made) == NOTHING
    # The second scan is numbered after it, stands at a higher level and is dated before it: it was sent too late. The
    # third is numbered before it, and looks past the second from now on. The first is said as it was.
    deliver_numbered("late.csv", numbered(4, "2025-07-09 09:00:00"))
    concerned = [days[5], days[7], days[9]]
    before = interim_bytes(made)
    assert of_data(stale_once_merged(made)) == {**dict.fromkeys(DATA, concerned), "merged_events": [days[9]]}
    make_night(made, days[9])
    found = interim_bytes(made)
    changed = {name.split("/")[1] for name in before if name.startswith("enriched") and before[name] != found[name]}
    assert changed == {"2025-07-07.parquet", "2025-07-09.parquet", "2025-07-05.parquet"}


def test_a_file_sent_twice_concerns_nothing_but_its_own_count(made: Workspace) -> None:
    shutil.copy(made.raw / "all.csv", made.raw / "again.csv")
    made.intake.take_in()
    before, days = interim_bytes(made), dated_days(made)
    assert of_data(stale_once_merged(made)) == {**NOTHING, "merged_events": days}
    chain.make_merged(made, days)
    assert stale(made) == NOTHING and interim_bytes(made) == before


def test_a_word_that_decides_nothing_concerns_its_own_date_alone(made: Workspace) -> None:
    names, rows = simulated_lines(2_000, True)
    operator = names.index("operator_id")
    row = next(row for row in rows if row[names.index("epc_code")])
    row[operator] = "4711"
    write_rows(made.raw / "all.csv", names, rows)
    made.intake.take_in()
    day = day_number(row[names.index("event_time")][:10])
    assert stale_once_merged(made)["epc_sequences"] == stale_once_merged(made)["rule_labels"] == [day]


def test_rows_that_are_taken_back_concern_what_followed_them(made: Workspace) -> None:
    expected = interim_bytes(made)
    deliver(made, "late.csv", scan("2025-07-05 09:00:00"), scan("2025-07-06 09:00:00"))
    make_night(made, NEWEST)
    assert interim_bytes(made) != expected
    deliver(made, "late.csv")
    made_again = make_night(made, NEWEST)
    found = interim_bytes(made)
    assert {name: found[name] for name in expected} == expected
    assert made_again["epc_sequences"] == [day_number("2025-07-05"), day_number("2025-07-06"), NEWEST]


def test_another_setting_makes_its_assets_stale_everywhere(made: Workspace) -> None:
    (made.root / "configuration.toml").write_text("[rules.thresholds]\njump = 50\n")
    changed = Workspace.open(made.root)
    assert stale(changed) == {**NOTHING, "rule_labels": dated_days(made)}
    chain.make_labels(changed, dated_days(made))
    assert stale(changed) == NOTHING


def test_a_file_that_is_gone_is_made_again(made: Workspace) -> None:
    expected = interim_bytes(made)
    day = dated_days(made)[5]
    made.enriched.path(day).unlink()
    assert stale(made) == {**NOTHING, "enriched_events": [day]}
    make_night(made, NEWEST)
    found = interim_bytes(made)
    assert {name: found[name] for name in expected} == expected


def test_without_the_ledger_everything_is_made_once_more(made: Workspace) -> None:
    expected = interim_bytes(made)
    shutil.rmtree(made.interim / "_made")
    assert stale(made) == {asset: dated_days(made) for asset in DATA}
    make(made, dated_days(made))
    assert stale(made) == NOTHING and interim_bytes(made) == expected


def test_what_was_made_from_a_stale_date_stays_stale(made: Workspace) -> None:
    """Labels made by hand before the date that they look back to: they are made again."""
    warehouse = {"location_id": "16", "scan_location": "Songdo Plant Warehouse", "business_step": "WMS"}
    rows = [scan("2025-07-05 09:00:00"), scan("2025-07-09 09:00:00", **warehouse, event_type="WMS_Outbound")]
    deliver(made, "lot.csv", *rows)
    first, last = (day_number(f"2025-07-{day:02}") for day in (5, 9))
    chain.make_merged(made, [first, last])
    chain.make_enriched(made, [last])
    chain.make_labels(made, [last])
    assert first in stale(made)["enriched_events"] and last in stale(made)["rule_labels"]
    make_night(made, NEWEST)
    assert stale(made) == NOTHING


@pytest.mark.parametrize("writes", [0, 1, 3, 20])
@pytest.mark.parametrize("asset", DATA)
def test_a_night_that_is_killed_is_healed_by_the_next(
    made: Workspace, monkeypatch: pytest.MonkeyPatch, asset: str, writes: int
) -> None:
    names, rows = simulated_lines(2_000, True)
    write_rows(made.raw / "late.csv", names, [[*row[:-1], row[-1]] for row in rows[::40]])
    (made.raw / "more.csv").write_bytes(text(*(scan(f"2025-07-{day:02} 09:00:00") for day in range(4, 30, 3))))
    clean = make_project(made.root.parent / "clean")
    shutil.copytree(made.raw, clean.raw, dirs_exist_ok=True)
    clean.intake.take_in()
    make(clean, dated_days(clean))

    real, left = DateStore.write, [writes]

    def write_or_die(
        self: DateStore, table: pa.Table, day_of_row: object, days: list[int], others: list[pa.Table] | None = None
    ) -> dict[int, int]:
        if self.folder.name != asset:
            return real(self, table, day_of_row, days, others)  # type: ignore[arg-type]
        # Some dates are written, then the process is gone.
        some = days[: left[0]]
        within = pa.array([day in some for day in day_of_row.tolist()])  # type: ignore[attr-defined]
        day_of_some = day_of_row[within.to_numpy(zero_copy_only=False)]  # type: ignore[index]
        real(self, table.filter(within), day_of_some, some, None if others is None else others[: left[0]])
        raise KeyboardInterrupt

    monkeypatch.setattr(DateStore, "write", write_or_die)
    with pytest.raises(KeyboardInterrupt):
        make_night(made, NEWEST)
    monkeypatch.undo()
    make_night(made, NEWEST)
    found, expected = interim_bytes(made), interim_bytes(clean)
    assert {name for name in expected if found.get(name) != expected[name]} == set()
    assert stale(made) == NOTHING


def test_a_night_opens_only_what_it_needs(made: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(made, "new.csv", scan("2025-08-20 09:00:00"))
    make_night(made, day_number("2025-08-20"))
    opened: list[str] = []
    real = DateStore._read_one

    def read(self: DateStore, path: Path, columns: list[str]) -> pa.Table:
        opened.append(f"{path.parent.name}/{path.stem}")
        return real(self, path, columns)

    monkeypatch.setattr(DateStore, "_read_one", read)
    deliver(made, "newer.csv", scan("2025-08-21 10:00:00"))
    make_night(made, day_number("2025-08-21"))
    assert set(opened) == {
        f"{asset}/{date}" for asset in ("merged_events", "enriched_events") for date in ("2025-08-20", "2025-08-21")
    }


def test_why_a_night(made: Workspace) -> None:
    make_scores_up_to_date(made)
    night = dated_days(made)[-1]
    assert why_a_night(made, night) == (True, "no model has been trained on these rows")
    note_training_set(made)
    note_model(made, "lstm_model")
    assert why_a_night(made, night) == (False, "nothing has changed since the model was trained")
    # A date that has not had its night yet asks for none; the next one does.
    assert not why_a_night(made, night + 1).needed
    (made.raw / "new.csv").write_bytes(text(scan("2025-08-20 09:00:00")))
    assert why_a_night(made, night) == (True, "1 raw files are new or have changed")
    made.intake.take_in()
    assert not why_a_night(made, night).needed
    newest = day_number("2025-08-20")
    assert why_a_night(made, newest) == (True, "1 dates are out of date: 2025-08-20")
    make(made, [newest])
    make_scores_up_to_date(made)
    assert why_a_night(made, newest).words.startswith("rows, feedback or settings have changed")
    note_training_set(made)
    note_model(made, "lstm_model")
    assert not why_a_night(made, newest).needed
    made.feedback.mkdir(parents=True)
    (made.feedback / "verdicts.csv").write_text("x")
    assert why_a_night(made, newest).needed


def test_nothing_at_all_needs_no_night(tmp_path: Path) -> None:
    assert not why_a_night(make_project(tmp_path / "empty"), NEWEST).needed


def test_stale_dates_in_words(made: Workspace) -> None:
    first = day_number("2025-07-01")
    words = stale_in_words({**{asset: [] for asset in DATED}, "rule_labels": [first, first + 1, first + 2, first + 9]})
    assert words == ["rule_labels      4 out of date: 2025-07-01...2025-07-03, 2025-07-10"]


def make_scores_up_to_date(workspace: Workspace) -> None:
    """Scores and alerts as if a model had made them: which ones does not matter here."""
    days = dated_days(workspace)
    for asset, store in (("event_scores", workspace.scores), ("alerts", workspace.alerts)):
        store.write(store.schema.empty_table(), np.zeros(0, np.int64), days)
        noted(workspace, asset, dict.fromkeys(days, 0))
