from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.events.verdicts import read_verdicts, write_verdicts
from barcode_pipeline.orchestration.checks import (
    files_accounted,
    rows_conserved,
    same_rows,
    unique_keys,
    verdict_rows_accounted,
)
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline_tests.orchestration.conftest import Made
from barcode_pipeline_tests.orchestration.project import DATES, copied, run, workspace

DAYS = list(range(day_number(DATES[0]), day_number(DATES[1]) + 1))


def rewrite(store: DateStore, day: int, change: Callable[[pa.Table], pa.Table]) -> None:
    table = change(store.read([day]))
    store.write(table, np.full(len(table), day), [day])


def without_last_row(table: pa.Table) -> pa.Table:
    return table.slice(0, len(table) - 1)


def busy_day(root: Path) -> int:
    merged = workspace(root).merged
    return max(merged.days(), key=lambda day: merged.rows(day) or 0)


@pytest.fixture
def project(made: Made, tmp_path: Path) -> Path:
    return copied(made.root, tmp_path / "project")


JUDGES = {
    "merged": rows_conserved,
    "enriched": same_rows("merged", "enriched"),
    "labels": same_rows("enriched", "labels"),
    "sequences": same_rows("labels", "sequences"),
    "scores": same_rows("sequences", "scores"),
}


@pytest.mark.parametrize("store", JUDGES)
def test_a_lost_row_is_found_on_its_date(project: Path, store: str) -> None:
    place, day, judge = workspace(project), busy_day(project), JUDGES[store]
    assert all(finding.passed for finding in judge(place, DAYS))
    rewrite(getattr(place, store), day, without_last_row)
    assert [finding.day for finding in judge(place, DAYS) if not finding.passed] == [day]


@pytest.mark.parametrize("store", JUDGES)
def test_a_missing_file_is_found(project: Path, store: str) -> None:
    place, day = workspace(project), busy_day(project)
    getattr(place, store).path(day).unlink()
    assert [finding.day for finding in JUDGES[store](place, DAYS) if not finding.passed] == [day]


def test_an_event_that_stands_twice_is_found(project: Path) -> None:
    place, day = workspace(project), busy_day(project)
    assert all(finding.passed for finding in unique_keys(place, DAYS))
    for store in (place.enriched, place.labels):
        rewrite(store, day, lambda table: pa.concat_tables([table, table.slice(0, 1)]))
    assert [finding.day for finding in unique_keys(place, DAYS) if not finding.passed] == [day]


def test_two_places_told_apart_by_an_id_in_words_are_two_events(project: Path) -> None:
    place, day = workspace(project), busy_day(project)

    def twice(table: pa.Table) -> pa.Table:
        table = pa.concat_tables([table, table.slice(0, 1)])
        column = table.schema.get_field_index("location_text")
        if column < 0:
            return table
        words = pa.array([*["A1"] * (len(table) - 1), "B2"]).dictionary_encode()
        return table.set_column(column, "location_text", words)

    for store in (place.enriched, place.labels):
        rewrite(store, day, twice)
    assert all(finding.passed for finding in unique_keys(place, [day]))


def test_no_dates_with_rows_is_no_fault(made: Made) -> None:
    empty = [day for day in DAYS if not workspace(made.root).merged.rows(day)]
    assert empty
    for judge in (*JUDGES.values(), unique_keys):
        assert all(finding.passed and not finding.rows for finding in judge(workspace(made.root), empty[:1]))


def test_a_failed_check_stops_what_follows(project: Path) -> None:
    place, day = workspace(project), busy_day(project)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(project, ["epc_sequences", "event_scores"], instance, date_text(day)).success
        rewrite(place.labels, day, without_last_row)
        result = run(project, ["epc_sequences", "event_scores"], instance, date_text(day))
    assert not result.success
    (evaluation,) = (one for one in result.get_asset_check_evaluations() if one.blocking and not one.passed)
    assert (evaluation.check_name, evaluation.partition, evaluation.passed) == ("same_rows", date_text(day), False)
    assert date_text(day) in str(evaluation.description)
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
    assert made == {"epc_sequences"}


def test_every_date_with_rows_of_a_range_has_a_result_of_its_own(made: Made) -> None:
    place = workspace(made.root)
    with_rows = {date_text(day) for day in DAYS if place.merged.rows(day)}
    for asset, name in (("merged_events", "rows_conserved"), ("event_scores", "same_rows")):
        evaluations = [
            evaluation
            for evaluation in made.result.get_asset_check_evaluations()
            if (evaluation.asset_key.to_user_string(), evaluation.check_name) == (asset, name)
        ]
        assert all(evaluation.passed for evaluation in evaluations)
        assert {evaluation.partition for evaluation in evaluations} == {*with_rows, None}


def test_a_lost_date_fails_the_range(project: Path) -> None:
    place, day = workspace(project), busy_day(project)
    rewrite(place.labels, day, without_last_row)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(project, ["epc_sequences"], instance, (date_text(day - 2), date_text(day + 2)))
    assert not result.success
    failed = [evaluation.partition for evaluation in result.get_asset_check_evaluations() if not evaluation.passed]
    assert sorted(map(str, failed)) == sorted([date_text(day), "None"])


def test_rows_of_a_file_that_lie_on_no_date_are_found(project: Path) -> None:
    resource = WorkspaceResource(root=str(project))
    assert files_accounted(workspace=resource).passed
    with closing(sqlite3.connect(workspace(project).intake.folder / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("DELETE FROM file_dates WHERE day = ?", (busy_day(project),))
    assert not files_accounted(workspace=resource).passed


def test_a_file_with_more_rows_read_than_kept_and_quarantined_is_found(project: Path) -> None:
    with closing(sqlite3.connect(workspace(project).intake.folder / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE files SET rows_read = rows_read + 1 WHERE path = 'icn.csv'")
    assert not files_accounted(workspace=WorkspaceResource(root=str(project))).passed


VERDICTS = """epc_code,event_time,location_id,business_step,event_type,label,verdict,who,when
x,2025-07-01 10:00:00,1,Factory,Aggregation,jump,yes,kim,2025-09-01
x,2025-07-01 10:00:00,1,Factory,Aggregation,jump,no,kim,2025-09-02
x,2025-07-01 10:00:00,1,Factory,Aggregation,locErr,,,
x,2025-07-01 10:00:00,1,Factory,Aggregation,theft,yes,kim,2025-09-02
y,2025-07-01 10:00:00,1,Factory,Aggregation,jump,no,kim,2025-09-02
"""


def test_verdicts_are_accounted_for(project: Path) -> None:
    place = workspace(project)
    place.feedback.mkdir(parents=True)
    (place.feedback / "a.csv").write_text(VERDICTS)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(project, ["verdicts"], instance)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert check.passed and check.metadata["rows_on_disk"].value == 2
    (made,) = result.asset_materializations_for_node("verdicts")
    assert made.metadata["dagster/row_count"].value == 2
    assert made.metadata["replaced_by_later_ones"].value == made.metadata["quarantined"].value == 1
    assert made.metadata["on_unknown_events"].value == 2
    # A verdict that is lost on disk does not go unseen.
    write_verdicts(place.verdicts, read_verdicts(place.verdicts).slice(0, 1))
    assert not verdict_rows_accounted(workspace=WorkspaceResource(root=str(project))).passed
