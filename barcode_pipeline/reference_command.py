"""What `barcode-pipeline reference` does, and what it says. The command line parses, and holds the lock."""

from __future__ import annotations

from pathlib import Path

from barcode_pipeline import refreshing
from barcode_pipeline.events.table_versions import TableVersions
from barcode_pipeline.nightly import stale_in_words
from barcode_pipeline.refreshing_words import changes_text, history_text, versions_text
from barcode_pipeline.stale_dates import settle_tables, stale_dates
from barcode_pipeline.workspace import Workspace


def list_versions(workspace: Workspace) -> str:
    """The versions, and which is in use."""
    return versions_text(TableVersions(workspace.processed))


def show(workspace: Workspace, version: int, csv: Path | None = None) -> str:
    """What a version would change. csv: a file for all of it."""
    changes = refreshing.changes_of(workspace, version)
    if csv is None:
        return changes_text(changes)
    csv.write_text(changes.to_csv(index=False), encoding="utf-8")
    return f"{changes_text(changes)}\nAll of it in {csv}."


def refresh(workspace: Workspace, fewest: float | None, first: int | None, last: int | None, csv: Path | None) -> str:
    """Make a version from clean history. fewest: shipments a route needs, None for the default."""
    needed = refreshing.FEWEST_SHIPMENTS if fewest is None else fewest
    made = refreshing.refresh(workspace, needed, first, last)
    if made.in_use:
        end = f"Version {made.version} is in use: history says nothing else."
    else:
        before = "" if made.is_new else ", which was there before,"
        end = f"Version {made.version}{before} is not in use: `barcode-pipeline reference use {made.version}` takes it."
    return "\n".join([history_text(made.history), show(workspace, made.version, csv), end])


def use(workspace: Workspace, version: int) -> str:
    """Take a version into use, and say what that puts out of date."""
    before = refreshing.use(workspace, version)
    settle_tables(workspace)
    return "\n".join(
        [
            f"Version {version} is in use" + (f" in place of version {before}." if before else "."),
            *(stale_in_words(stale_dates(workspace)) or ["No date is out of date."]),
            "The next night makes them again. A running live API reads the table when it starts: start it again.",
        ]
    )
