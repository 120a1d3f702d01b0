"""Raw files into the intake, and which dates have a partition: what the assets and the command line share."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.intake import TakenFile
from barcode_pipeline.events.times import day_number
from barcode_pipeline.serving.stores import export
from barcode_pipeline.workspace import Workspace


def take_in(workspace: Workspace, only: Collection[Path] | None = None) -> list[TakenFile]:
    """Take in new and changed raw files, of some of them if given, and what came in live; `UserError` where there are
    no raw files and never were."""
    if only is None:
        export(workspace)
    intake = workspace.intake
    if not intake.raw_files() and not intake.days():
        raise UserError(
            f"There are no raw files in {workspace.raw}: put scan files there, or run `make data` for simulated ones."
        )
    return intake.take_in(only)


def partition_days(workspace: Workspace) -> tuple[int, int]:
    """The first and the newest day that have a partition: the configured first date and yesterday in the zone."""
    time = workspace.configuration.time
    today = datetime.datetime.now(ZoneInfo(time.zone)).date()
    return day_number(time.first_date.isoformat()), day_number(today.isoformat()) - 1


def dates_with_rows(workspace: Workspace) -> list[int]:
    """The days with rows that have a partition, ascending."""
    first, last = partition_days(workspace)
    return [day for day in workspace.intake.days() if first <= day <= last]


def ledger(workspace: Workspace) -> pd.DataFrame:
    """A row per raw file (`Intake.files`) with `rows_held`, of dates that have no partition."""
    files = workspace.intake.files(*partition_days(workspace))
    held = files["rows_held_before_first_date"] + files["rows_held_beyond_newest_partition"]
    return files.assign(rows_held=held)
