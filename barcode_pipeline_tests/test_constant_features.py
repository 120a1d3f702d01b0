"""Features with one value on all events of a date: stopped where that is no chance, and never on an ordinary date."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from barcode_pipeline import chain
from barcode_pipeline.configuration import Configuration
from barcode_pipeline.constant_features import Varies, find_constant_features
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.times import date_text
from barcode_pipeline.nightly import note_training_set
from barcode_pipeline.orchestration.checks import features_vary, label_rates
from barcode_pipeline.orchestration.night_run import failures_of
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.tables import SEQUENCES_SCHEMA, feature_matrix
from barcode_pipeline.simulator import World, write_simulation
from barcode_pipeline.stale_dates import OF_DATA, stale_dates
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.orchestration.project import definitions

WORLD = World(50_000, seed=8, start=datetime(2025, 7, 1, 8), end=datetime(2025, 8, 30, 20), lots=60)
MAKERS = (chain.make_merged, chain.make_enriched, chain.make_labels, chain.make_sequences)
JUDGED_DAYS = 20


def in_service(workspace: Workspace, judged_days: int) -> None:
    """A model that has learnt all but the last days: what it answers is not asked here."""
    chain.make_split(workspace, judged_days)
    note_training_set(workspace)
    workspace.model_pointer.parent.mkdir(parents=True, exist_ok=True)
    workspace.model_pointer.write_text(f'{{"model_file": "learnt_all_but_{judged_days}.pt"}}')


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("constant") / "project", Configuration())
    write_simulation(workspace.root, WORLD)
    workspace.intake.take_in()
    for make in MAKERS:
        make(workspace, workspace.intake.days())
    in_service(workspace, JUDGED_DAYS)
    return workspace


@pytest.fixture
def project(made: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(made.root, tmp_path / "project", symlinks=True)
    return Workspace(tmp_path / "project", made.configuration)


def gated(workspace: Workspace, **keys: object) -> Workspace:
    gate = workspace.configuration.gate.model_copy(update=keys)
    return replace(workspace, configuration=workspace.configuration.model_copy(update={"gate": gate}))


def busy_day(workspace: Workspace) -> int:
    """The day with most rows of those that the model has not learnt."""
    return max(workspace.sequences.days()[-JUDGED_DAYS:], key=lambda day: workspace.sequences.rows(day) or 0)


def found(workspace: Workspace, day: int) -> Varies:
    (varies,) = find_constant_features(workspace, [day])
    return varies


def names(varies: Varies) -> list[str]:
    return [FEATURE_NAMES[one.feature] for one in varies.constant]


def spoil(workspace: Workspace, day: int, change: Callable[[np.ndarray], None]) -> None:
    """Change the features of a date on disk. change: works on (N, F) in place."""
    table = workspace.sequences.read([day])
    values = feature_matrix(table).copy()
    change(values)
    kind = SEQUENCES_SCHEMA.field("features").type
    column = pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
    place = table.schema.get_field_index("features")
    table = table.set_column(place, table.schema.field("features"), column)
    workspace.sequences.write(table, np.full(len(table), day), [day])


def constant(feature: str, value: float) -> Callable[[np.ndarray], None]:
    def change(values: np.ndarray) -> None:
        values[:, FEATURE_NAMES.index(feature)] = value

    return change


# ------------------------------------------------------------------ ordinary dates


@pytest.mark.parametrize("judged_days", [45, JUDGED_DAYS, 2])
def test_no_ordinary_date_is_stopped(project: Workspace, judged_days: int) -> None:
    """From the first date, on which there are factories alone, to the last, whatever of it the model has learnt."""
    in_service(project, judged_days)
    days = project.sequences.days()
    findings = features_vary(project, days)
    assert len(findings) == len(days) > 55 and all(finding.rows for finding in findings)
    assert [finding.reason for finding in findings if not finding.passed] == []


def test_a_small_date_is_not_stopped(project: Workspace) -> None:
    """Of few rows most features are the same."""
    day = busy_day(project)
    stores = (project.sequences, project.enriched)
    tables = [store.read([day]) for store in stores]
    for rows in (1, 2, 5, 20):
        for store, table in zip(stores, tables, strict=True):
            store.write(table.slice(7, rows), np.full(rows, day), [day])
        assert found(project, day).constant == []
    stores[1].write(tables[1], np.full(len(tables[1]), day), [day])
    with pytest.raises(UserError, match="do not hold the same events of 2025-08-"):
        found(project, day)


def test_sales_alone_are_not_stopped(project: Workspace) -> None:
    """On a holiday only shops may be open. The model has seen them sell."""
    in_service(project, 2)
    days = project.sequences.days()
    features = feature_matrix(project.sequences.read(days[-25:]))
    sales = features[:, FEATURE_NAMES.index("level_sale")] > 0
    assert sales.sum() > 300
    for store in (project.sequences, project.enriched):
        table = store.read(days[-25:]).filter(pa.array(sales))
        store.write(table, np.full(len(table), days[-1]), [days[-1]])
    assert names(found(project, days[-1])) == []


def test_without_a_model_there_is_nothing_to_compare_with(project: Workspace) -> None:
    day = busy_day(project)
    spoil(project, day, constant("log_hours_since_previous", 1))
    assert not features_vary(project, [day])[0].passed
    project.model_pointer.unlink()
    (finding,) = features_vary(project, [day])
    assert finding.passed and finding.rows == 0


# ------------------------------------------------------------------ what is stopped

TYPICAL = float("nan")
"""The value of an event of the date: nothing is odd about it but that all have it."""


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("log_hours_since_previous", TYPICAL),
        ("log_hours_since_previous", 0.0),
        ("years_since_manufacture", TYPICAL),
        ("log_distance", 0.0),
        ("log_position", TYPICAL),
        ("same_site", TYPICAL),
        ("previous_level", TYPICAL),
        ("lot_log_events", TYPICAL),
        ("lot_log_moves_alike", TYPICAL),
        ("place_known", 0.0),
        ("code_missing", 1.0),
        ("code_company_registered", 0.0),
        ("sites_in_second", 1.0),
        ("transit_deviation", 2.0),
        ("level_wms", 1.0),
        ("direction_in", 0.0),
    ],
)
def test_a_feature_gone_constant_is_stopped_and_named(project: Workspace, feature: str, value: float) -> None:
    day = busy_day(project)
    column = feature_matrix(project.sequences.read([day]))[:, FEATURE_NAMES.index(feature)]
    usual = float(column[len(column) // 2]) if np.isnan(value) else value
    spoil(project, day, constant(feature, usual))
    varies = found(project, day)
    # Of levels and directions that all events lack nobody can say which of them is wrong.
    assert feature in names(varies) if feature == "direction_in" else names(varies) == [feature]
    (finding,) = features_vary(project, [day])
    assert not finding.passed and feature in finding.facts["constant"]
    rows = project.sequences.rows(day)
    assert f"{feature} is {usual:.3g}" in finding.reason and f" on {rows:,} of {rows:,} events" in finding.reason
    assert "raw files of this date" in finding.reason and "gate.may_be_constant" in finding.reason


def test_what_is_no_number_is_stopped(project: Workspace) -> None:
    day = busy_day(project)
    spoil(project, day, constant("log_distance", float("nan")))
    assert names(found(project, day)) == ["log_distance"]


def test_some_rows_that_differ_make_no_difference(project: Workspace) -> None:
    day = busy_day(project)

    def change(values: np.ndarray) -> None:
        values[7:, FEATURE_NAMES.index("log_hours_since_previous")] = 1

    spoil(project, day, change)
    assert names(found(project, day)) == ["log_hours_since_previous"]


def test_the_configuration_lets_pass(project: Workspace) -> None:
    day = busy_day(project)
    spoil(project, day, constant("log_distance", 0))
    assert features_vary(gated(project, may_be_constant=("log_distance",)), [day])[0].passed
    assert features_vary(gated(project, constant_chance=0.0), [day])[0].passed
    with pytest.raises(UserError, match=r"gate\.may_be_constant names distance, which is no feature"):
        features_vary(gated(project, may_be_constant=("distance",)), [day])


# ------------------------------------------------------------------ columns of raw files


def rewrite_raw(workspace: Workspace, date: str, columns: dict[str, str]) -> None:
    """Give every row of a date the same in some columns of the raw files."""
    for path in sorted(workspace.raw.rglob("*.csv")):
        rows = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        of_date = rows["event_time"].str.startswith(date)
        for name, value in columns.items():
            rows.loc[of_date, name] = value
        rows.to_csv(path, sep="\t", index=False)


COLUMNS = {
    "event types empty": ({"event_type": ""}, "direction_missing", "event_type"),
    "event types of another system": ({"event_type": "EV-17"}, "direction_other", "event_type"),
    "one step for all": ({"business_step": "WMS"}, "level_wms", "business_step"),
    "unknown places": ({"location_id": "9999", "scan_location": "?"}, "place_known", "location_id and scan_location"),
    "no codes": ({"epc_code": ""}, "code_missing", "epc_code"),
}


@pytest.mark.parametrize("which", COLUMNS)
def test_a_column_that_is_stuck_or_missing_is_stopped(project: Workspace, which: str) -> None:
    columns, feature, column = COLUMNS[which]
    day = busy_day(project)
    rewrite_raw(project, date_text(day), columns)
    project.intake.take_in()
    for make in MAKERS:
        make(project, [day])
    varies = found(project, day)
    assert feature in names(varies) and column in varies.in_words()


def test_one_code_for_all_is_stopped_by_the_rates(project: Workspace) -> None:
    """Of 1,300 rows few are left, most being equal then: the date is judged all the same."""
    day = busy_day(project)
    assert label_rates(project, [day])[0].passed
    code = project.sequences.read([day]).column("epc_code")[0].as_py()
    rewrite_raw(project, date_text(day), {"epc_code": code})
    project.intake.take_in()
    for make in MAKERS:
        make(project, [day])
    assert (project.labels.rows(day) or 0) < project.configuration.gate.lowest_rows
    (finding,) = label_rates(project, [day])
    assert not finding.passed and "gate.label_rates allows 0 to 0.1" in finding.reason


# ------------------------------------------------------------------ a night

WIDE = "\n".join(f"{name} = [0, 1]" for name in ("epcFake", "epcDup", "locErr", "evtOrderErr", "jump"))


def test_it_stops_the_night_before_the_model(project: Workspace) -> None:
    (project.root / "configuration.toml").write_text(f"[gate.label_rates]\n{WIDE}\n")
    day = busy_day(project)
    date = date_text(day)
    rewrite_raw(project, date, {"event_type": ""})
    assets: Sequence[str] = (*OF_DATA, "train_eval_split")
    pointer = project.model_pointer.read_bytes()
    with dg.DagsterInstance.ephemeral() as instance:
        result = (
            definitions(project.root)
            .resolve_job_def("nightly")
            .execute_in_process(
                instance=instance,
                partition_key=date_text(project.sequences.days()[-1]),
                asset_selection=[dg.AssetKey(name) for name in assets],
                raise_on_error=False,
            )
        )
    assert not result.success and project.model_pointer.read_bytes() == pointer
    assert "train_eval_split" not in {event.step_key for event in result.get_step_success_events()}
    told = [sentence for sentence in failures_of(result) if "features_vary" in sentence]
    assert told and f"fails on {date}: direction_missing is 1 on " in told[0] and "event_type" in told[0]
    stale = stale_dates(project)
    assert stale["rule_labels"] == [] and stale["epc_sequences"] == [day], "the next night makes and judges it again"
