"""The events of a training set: what enriched_events and rule_labels hold of them, row by row. No Dagster here.

Those of a night lie scattered over a year of dates. Its training, its report and the review list all ask for them: they
are read once and kept beside the training set. Of all events they are read from the dates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from barcode_pipeline.chain import READ_COLUMNS, rows_of_training_set
from barcode_pipeline.events.date_store import one_chunk
from barcode_pipeline.events.files import current_folder, written_beside
from barcode_pipeline.events.formats import SCORES
from barcode_pipeline.sequences.training_set import TrainingSet
from barcode_pipeline.workspace import Workspace

_FILE = "events.parquet"


def keep_events(workspace: Workspace, enriched: pa.Table, labels: pa.Table) -> None:
    """Keep the events of the night's training set, in its order. enriched, labels: hold `READ_COLUMNS` and `SCORES`."""
    path = _kept(workspace)
    if path is None:
        return
    columns = [*(enriched.column(name) for name in READ_COLUMNS), *(labels.column(name) for name in SCORES)]
    with written_beside(path) as beside:
        pq.write_table(pa.table(columns, names=[*READ_COLUMNS, *SCORES]), beside, compression="snappy")


def events_of(workspace: Workspace, training_set: TrainingSet) -> pa.Table:
    """`READ_COLUMNS` of the events of a training set."""
    kept = _read(workspace, training_set, READ_COLUMNS)
    return rows_of_training_set(workspace, workspace.enriched, training_set, READ_COLUMNS) if kept is None else kept


def rule_scores_of(workspace: Workspace, training_set: TrainingSet) -> np.ndarray:
    """(N, 5) scores of the rules, of the events of a training set."""
    table = _read(workspace, training_set, SCORES)
    if table is None:
        table = rows_of_training_set(workspace, workspace.labels, training_set, SCORES)
    return np.column_stack([table.column(name).to_numpy() for name in SCORES])


def _read(workspace: Workspace, training_set: TrainingSet, columns: Sequence[str]) -> pa.Table | None:
    path = _kept(workspace)
    if path is None or path.parent.name != training_set.about["fingerprint"] or not path.exists():
        return None
    return one_chunk(pq.read_table(path, columns=[*columns]))


def _kept(workspace: Workspace) -> Path | None:
    folder = current_folder(workspace.night_training)
    return None if folder is None else folder / _FILE
