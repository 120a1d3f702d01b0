"""Small project folders for the tests of intake and chain: rows by hand or simulated, in files of any form."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa

from barcode_pipeline import chain
from barcode_pipeline.events.formats import SITES_FILE, TRANSITIONS_FILE
from barcode_pipeline.events.times import day_number
from barcode_pipeline.simulator import World, simulate
from barcode_pipeline.simulator.columns import decoded
from barcode_pipeline.simulator.network import location_table, transition_table
from barcode_pipeline.workspace import Workspace

FIRST_DAY, LAST_DAY = day_number("2025-06-01"), day_number("2025-12-31")

COLUMNS = ("epc_code", "event_time", "location_id", "scan_location", "business_step", "event_type")
HEADER = "\t".join(COLUMNS)
# Of another lot: what happens to its own lot, an EPC's shipment features are meant to show.
OTHER_EPC = "001.8804823.1293291.010005.20250701.900000001"
GOOD_EPCS = tuple(f"001.8804823.1293291.010004.20250701.00000000{number}" for number in (1, 2, 3))


def line(**fields: str) -> str:
    """A row of the columns above: a scan that is fine, but for the fields given."""
    values = {
        "epc_code": OTHER_EPC,
        "event_time": "2025-07-05 09:00:00",
        "location_id": "2",
        "scan_location": "Songdo Plant",
        "business_step": "Factory",
        "event_type": "Aggregation",
    }
    return "\t".join((values | fields).values())


def text(*lines: str, header: str = HEADER) -> bytes:
    """A file of some lines, each with a line break."""
    return "".join(f"{line}\n" for line in (header, *lines)).encode()


GOOD_FILE = text(
    *(
        line(epc_code=epc, event_time=f"2025-07-0{day} 1{hour}:00:00", location_id=site, scan_location=name, **words)
        for hour, epc in enumerate(GOOD_EPCS)
        for day, site, name, words in (
            (2, "2", "Songdo Plant", {"business_step": "Factory", "event_type": "Aggregation"}),
            (3, "16", "Songdo Plant Warehouse", {"business_step": "WMS", "event_type": "WMS_Inbound"}),
            (9, "16", "Songdo Plant Warehouse", {"business_step": "WMS", "event_type": "WMS_Outbound"}),
        )
    )
)


def make_project(root: Path) -> Workspace:
    """A project folder with the simulator's reference tables and no raw files."""
    workspace = Workspace.open(root)
    workspace.raw.mkdir(parents=True)
    workspace.processed.mkdir(parents=True)
    for name, content in _reference_tables().items():
        (workspace.processed / name).write_text(content, encoding="utf-8")
    return workspace


@cache
def _reference_tables() -> dict[str, str]:
    tables = {SITES_FILE: location_table(), TRANSITIONS_FILE: transition_table()}
    return {name: table.to_csv(index=False) for name, table in tables.items()}


def dated_days(workspace: Workspace) -> list[int]:
    """The days with rows that have a partition."""
    return [day for day in workspace.intake.days() if FIRST_DAY <= day <= LAST_DAY]


def make_all(workspace: Workspace, days: Sequence[int] | None = None) -> None:
    """The data side of the chain for some dates, all by default, and the split."""
    days = dated_days(workspace) if days is None else days
    for make in (chain.make_merged, chain.make_enriched, chain.make_labels, chain.make_sequences):
        make(workspace, days)
    chain.make_split(workspace)


def interim_bytes(workspace: Workspace) -> dict[str, str]:
    """Hash of every file in `data/interim`, the intake's own aside."""
    return {
        path.relative_to(workspace.interim).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(workspace.interim.rglob("*"))
        if path.is_file() and not path.relative_to(workspace.interim).parts[0].startswith(("_", "."))
    }


def assert_nothing_is_lost(workspace: Workspace) -> None:
    """Rows read = merged + exact duplicates + quarantined + held, over all files and on disk."""
    files = workspace.intake.files(FIRST_DAY, LAST_DAY)
    held = files["rows_held_before_first_date"] + files["rows_held_beyond_newest_partition"]
    merged_of_file = files["rows_read"] - files["rows_duplicate"] - files["rows_quarantined"] - held
    assert (merged_of_file >= 0).all()
    assert (files["rows_read"] == files["rows_kept"] + files["rows_quarantined"]).all()
    assert merged_of_file.sum() == sum(workspace.merged.rows(day) or 0 for day in workspace.merged.days())
    for name, quarantined, problem in files[["path", "rows_quarantined", "problem"]].itertuples(index=False):
        assert len(quarantine_of(workspace, name)) == quarantined + pd.notna(problem)


def quarantine_of(workspace: Workspace, name: str) -> list[dict[str, str]]:
    """The quarantined rows of a raw file."""
    path = workspace.quarantine / f"{name}.rejected.csv"
    if not path.exists():
        return []
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def merged_rows(workspace: Workspace) -> list[dict[str, object]]:
    """All rows of `merged_events`."""
    return workspace.merged.read(workspace.merged.days()).to_pylist()


def simulated_lines(events: int, event_ids: bool) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of all raw files of a simulated world of 45 days, factory after factory."""
    start = datetime(2025, 7, 1, 10, 23, 38)
    world = World(events=events, event_ids=event_ids, start=start, end=start + timedelta(days=45))
    table = pa.concat_tables([decoded(table) for table in simulate(world).raw.values()])
    words = [["" if word is None else str(word) for word in column.to_pylist()] for column in table.columns]
    return table.column_names, [list(row) for row in zip(*words, strict=True)]


def write_rows(path: Path, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows as the senders do, with tabs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(fields) + "\n" for fields in (names, *rows)), encoding="utf-8")
