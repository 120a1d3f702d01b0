"""The one partitioning: a partition per calendar day of the configured zone, the newest being yesterday."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from barcode_pipeline.configuration import TimeSection
from barcode_pipeline.events.times import day_number
from barcode_pipeline.workspace import Workspace


def daily_partitions(time: TimeSection) -> dg.DailyPartitionsDefinition:
    """The days from the configured first date to yesterday."""
    return dg.DailyPartitionsDefinition(start_date=time.first_date.isoformat(), timezone=time.zone)


DAILY = daily_partitions(Workspace.open().configuration.time)


def days_of(partition_keys: Sequence[str]) -> list[int]:
    """The day numbers of partition keys, in their order."""
    return [day_number(key) for key in partition_keys]
