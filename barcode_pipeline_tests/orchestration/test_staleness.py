from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from barcode_pipeline.orchestration.versions import code_versions
from barcode_pipeline_tests.orchestration.project import (
    CONFIGURATION,
    DATA_ASSETS,
    definitions,
    make_project,
    run,
    workspace,
)

ALL = {
    "merged_events",
    "enriched_events",
    "rule_labels",
    "epc_sequences",
    "train_eval_split",
    "verdicts",
    "lstm_model",
    "baseline_models",
    "event_scores",
    "alerts",
    "evaluation_report",
}
TRAINED = {"lstm_model", "baseline_models", "evaluation_report"}
CHANGES = {
    '[time]\nzone = "UTC"': ALL,
    '[time]\nfirst_date = "2025-05-01"': ALL,
    "[rules.thresholds]\njump = 50": {"rule_labels", "train_eval_split", "alerts"} | TRAINED,
    "[rules]\nfastest_truck_km_per_hour = 80": ALL - {"merged_events", "enriched_events", "verdicts"},
    '[rules]\nregistered_companies = ["8804823"]': ALL - {"merged_events", "enriched_events", "verdicts"},
    "[split]\ntrain_share = 0.7": {"train_eval_split"} | TRAINED,
    "[sequences]\nlength = 8": TRAINED,
    "[model]\nwidth = 32": TRAINED,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_key_changes_the_versions_of_what_it_decides(tmp_path: Path, change: str) -> None:
    before = code_versions(workspace(tmp_path))
    (tmp_path / "configuration.toml").write_text(change)
    after = code_versions(workspace(tmp_path))
    assert set(before) == ALL
    assert {name for name in ALL if before[name] != after[name]} == CHANGES[change]


def test_a_changed_reference_table_changes_all_versions(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", events=200)
    before = code_versions(workspace(root))
    table = root / "data" / "processed" / "location_id_withGeospatial.csv"
    table.write_text(table.read_text() + "\n")
    after = code_versions(workspace(root))
    assert {name for name in ALL if before[name] != after[name]} == ALL


def statuses(root: Path, instance: dg.DagsterInstance, date: str) -> dict[str, str]:
    graph = definitions(root).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return {name: resolver.get_status(dg.AssetKey(name), date).value for name in DATA_ASSETS}


def test_the_page_shows_the_dates_that_a_threshold_made_stale(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", events=1_000)
    fresh, missing = StaleStatus.FRESH.value, StaleStatus.MISSING.value
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(root, DATA_ASSETS, instance, ("2025-07-02", "2025-07-05")).success
        assert set(statuses(root, instance, "2025-07-03").values()) == {fresh}
        assert set(statuses(root, instance, "2025-07-06").values()) == {missing}

        (root / "configuration.toml").write_text(CONFIGURATION + "\n[rules.thresholds]\njump = 50\n")
        stale = {**dict.fromkeys(DATA_ASSETS, fresh), "rule_labels": StaleStatus.STALE.value}
        assert statuses(root, instance, "2025-07-03") == stale

        # One date made again is fresh, the others wait.
        assert run(root, ["rule_labels", "epc_sequences"], instance, "2025-07-03").success
        assert set(statuses(root, instance, "2025-07-03").values()) == {fresh}
        assert statuses(root, instance, "2025-07-04") == stale


def test_new_rows_make_what_follows_stale_on_their_date_only(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", events=500)
    raw = next((root / "data" / "raw").glob("icn*.csv"))
    header, *lines = raw.read_text().splitlines()
    time = header.split("\t").index("event_time")
    date = lines[-1].split("\t")[time][:10]
    other = next(line.split("\t")[time][:10] for line in lines if line.split("\t")[time][:10] != date)
    raw.write_text("\n".join([header, *lines[:-1]]) + "\n")
    with dg.DagsterInstance.ephemeral() as instance:
        for each in (date, other):
            assert run(root, DATA_ASSETS, instance, each).success
        raw.write_text("\n".join([header, *lines]) + "\n")
        for each in (date, other):
            assert run(root, ["merged_events"], instance, each).success
        assert statuses(root, instance, date)["enriched_events"] == StaleStatus.STALE.value
        assert set(statuses(root, instance, other).values()) == {StaleStatus.FRESH.value}
