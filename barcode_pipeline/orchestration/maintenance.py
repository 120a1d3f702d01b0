"""Tidying up: the job that keeps to `retention` in configuration.toml, and its part in Dagster's own history.

A run is removed once it is old and nothing that it made is the newest of its asset and date: the page would else call
that date missing. Of those that have to stay, their details are removed.
"""

# Dagster reads the annotation of `context` as it stands, so annotations are not postponed here.
import datetime
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import sqlalchemy
from dagster._core.storage.event_log import SqlEventLogStorageTable as _EVENTS
from dagster._core.storage.event_log.schema import AssetEventTagsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.retention import tidy_files
from barcode_pipeline.workspace import Workspace

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_PAGE = 500
_SHOWN_BY_DATE = (
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
)


@dataclass(frozen=True)
class RemovedHistory:
    """runs: removed whole. run_details: those of runs that stay."""

    runs: int
    run_details: int


def tidy_history(instance: dg.DagsterInstance, before: datetime.datetime) -> RemovedHistory:
    """Remove the runs that were created before a moment, or their details."""
    old = instance.get_runs(dg.RunsFilter(statuses=_ENDED, created_before=before))
    if not old:
        return RemovedHistory(0, 0)
    newest = _newest(instance)
    runs = details = 0
    for run in old:
        instance.compute_log_manager.delete_logs(prefix=[run.run_id])
        if run.run_id in newest.runs:
            details += _remove_details(instance, run.run_id, newest)
        else:
            instance.delete_run(run.run_id)
            runs += 1
    return RemovedHistory(runs, details)


class _Newest(NamedTuple):
    """runs: that made the newest of some asset or date. whole: the events of the newest of assets as a whole."""

    runs: set[str]
    whole: set[int]


def _newest(instance: dg.DagsterInstance) -> _Newest:
    runs, whole = set(), set()
    for key in instance.all_asset_keys():
        of_dates = list(
            instance.event_log_storage.get_latest_storage_id_by_partition(
                key, dg.DagsterEventType.ASSET_MATERIALIZATION
            ).values()
        )
        for start in range(0, len(of_dates), _PAGE):
            some = dg.AssetRecordsFilter(key, storage_ids=of_dates[start : start + _PAGE])
            runs |= {record.run_id for record in instance.fetch_materializations(some, limit=_PAGE).records}
        for record in instance.fetch_materializations(key, limit=1).records:
            runs.add(record.run_id)
            whole.add(record.storage_id)
    return _Newest(runs, whole)


def _remove_details(instance: dg.DagsterInstance, run_id: str, newest: _Newest) -> int:
    """Remove the events of a run but for what it made of dates and what is newest; returns 1 where there were some.

    What an asset without dates once was, with its plots, is most of a history that grows.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    removed = 0
    with storage.index_connection() as connection:
        of_run = _EVENTS.c.run_id == run_id
        shown = _EVENTS.c.dagster_event_type.in_([kind.value for kind in _SHOWN_BY_DATE])
        gone = of_run & ~(shown & _EVENTS.c.partition.isnot(None)) & _EVENTS.c.id.notin_(newest.whole)
        ids = sqlalchemy.select(_EVENTS.c.id).where(gone)
        connection.execute(AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(ids)))
        removed += connection.execute(_EVENTS.delete().where(gone)).rowcount
    if isinstance(storage, SqliteEventLogStorage):
        removed += _empty(Path(storage.path_for_shard(run_id)))
    return int(removed > 0)


def _empty(path: Path) -> int:
    """Empty the file that SQLite keeps of a run's events, what it made is noted elsewhere; returns how many there were.

    The file itself stays: a page that is open has it open."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        with connection:
            removed = connection.execute("DELETE FROM event_logs").rowcount
        if removed:
            connection.execute("VACUUM")
    return removed


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
