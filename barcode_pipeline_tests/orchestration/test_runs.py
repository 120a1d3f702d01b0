from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.orchestration.resources import ComputeResource
from barcode_pipeline_tests.orchestration.conftest import Made
from barcode_pipeline_tests.orchestration.project import DATA_ASSETS, DATES, copied, run, workspace

STORES = {
    "merged_events": "merged",
    "enriched_events": "enriched",
    "rule_labels": "labels",
    "epc_sequences": "sequences",
    "event_scores": "scores",
}


def failure_of(result: dg.ExecuteInProcessResult, step: str) -> str:
    """What a failed step says."""
    (event,) = [event for event in result.get_step_failure_events() if event.step_key == step]
    error = event.step_failure_data.error
    assert error is not None
    return error.message


def latest(instance: dg.DagsterInstance, asset: str, partition: str | None = None) -> dg.AssetMaterialization:
    where = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[partition] if partition else None)
    (record,) = instance.fetch_materializations(where, limit=1).records
    assert record.asset_materialization is not None
    return record.asset_materialization


@pytest.mark.parametrize("asset", STORES)
def test_a_range_tells_the_rows_of_each_date(made: Made, asset: str) -> None:
    store = getattr(workspace(made.root), STORES[asset])
    days = range(day_number(DATES[0]), day_number(DATES[1]) + 1)
    told = {
        event.materialization.partition: event.materialization.metadata["dagster/row_count"].value
        for event in (one.step_materialization_data for one in made.result.get_asset_materialization_events())
        if event.materialization.asset_key == dg.AssetKey(asset)
    }
    assert told == {date_text(day): store.rows(day) for day in days}
    assert 0 in told.values() and max(told.values()) > 0


def test_columns_that_were_taken_over_have_a_lineage(made: Made) -> None:
    lineage = latest(made.instance, "enriched_events", DATES[1]).metadata["dagster/column_lineage"].value
    assert lineage.deps_by_column["epc_code"] == [
        dg.TableColumnDep(asset_key=dg.AssetKey("merged_events"), column_name="epc_code")
    ]
    assert "latitude" not in lineage.deps_by_column


def test_the_model_shows_what_it_is(made: Made) -> None:
    metadata = latest(made.instance, "lstm_model").metadata
    assert Path(str(metadata["file"].value)).is_file()
    assert metadata["epochs"].value == 2
    assert set(metadata["thresholds"].value) == {"epcFake", "epcDup", "locErr", "evtOrderErr", "jump"}
    assert "data:image/png;base64," in str(metadata["training_curve"].value)


def test_the_report_shows_figures_and_plots(made: Made) -> None:
    metadata = latest(made.instance, "evaluation_report").metadata
    assert Path(str(metadata["report"].value)).read_text().startswith("<!")
    assert "LSTM" in str(metadata["metrics"].value)
    assert any("data:image/png;base64," in str(entry.value) for entry in metadata.values())


def test_training_says_how_far_it_is(made: Made) -> None:
    said = [record.user_message for record in made.instance.all_logs(made.result.run_id)]
    assert any(text.startswith("epoch 2/2") for text in said)


def test_a_date_made_again_has_the_same_version(made: Made, tmp_path: Path) -> None:
    root = copied(made.root, tmp_path / "project")
    busy = busiest_date(root)
    with dg.DagsterInstance.ephemeral() as instance:
        versions = []
        for _ in range(2):
            assert run(root, DATA_ASSETS, instance, busy).success
            versions.append([latest(instance, name, busy).tags["dagster/data_version"] for name in DATA_ASSETS])
        assert versions[0] == versions[1]


def test_without_raw_files_the_run_says_what_to_do(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(tmp_path, DATA_ASSETS, instance, "2025-07-02")
    assert not result.success
    assert "There are no raw files in" in failure_of(result, "merged_events")
    assert "make data" in failure_of(result, "merged_events")


def test_without_a_training_set_the_run_says_what_to_do(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(tmp_path, ["lstm_model"], instance)
    assert "There is no training set" in failure_of(result, "lstm_model")
    assert "make run" in failure_of(result, "lstm_model")


def test_raw_files_that_are_gone_leave_what_was_taken_in(made: Made, tmp_path: Path) -> None:
    root = copied(made.root, tmp_path / "project")
    for path in (root / "data" / "raw").rglob("*.csv"):
        path.unlink()
    with dg.DagsterInstance.ephemeral() as instance:
        busy = busiest_date(root)
        rows = workspace(root).merged.rows(day_number(busy))
        assert run(root, DATA_ASSETS, instance, busy).success
        assert workspace(root).merged.rows(day_number(busy)) == rows


def test_training_uses_the_device_of_the_resource(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(made.root, ["baseline_models"], instance, device="cuda")
    assert "PyTorch finds no CUDA device" in failure_of(result, "baseline_models")


def test_an_unknown_device_is_refused(made: Made) -> None:
    with pytest.raises(UserError, match="auto, cpu, cuda"):
        ComputeResource(device="gpu").choose(workspace(made.root))


def busiest_date(root: Path) -> str:
    merged = workspace(root).merged
    return date_text(max(merged.days(), key=lambda day: merged.rows(day) or 0))
