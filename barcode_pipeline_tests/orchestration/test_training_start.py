"""How a run trains: by hand from nothing, a night from the model in service, once a month beside it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from barcode_pipeline.events.times import date_text
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.orchestration.jobs import full_retrain, jobs, nightly
from barcode_pipeline.orchestration.schedules import monthly_challenger, schedules
from barcode_pipeline.orchestration.training_start import CHALLENGES, GOES_ON, start_of
from barcode_pipeline_tests.orchestration.project import definitions, make_project, workspace
from barcode_pipeline_tests.orchestration.test_nightly import failures_of, hold_back, night, taken_in


@pytest.mark.parametrize(
    ("tags", "start"),
    [({}, "by hand"), (GOES_ON, "night"), (CHALLENGES, "challenger"), ({"barcode_pipeline/trains": "?"}, "by hand")],
)
def test_the_tag_says_how(tags: dict[str, str], start: str) -> None:
    assert start_of(dg.DagsterRun(job_name="any", run_id="1", tags=tags)) == start


def test_only_the_night_goes_on_and_once_a_month_a_challenger_starts_from_nothing() -> None:
    assert [job.name for job in jobs if GOES_ON.items() <= dict(job.tags or {}).items()] == [nightly.name]
    assert [job.name for job in jobs if CHALLENGES.items() <= dict(job.tags or {}).items()] == [full_retrain.name]
    assert monthly_challenger in schedules and monthly_challenger.cron_schedule == "0 5 1 * *"
    assert monthly_challenger.job_name == full_retrain.name


def test_a_second_night_goes_on_and_the_page_says_who_is_in_service(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", events=2_000)
    last = date_text(taken_in(root)[-1])
    whole = hold_back(root, [last])
    with dg.DagsterInstance.ephemeral() as instance:
        days = taken_in(root)
        first = night(root, date_text(days[-1]), instance)
        assert first.success, failures_of(first)
        registry = ModelRegistry(workspace(root).models)
        (entry,) = registry.entries()
        assert entry.start == "nothing" and entry.status == "promoted"
        for path, content in whole.items():
            path.write_text(content)
        second = night(root, last, instance)
        assert second.success, failures_of(second)
        assert [one.warm_from for one in registry.entries()] == [None, entry.model_file]
        told = instance.get_latest_materialization_event(dg.AssetKey("lstm_model"))
        assert told is not None and told.asset_materialization is not None
        metadata = {name: value.value for name, value in told.asset_materialization.metadata.items()}
        in_service = registry.in_service()
        assert in_service is not None and metadata["model_in_service"] == in_service.name
        assert metadata["in_service_since"] and metadata["decision"] == registry.entries()[1].reason
        assert metadata["let_in"] == (registry.entries()[1].status == "promoted")
        challenger = definitions(root).resolve_job_def("full_retrain").execute_in_process(instance=instance)
        assert challenger.success
        assert [one.start for one in registry.entries()] == ["nothing", "warm", "nothing"]
