from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from barcode_pipeline.drift_nights import OF_SCORES, OF_SEQUENCES, drift_figures
from barcode_pipeline.drifting import (
    ERROR,
    FINE,
    drift_over_time,
    in_words,
    scores_drift,
    sequences_drift,
    shown,
)
from barcode_pipeline.evaluation.drift_plot import drift_png
from barcode_pipeline.events.formats import ALERTS, LABELS, PROBABILITIES
from barcode_pipeline.events.times import date_text
from barcode_pipeline.learnt import learnt_from
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.tables import SEQUENCES_SCHEMA, feature_matrix
from barcode_pipeline.workspace import Workspace

LOWEST = 20


@pytest.fixture
def workspace(copy_of_project: Workspace) -> Workspace:
    configuration = copy_of_project.configuration
    drift = configuration.drift.model_copy(
        update={"lowest_rows": LOWEST, "fewest_shipments": 5, "nights": (5, 20), "against_nights": 20, "silent_days": 9}
    )
    return replace(copy_of_project, configuration=configuration.model_copy(update={"drift": drift}))


def judged_days(workspace: Workspace) -> list[int]:
    return [day for day in workspace.enriched.days() if (workspace.enriched.rows(day) or 0) >= LOWEST]


def rewrite_features(workspace: Workspace, days: list[int], feature: str, value: float) -> None:
    for day in days:
        table = workspace.sequences.read([day])
        values = feature_matrix(table).copy()
        values[:, FEATURE_NAMES.index(feature)] = value
        kind = SEQUENCES_SCHEMA.field("features").type
        column = pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
        table = table.set_column(table.schema.get_field_index("features"), table.schema.field("features"), column)
        workspace.sequences.write(table, np.full(len(table), day), [day])


def test_every_date_with_enough_rows_has_its_figures(workspace: Workspace) -> None:
    days = workspace.enriched.days()
    found = {drift.day: drift for drift in sequences_drift(workspace, days)}
    assert sorted(found) == days
    judged = judged_days(workspace)
    assert len(judged) > 20 and {day for day, drift in found.items() if drift.figures} == set(judged)
    for day in judged[-5:]:
        labels = workspace.labels.read([day], LABELS)
        figures = found[day].figures
        assert {name: figures[f"{name}_rate"] for name in LABELS} == pytest.approx(
            {name: np.mean(labels.column(name).to_numpy()) for name in LABELS}
        )
        assert 0 <= figures["unseen_lots"] <= 1 and figures["unseen_sites"] < 0.2
        assert figures["highest_index"] == max(v for k, v in figures.items() if k.startswith("index_"))
        assert not any(name.startswith("index_") for name in shown(found[day]))
    table = drift_figures(workspace, OF_SEQUENCES, judged[-1:])
    assert dict(zip(table.column("figure").to_pylist(), table.column("value").to_pylist(), strict=True)) == (
        pytest.approx(found[judged[-1]].figures, nan_ok=True)
    )


def test_the_first_lot_is_unseen_and_the_last_days_are_not(workspace: Workspace) -> None:
    first, *_, last = judged_days(workspace)
    drifts = {drift.day: drift.figures for drift in sequences_drift(workspace, [first, last])}
    assert drifts[first]["unseen_lots"] > 0.9 and drifts[last]["unseen_lots"] < 0.9


def test_a_feature_gone_constant_is_an_error_that_names_it(workspace: Workspace) -> None:
    days = judged_days(workspace)
    learnt_from(workspace)
    rewrite_features(workspace, workspace.sequences.days()[-60:], "code_six_parts", 0.0)
    (drift,) = sequences_drift(workspace, days[-1:])
    assert drift.level == ERROR
    assert any("code_six_parts" in reason and "population stability index" in reason for reason in drift.reasons)
    assert "code_six_parts" in in_words(drift)


def test_a_new_place_and_a_new_product_are_unseen(workspace: Workspace) -> None:
    day = judged_days(workspace)[-1]
    table = workspace.enriched.read([day])
    count = len(table)
    for name, word in (("site_name", "Nowhere"), ("epc_code", "001.8804823.7777777.010101.20250701.000000001")):
        column = pa.array([word] * count).dictionary_encode()
        table = table.set_column(table.schema.get_field_index(name), name, column)
    learnt_from(workspace)
    workspace.enriched.write(table, np.full(count, day), [day])
    (drift,) = sequences_drift(workspace, [day])
    assert drift.figures["unseen_sites"] == 1 and drift.figures["unseen_products"] == 1


def test_what_was_learnt_is_kept_until_another_model_is_in_service(workspace: Workspace) -> None:
    first = learnt_from(workspace)
    path = workspace.models / "drift" / "learnt_from.npz"
    stamp = path.stat().st_mtime_ns
    again = learnt_from(workspace)
    assert first is not None and again is not None and path.stat().st_mtime_ns == stamp
    assert np.array_equal(first.features.expected, again.features.expected) and first.places == again.places
    workspace.model_pointer.write_text(workspace.model_pointer.read_text().replace(".pt", "_2.pt"))
    learnt_from(workspace)
    assert path.stat().st_mtime_ns != stamp
    path.write_bytes(b"damaged")
    assert learnt_from(workspace) is not None
    workspace.model_pointer.unlink()
    assert learnt_from(workspace) is None
    (drift,) = sequences_drift(workspace, judged_days(workspace)[-1:])
    assert drift.level == FINE and "unseen_lots" in drift.figures and "highest_index" not in drift.figures


def test_many_more_alerts_than_usual_are_told(workspace: Workspace) -> None:
    days = judged_days(workspace)
    scores_drift(workspace, days)
    day = days[-1]
    table = workspace.scores.read([day])
    for name, value in ((ALERTS[4], True), (PROBABILITIES[4], 0.99)):
        place = table.schema.get_field_index(name)
        column = pa.array([value] * len(table), table.schema.field(place).type)
        table = table.set_column(place, name, column)
    workspace.scores.write(table, np.full(len(table), day), [day])
    (drift,) = scores_drift(workspace, [day])
    assert drift.level == ERROR and drift.figures["jumpAlert_rate"] == 1
    assert drift.figures["jumpProbability_stability"] > 1
    assert any(reason.startswith("jumpAlert_rate is 1.0000") for reason in drift.reasons)
    figures = drift_figures(workspace, OF_SCORES, [day]).column("figure").to_pylist()
    assert {f"{name}_rate" for name in ALERTS} <= set(figures)


def test_the_figures_over_time_are_drawn(workspace: Workspace) -> None:
    assert len(drift_over_time(workspace).dates) == 0
    days = judged_days(workspace)
    sequences_drift(workspace, days)
    scores_drift(workspace, days)
    drift = drift_over_time(workspace)
    assert [str(date) for date in drift.dates] == [date_text(day) for day in days]
    assert {"highest_index", "unseen_lots", "silent_epcs", "jumpAlert_rate"} <= set(drift.figures)
    png = drift_png(drift.dates, drift.figures)
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and len(png) > 10_000


def test_a_date_with_few_rows_says_nothing(workspace: Workspace) -> None:
    few = [day for day in workspace.enriched.days() if (workspace.enriched.rows(day) or 0) < LOWEST]
    drifts = sequences_drift(workspace, few[:3]) + scores_drift(workspace, few[:3])
    assert few and all(drift.level == FINE and not drift.figures for drift in drifts)
    assert "too few rows" in in_words(drifts[0])
