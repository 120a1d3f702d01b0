"""Which dates a changed reference table concerns: the shell around `events.table_changes`.

The ledger names the tables that a date was made with by their fingerprint alone. So their content is kept beside it,
two small files: what was made with other tables than today's is compared with today's, and where nothing that a date
hangs on has changed it stands.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.date_store import one_chunk
from barcode_pipeline.events.formats import SITES_FILE, TRANSITIONS_FILE
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.events.places import Reference
from barcode_pipeline.events.reference_tables import fingerprint_reference, load_reference
from barcode_pipeline.events.staleness import Changes, changes_of_all, first_changes
from barcode_pipeline.events.table_changes import rows_changed_by_tables
from barcode_pipeline.events.times import day_of
from barcode_pipeline.taking_in import dates_with_rows
from barcode_pipeline.workspace import Workspace

_ROWS_AT_ONCE = 1_000_000


class Concerned(NamedTuple):
    """merged: days with rows whose place is another. own: days with rows that are said otherwise. changes: the EPCs of
    these rows, and from which second on."""

    merged: list[int]
    own: list[int]
    changes: Changes


def keep_tables(workspace: Workspace) -> None:
    """Keep the tables that this workspace works with, if they are not kept yet."""
    folder = _kept(workspace) / workspace.reference_fingerprint()
    if folder.exists() or not all((workspace.processed / name).exists() for name in (SITES_FILE, TRANSITIONS_FILE)):
        return
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name in (SITES_FILE, TRANSITIONS_FILE):
        shutil.copyfile(workspace.processed / name, beside / name)
    if fingerprint_reference(beside) == folder.name:
        beside.rename(folder)
    else:  # they were changed since they were read, and what was made with them will be made again
        shutil.rmtree(beside)


def kept_tables(workspace: Workspace) -> dict[str, Path]:
    """The folder of each pair of tables that is kept, by fingerprint."""
    folder = _kept(workspace)
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if not path.name.startswith(".")}


def forget_tables(workspace: Workspace, needed: set[str]) -> None:
    """Remove the kept tables but those with some fingerprints."""
    for fingerprint, folder in kept_tables(workspace).items():
        if fingerprint not in needed:
            shutil.rmtree(folder, ignore_errors=True)


def concerned_by(workspace: Workspace, tables: Path) -> Concerned | None:
    """What is said otherwise by today's tables than by those in a folder; None where either cannot be read.

    It looks at what the intake holds, not at what was merged: a row that was another's duplicate by the old tables may
    be one of its own by the new ones.
    """
    try:
        old = load_reference(tables)
        new = workspace.reference
    except UserError:
        return None
    merged: set[int] = set()
    own: set[int] = set()
    parts: list[Changes] = []
    for table in _in_pieces(workspace, dates_with_rows(workspace)):
        changed = rows_changed_by_tables(table, old, new)
        day = day_of(table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64))
        merged.update(np.unique(day[changed.place]).tolist())
        own.update(np.unique(day[changed.said]).tolist())
        parts.append(_changes(table.filter(pa.array(changed.said)), new))
    return Concerned(sorted(merged), sorted(own), changes_of_all(parts))


def _changes(table: pa.Table, reference: Reference) -> Changes:
    return first_changes(read_events(one_chunk(table), reference.sites))


def _in_pieces(workspace: Workspace, days: Sequence[int]) -> Iterator[pa.Table]:
    """What the intake holds of some days, about a million rows at a time."""
    held = workspace.intake.accounts(days)
    piece: list[int] = []
    rows = 0
    for day in days:
        piece.append(day)
        rows += held[day][0]
        if rows >= _ROWS_AT_ONCE:
            yield workspace.intake.read(piece)[0]
            piece, rows = [], 0
    if piece:
        yield workspace.intake.read(piece)[0]


def _kept(workspace: Workspace) -> Path:
    return workspace.interim / "_made" / "tables"
