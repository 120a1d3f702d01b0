"""The job `nightly`: a run for one date makes what is out of date too, and the page knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.nightly import why_a_night
from barcode_pipeline.orchestration.night_run import failures_of, night_selection
from barcode_pipeline.serving.stores import has_history, open_history
from barcode_pipeline.stale_dates import DATED, stale_dates
from barcode_pipeline_tests.events.projects import interim_bytes
from barcode_pipeline_tests.orchestration.project import CONFIGURATION, definitions, make_project, run, workspace
from barcode_pipeline_tests.orchestration.test_staleness import statuses

DATA = DATED[:-2]


def night(
    root: Path, date: str, instance: dg.DagsterInstance, assets: Sequence[str] | None = None
) -> dg.ExecuteInProcessResult:
    selection = [dg.AssetKey(name) for name in assets] if assets else night_selection(workspace(root))
    return (
        definitions(root)
        .resolve_job_def("nightly")
        .execute_in_process(instance=instance, partition_key=date, asset_selection=selection, raise_on_error=False)
    )


def hold_back(root: Path, dates: Sequence[str]) -> dict[Path, str]:
    """Take the rows of some dates out of the raw files; returns the files as they were."""
    whole = {path: path.read_text() for path in (root / "data" / "raw").rglob("*.csv")}
    for path, content in whole.items():
        header, *lines = content.splitlines()
        time = header.split("\t").index("event_time")
        kept = [line for line in lines if line.split("\t")[time][:10] not in dates]
        path.write_text("\n".join([header, *kept]) + "\n")
    return whole


def dates_of(result: dg.ExecuteInProcessResult, asset: str) -> list[str]:
    """The dates that a run tells of an asset."""
    events = [one.step_materialization_data.materialization for one in result.get_asset_materialization_events()]
    return sorted(event.partition for event in events if event.asset_key == dg.AssetKey(asset) and event.partition)


def test_nights_of_data(tmp_path: Path) -> None:
    """First all that is there, then a new date and with it the rows of an earlier one: nothing is left out of date, the
    page shows the dates as fresh, and the bytes are those of one backfill."""
    clean = make_project(tmp_path / "clean", events=1_500)
    days = taken_in(clean)
    late, last = date_text(days[len(days) // 3]), date_text(days[-1])
    root = make_project(tmp_path / "project", events=1_500)
    whole = hold_back(root, [late, last])
    with dg.DagsterInstance.ephemeral() as instance:
        first = night(root, date_text(days[-2]), instance, DATA)
        assert first.success, failures_of(first)
        assert stale_dates(workspace(root), DATA) == {asset: [] for asset in DATA}
        for path, content in whole.items():
            path.write_text(content)
        second = night(root, last, instance, DATA)
        assert second.success, failures_of(second)
        assert stale_dates(workspace(root), DATA) == {asset: [] for asset in DATA}
        made = {asset: dates_of(second, asset) for asset in DATA}
        assert {late, last} <= set(made["epc_sequences"]), "late rows concern later dates of their lots"
        concerned = [date for date in made["epc_sequences"] if date not in (late, last)]
        assert concerned
        for date in (late, last, concerned[-1]):
            assert set(statuses(root, instance, date).values()) == {"FRESH"}
        judged = {(check.check_name, check.partition) for check in second.get_asset_check_evaluations()}
        assert {("unique_keys", late), ("label_rates", late), ("same_rows", concerned[-1])} <= judged
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(clean, DATA, instance, (date_text(days[0]), last)).success
    found, expected = interim_bytes(workspace(root)), interim_bytes(workspace(clean))
    assert {name for name in found if found[name] != expected[name]} == set() and len(found) > 300


def test_a_whole_night_then_none_is_needed(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", events=2_000)
    (root / "configuration.toml").write_text(CONFIGURATION)
    newest = date_text(max(taken_in(root)))
    with dg.DagsterInstance.ephemeral() as instance:
        done = night(root, newest, instance)
        assert done.success, failures_of(done)
        place = workspace(root)
        assert not why_a_night(place, day_number(newest)).needed
        assert dg.AssetKey("baseline_models") not in night_selection(place)
        pointer = place.model_pointer.read_text()

        # Bad data stops before the model: the one in service stays, the date stays out of date.
        (root / "configuration.toml").write_text(
            CONFIGURATION + "\n[gate]\nlowest_rows = 1\n[gate.label_rates]\njump = [0.9, 1.0]\n"
        )
        failed = night(root, newest, instance)
        assert not failed.success
        assert any("label_rates" in sentence and newest in sentence for sentence in failures_of(failed))
        steps = {event.step_key for event in failed.get_step_success_events()}
        assert not {"lstm_model", "train_eval_split", "event_scores"} & steps
        assert workspace(root).model_pointer.read_text() == pointer
        assert why_a_night(workspace(root), day_number(newest)).words.startswith("1 dates are out of date")

        # Once the reason is gone, the next night heals it. Where a live history has come to be, it is kept in step.
        (root / "configuration.toml").write_text(CONFIGURATION)
        assert not has_history(place), "a night begins none"
        open_history(place).close()
        assert night(root, newest, instance, DATED).success
        assert not why_a_night(workspace(root), day_number(newest)).needed
        codes = place.merged.read([day_number(newest)]).column("epc_code").cast("string").drop_null().to_pylist()
        history = open_history(place)
        assert codes and all(history.journeys(codes)), "their whole journeys are there"
        history.close()


def taken_in(root: Path) -> list[int]:
    place = workspace(root)
    place.intake.take_in()
    return place.intake.days()


@pytest.mark.parametrize("date", ["2025-7-1", "yesterday", "2024-01-01", "2999-01-01"])
def test_a_night_needs_a_date_with_a_partition(tmp_path: Path, date: str) -> None:
    from barcode_pipeline.errors import UserError
    from barcode_pipeline.orchestration.night_run import run_night

    with pytest.raises(UserError, match=r"is no date|has no partition"):
        run_night(workspace(tmp_path), date)
