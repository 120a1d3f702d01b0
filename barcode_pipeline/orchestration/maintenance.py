"""Tidying up: the job that keeps to `retention` in configuration.toml, and its part in Dagster's own history.

A run is removed once it is old and nothing that it made is the newest of its asset and date: the page would else call
that date missing. Of those that have to stay, what they logged is removed.
"""

# Dagster reads the annotation of `context` as it stands, so annotations are not postponed here.
import datetime
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.retention import tidy_files
from barcode_pipeline.workspace import Workspace

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_PAGE = 500


@dataclass(frozen=True)
class RemovedHistory:
    """runs: removed whole. logs: of runs that stay."""

    runs: int
    logs: int


def tidy_history(instance: dg.DagsterInstance, before: datetime.datetime) -> RemovedHistory:
    """Remove the runs that were created before a moment, or their logs."""
    old = instance.get_runs(dg.RunsFilter(statuses=_ENDED, created_before=before))
    needed = _runs_of_newest(instance)
    runs = logs = 0
    for run in old:
        instance.compute_log_manager.delete_logs(prefix=[run.run_id])
        if run.run_id not in needed:
            instance.delete_run(run.run_id)
            runs += 1
        else:
            logs += _remove_log(instance, run.run_id)
    return RemovedHistory(runs, logs)


def _runs_of_newest(instance: dg.DagsterInstance) -> set[str]:
    """The runs that made the newest of some asset or date."""
    runs = set()
    for key in instance.all_asset_keys():
        newest = list(
            instance.event_log_storage.get_latest_storage_id_by_partition(
                key, dg.DagsterEventType.ASSET_MATERIALIZATION
            ).values()
        )
        for start in range(0, len(newest), _PAGE):
            some = dg.AssetRecordsFilter(key, storage_ids=newest[start : start + _PAGE])
            runs |= {record.run_id for record in instance.fetch_materializations(some, limit=_PAGE).records}
        runs |= {record.run_id for record in instance.fetch_materializations(key, limit=1).records}
    return runs


def _remove_log(instance: dg.DagsterInstance, run_id: str) -> int:
    """Remove what a run has logged, where Dagster keeps that in a file per run; what it made is noted elsewhere."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return 0
    path = Path(storage.path_for_shard(run_id))
    if not path.exists():
        return 0
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink(missing_ok=True)
    return 1


def maintain(workspace: Workspace, instance: dg.DagsterInstance) -> dict[str, int]:
    """Remove what has been kept as long as the configuration says; returns how much of each kind."""
    days = workspace.configuration.retention.run_history_days
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    return {**asdict(tidy_files(workspace)), **asdict(tidy_history(instance, before))}


def maintain_here(workspace: Workspace) -> dict[str, int]:
    """`maintain` from the command line; without DAGSTER_HOME there is no history to tidy."""
    if not os.environ.get("DAGSTER_HOME"):
        return asdict(tidy_files(workspace))
    with dg.DagsterInstance.get() as instance:
        return maintain(workspace, instance)


@dg.op
def tidy(context: dg.OpExecutionContext, workspace: WorkspaceResource) -> None:
    """Remove what has been kept as long as the configuration says."""
    removed = maintain(workspace.open(), context.instance)
    context.log.info("removed: " + ", ".join(f"{count} {name}" for name, count in removed.items()))
    context.add_output_metadata(removed)


@dg.job(description="Keeps to `retention` in configuration.toml: old runs, logs, quarantine and reports go.")
def maintenance() -> None:
    tidy()
