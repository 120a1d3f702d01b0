"""The one partitioning: a partition per calendar day of the configured zone, the newest being yesterday. And which
dates a run makes: those it is asked for, and in some jobs those that are out of date."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from barcode_pipeline.configuration import TimeSection
from barcode_pipeline.events.times import day_number
from barcode_pipeline.nightly import dates_to_make
from barcode_pipeline.workspace import Workspace


def daily_partitions(time: TimeSection) -> dg.DailyPartitionsDefinition:
    """The days from the configured first date to yesterday."""
    return dg.DailyPartitionsDefinition(start_date=time.first_date.isoformat(), timezone=time.zone)


DAILY = daily_partitions(Workspace.open().configuration.time)

STALE_TOO = {"barcode_pipeline/makes": "what is out of date, too"}
"""The tag of runs that make, beside the dates they are asked for, those up to the newest of them that are out of date.

Dagster knows one date or one range per run; dates out of date lie scattered, and are another set for each asset."""


def days_of(partition_keys: Sequence[str]) -> list[int]:
    """The day numbers of partition keys, in their order."""
    return [day_number(key) for key in partition_keys]


def makes_stale_dates(run: dg.DagsterRun) -> bool:
    """Whether a run makes what is out of date, too."""
    return STALE_TOO.items() <= run.tags.items()


def dates_of_run(context: dg.AssetExecutionContext, workspace: Workspace) -> list[int]:
    """The days that an asset makes in this run."""
    asked = days_of(context.partition_keys)
    if not makes_stale_dates(context.run):
        return asked
    return dates_to_make(workspace, context.asset_key.to_user_string(), asked)


def other_dates_made(instance: dg.DagsterInstance, run: dg.DagsterRun, asset: str, asked: Sequence[int]) -> list[int]:
    """The days of an asset that a run has made beside those it was asked for: the page has them by date."""
    if not makes_stale_dates(run):
        return []
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    events = [record.event_log_entry.dagster_event for record in records]
    made = [event.partition for event in events if event and event.asset_key == dg.AssetKey(asset) and event.partition]
    return sorted(set(days_of(made)) - set(asked))
