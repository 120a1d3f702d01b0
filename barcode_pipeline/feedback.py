"""Investigators' verdicts: from the files they drop to the asset, and to the events they judge.

No Dagster here; the asset `verdicts`, training and the command line call these.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from barcode_pipeline.chain import READ_COLUMNS
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.quarantine import write_rejected
from barcode_pipeline.events.raw_files import REJECTED_SCHEMA, UnreadableFile
from barcode_pipeline.events.times import day_of
from barcode_pipeline.events.verdicts import (
    VERDICTS_SCHEMA,
    VerdictFile,
    find_events,
    judged_labels,
    read_verdict_file,
    read_verdicts,
    standing,
    write_verdicts,
)
from barcode_pipeline.sequences.training_set import TrainingSet
from barcode_pipeline.teachers.verdicts import Judged
from barcode_pipeline.workspace import Workspace

ACCOUNTS = "_accounts.json"


@dataclass(frozen=True)
class FeedbackFile:
    """What became of one file: rows = verdicts + unanswered + quarantined. problem: why none of it could be read."""

    path: str
    rows: int
    verdicts: int
    unanswered: int
    quarantined: int
    problem: str | None


@dataclass(frozen=True)
class Accounts:
    """What became of all files. standing: verdicts kept; replaced: those that a later one on the same event and label
    stands for; unknown: standing ones on events that are not known (yet)."""

    files: tuple[FeedbackFile, ...]
    standing: int
    replaced: int
    unknown: int


def make_verdicts(workspace: Workspace) -> Accounts:
    """Read every file of `data/feedback` and keep the verdicts that stand; a file that was taken away takes its
    verdicts along."""
    zone = workspace.configuration.time.zone
    quarantine = workspace.quarantine / "_feedback"  # apart from the raw files', which may lie in a `feedback` folder
    files, tables, rejects = [], [VERDICTS_SCHEMA.empty_table()], set()
    for path in feedback_files(workspace.feedback):
        name = os.fsencode(path.relative_to(workspace.feedback).as_posix()).decode("utf-8", errors="backslashreplace")
        read, problem = VerdictFile(0, VERDICTS_SCHEMA.empty_table(), 0, REJECTED_SCHEMA.empty_table()), None
        try:
            read = read_verdict_file(path.read_bytes(), zone)
        except (UnreadableFile, OSError) as error:
            problem = str(error)
        rejects.add(write_rejected(quarantine, name, read.rejected, problem))
        tables.append(read.verdicts)
        counts = (read.rows, len(read.verdicts), read.unanswered, len(read.rejected))
        files.append(FeedbackFile(name, *counts, problem))
    for outdated in set(quarantine.rglob("*.rejected.csv")) - rejects:
        outdated.unlink()
    every = pa.concat_tables(tables)
    kept = standing(every, workspace.reference.sites) if len(every) else every
    write_verdicts(workspace.verdicts, kept)
    unknown = int(np.count_nonzero(_rows_of(workspace, kept, _days_of(workspace, kept)) < 0))
    accounts = Accounts(tuple(files), len(kept), len(every) - len(kept), unknown)
    with written_beside(workspace.verdicts.parent / ACCOUNTS) as beside:
        beside.write_text(json.dumps(asdict(accounts), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return accounts


def read_accounts(workspace: Workspace) -> Accounts:
    """The accounts of the last `make_verdicts`."""
    path = workspace.verdicts.parent / ACCOUNTS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Accounts(**{**found, "files": tuple(FeedbackFile(**file) for file in found["files"])})
    except FileNotFoundError:
        raise UserError(f"There is no {path}: run `dagster asset materialize --select verdicts`.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read: run `dagster asset materialize --select verdicts`.") from error


def judged_in(workspace: Workspace, training_set: TrainingSet) -> Judged:
    """The verdicts by row of the training set, for teachers, evaluation and the review list."""
    found = judged_on(workspace, training_set.days)
    source = np.asarray(training_set.source)
    return Judged(found.judged[source], found.holds[source])


def judged_on(workspace: Workspace, days: Sequence[int]) -> Judged:
    """The verdicts by row of the tables of some dates, one after the other."""
    row = _rows_of(workspace, verdicts := read_verdicts(workspace.verdicts), days)
    return Judged(*judged_labels(verdicts, row, sum(workspace.enriched.rows(day) or 0 for day in days)))


def _rows_of(workspace: Workspace, verdicts: pa.Table, days: Sequence[int]) -> np.ndarray:
    """The event of each verdict, as a row of the tables of these dates, one after the other; -1 where unknown."""
    if not len(verdicts):
        return np.zeros(0, np.int64)
    counts = [workspace.enriched.rows(day) or 0 for day in days]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    concerned = np.unique(day_of(verdicts.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)))
    places = np.flatnonzero(np.isin(days, concerned)).tolist()
    events = workspace.enriched.read([days[place] for place in places], READ_COLUMNS)
    rows = [np.arange(starts[place], starts[place + 1]) for place in places]
    found = find_events(verdicts, events, workspace.reference.sites)
    return np.where(found >= 0, np.concatenate([*rows, [-1]])[found], -1)


def _days_of(workspace: Workspace, verdicts: pa.Table) -> list[int]:
    """The days of some verdicts that have events."""
    days = np.unique(day_of(verdicts.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)))
    return sorted({*days.tolist()}.intersection(workspace.enriched.days()))


def feedback_files(folder: Path) -> list[Path]:
    """The files of a folder and its sub-folders by name; hidden ones are not looked at."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.name.lower().endswith(".csv")
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
