"""A night in this process, through Dagster: the job `nightly` for one date as the schedule runs it, in the page too."""

from __future__ import annotations

import os
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import current_folder
from barcode_pipeline.events.times import date_text
from barcode_pipeline.news import tell_failed_night
from barcode_pipeline.nightly import fits, night_of
from barcode_pipeline.orchestration.failures import sentence_of
from barcode_pipeline.orchestration.jobs import nightly
from barcode_pipeline.workspace import Workspace

BASELINES = "baseline_models"


@dataclass(frozen=True)
class NightRun:
    """run_id: in the page. failures: what each step that failed says; a check that failed, too."""

    run_id: str
    success: bool
    failures: list[str]


def night_selection(workspace: Workspace) -> list[dg.AssetKey]:
    """The assets that a night makes: baselines only where there are none, or of other settings or features."""
    from barcode_pipeline.orchestration.assets import assets

    there = current_folder(workspace.models / "baselines") is not None and fits(workspace, BASELINES)
    return [asset.key for asset in assets if not (there and asset.key == dg.AssetKey(BASELINES))]


def run_night(workspace: Workspace, date: str) -> NightRun:
    """Run the night of a date; `UserError` where it has no partition, or where Dagster keeps no history."""
    day = night_of(workspace, date)
    if not os.environ.get("DAGSTER_HOME"):
        raise UserError("DAGSTER_HOME is not set: use `make night`, or `source env.sh` first.")
    repository = ReconstructableRepository.for_module("barcode_pipeline.definitions", "defs", str(workspace.root))
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(
            repository.get_reconstructable_job(nightly.name),
            instance,
            tags={"dagster/partition": date_text(day)},
            asset_selection=night_selection(workspace),
        )
        failures = failures_of(result)
        if not result.success:
            # Where no daemon runs, nobody else does.
            tell_failed_night(workspace, date_text(day), failures)
        return NightRun(result.run_id, result.success, failures)


def failures_of(result: dg.JobExecutionResult | dg.ExecuteInProcessResult) -> list[str]:
    """What went wrong in a run, in sentences."""
    steps, checks = {}, {}
    for event in result.all_events:
        if event.is_step_failure:
            steps[event.step_key] = f"{event.step_key}: {sentence_of(event)}"
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.blocking:
                # The last one of a check is about all its dates.
                told = f"{check.asset_key.to_user_string()}, check {check.check_name}: {check.description}"
                checks[event.step_key] = told
    # The step of a check that fails only says that it does.
    return [*checks.values(), *(sentence for key, sentence in steps.items() if key not in checks)]
