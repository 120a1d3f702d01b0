"""The data side of the chain, a function per asset: read, hand to the kernels, write. No Dagster here.

The assets, the command line and the benchmarks call these; each takes the days to make (days since 1970-01-01)
and returns the rows of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.enrichment import enrich
from barcode_pipeline.events.formats import EVENT_SCHEMA, KEY_COLUMNS, LABELS
from barcode_pipeline.events.history import WithHistory, read_with_history
from barcode_pipeline.events.merging import merge, read_events
from barcode_pipeline.events.times import SECONDS_PER_DAY, date_text, day_of, order_by_day
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.rules.tables import labels_table
from barcode_pipeline.sequences.features import FEATURE_NAMES, FEATURE_VERSION, compute_features
from barcode_pipeline.sequences.split import PART_NAMES, cut_time, lot_buckets, order_by_journey, split_events
from barcode_pipeline.sequences.tables import features_in_order, sequences_table
from barcode_pipeline.sequences.training_set import TrainingSet, write_training_set
from barcode_pipeline.stale_dates import noted, replacing_rows
from barcode_pipeline.workspace import Workspace

Rows = dict[int, int]

READ_COLUMNS = (*KEY_COLUMNS, "location_text")


class Assembled(NamedTuple):
    """Dates as assembled from the intake. table: their rows, exact duplicates removed, by date, EPC and travel.
    day: (N,) int64 of its rows. duplicates: how many were removed, by file (a place in `files`) and day."""

    table: pa.Table
    day: np.ndarray
    files: list[str]
    duplicates: pd.DataFrame


def assemble(workspace: Workspace, days: Sequence[int]) -> Assembled:
    """Read some dates from the intake and merge what came in several files. Nothing is written."""
    table, file_of_row, files = workspace.intake.read(days)
    events = read_events(table, workspace.reference.sites)
    merged = merge(table, events)
    day = day_of(events.time)
    gone = pd.DataFrame({"file": file_of_row[merged.duplicate], "day": day[merged.duplicate]})
    counts = gone.value_counts(["file", "day"]).reset_index()
    rows = merged.rows[order_by_day(day[merged.rows])]
    return Assembled(table.take(pa.array(rows)), day[rows], files, counts)


def make_merged(workspace: Workspace, days: Sequence[int]) -> Rows:
    """Assemble dates from the intake; what their rows change on other dates is out of date from then on."""
    assembled = assemble(workspace, days)
    with replacing_rows(workspace, assembled.table, assembled.day, days):
        rows = workspace.merged.write(assembled.table, assembled.day, days)
        workspace.intake.record_duplicates(days, assembled.files, assembled.duplicates)
    return rows


def make_enriched(workspace: Workspace, days: Sequence[int]) -> Rows:
    """Add coordinates, levels and transition statistics to the events of some dates."""
    carried = [name for name in EVENT_SCHEMA.names if name != "location_id"]
    known = _with_history(workspace, workspace.merged, days, carried)
    events = read_events(known.table, workspace.reference.sites)
    table = enrich(known.table, events, workspace.reference)
    rows = write_wanted(workspace.enriched, table, known, days)
    return noted(workspace, "enriched_events", rows)


def make_labels(workspace: Workspace, days: Sequence[int]) -> Rows:
    """Score the events of some dates with the five rules."""
    known = _with_history(workspace, workspace.enriched, days, KEY_COLUMNS)
    settings = workspace.configuration.rules.settings()
    scored = score_events(read_events(known.table, workspace.reference.sites), workspace.reference, settings)
    rows = write_wanted(workspace.labels, labels_table(scored, settings), known, days)
    return noted(workspace, "rule_labels", rows)


def make_sequences(workspace: Workspace, days: Sequence[int]) -> Rows:
    """Compute the features of the events of some dates: they ask for whole lots, not for their EPCs alone."""
    known = _with_history(workspace, workspace.enriched, days, KEY_COLUMNS, by="lot")
    events = read_events(known.table, workspace.reference.sites)
    rules = workspace.configuration.rules.settings()
    features = compute_features(events, workspace.reference, rules.companies, rules.v_max)
    rows = write_wanted(workspace.sequences, sequences_table(features), known, days)
    return noted(workspace, "epc_sequences", rows)


def make_split(workspace: Workspace, judged_days: int | None = None) -> dict[str, object]:
    """Lay out all sequences by journey, split them, and write them for training; returns what they are.

    judged_days: the newest days, which are all that lies after the cut in time; without it the cut is where the
    configured share of all events lies before it.
    """
    days = workspace.sequences.days()
    columns = ("epc_code", "event_time", "features")
    sequences = pa.concat_tables(
        [workspace.sequences.read([], columns), *workspace.sequences.read_files(days, columns)]
    )
    labels = workspace.labels.read(days, LABELS)
    if len(labels) != len(sequences):
        raise _apart(workspace)
    time = sequences.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)
    if judged_days is None:
        cut = cut_time(time, workspace.configuration.split.train_share)
    else:
        cut = (int(day_of(time).max(initial=0)) - judged_days + 1) * SECONDS_PER_DAY
    arrays, about = split_arrays(workspace, sequences, labels, cut)
    dates = [date_text(day) for day in days]
    about |= {"dates": dates, "first_date": dates[0] if days else None, "last_date": dates[-1] if days else None}
    return write_training_set(workspace.training, arrays, {**about, "rows_of_dates": len(sequences)})


def split_arrays(
    workspace: Workspace, sequences: pa.Table, labels: pa.Table, cut: int
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """(the arrays of a training set, what they are) of some sequences and their labels, in the order of their dates.

    cut: the second from which on nothing is learnt. `source` counts in these tables.
    """
    split = workspace.configuration.split
    journeys = order_by_journey(sequences.column("epc_code"))
    time = sequences.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)[journeys.source]
    lot = np.repeat(journeys.lot, np.diff(journeys.offsets))
    part = split_events(time, lot, lot_buckets(journeys.lots), cut, split.held_out_lots, split.validation_lots)
    counts = np.bincount(part, minlength=len(PART_NAMES)).tolist()
    about: dict[str, object] = {
        "feature_names": list(FEATURE_NAMES),
        "feature_version": FEATURE_VERSION,
        "cut": str(np.datetime64(cut, "s")),
        "events": len(time),
        "journeys": len(journeys.lot),
        "lots": len(journeys.lots),
        "events_by_part": dict(zip(PART_NAMES, counts, strict=True)),
    }
    arrays = {
        "features": features_in_order(sequences, journeys.source),
        "rule_labels": np.column_stack([labels.column(name).to_numpy() for name in LABELS])[journeys.source],
        "offsets": journeys.offsets,
        "time": time,
        "lot": lot,
        "part": part,
        "source": journeys.source,
    }
    return arrays, about


def rows_of_training_set(
    workspace: Workspace, store: DateStore, training_set: TrainingSet, columns: Sequence[str]
) -> pa.Table:
    """What a store holds of the events of a training set, row by row."""
    days = training_set.days
    if sum(store.rows(day) or 0 for day in days) != training_set.about["rows_of_dates"]:
        raise UserError(
            f"{store.folder.name} and the training set do not hold the same events: materialise the assets up to "
            "train_eval_split again."
        )
    return store.read_rows(days, np.asarray(training_set.source), columns)


def _with_history(
    workspace: Workspace,
    store: DateStore,
    days: Sequence[int],
    carried: Sequence[str],
    by: Literal["epc", "lot"] = "epc",
) -> WithHistory:
    return read_with_history(store, days, READ_COLUMNS, by, workspace.lots.days_with_history, carried)


def write_wanted(store: DateStore, table: pa.Table, known: WithHistory, days: Sequence[int]) -> Rows:
    """Write the rows of the dates asked for; their history stays where it is. Columns that were carried on with the
    dates are written as they were, whether or not `table` has them too."""
    others = [known.carried[day] for day in days]
    if not known.wanted.all():
        return store.write(table.filter(pa.array(known.wanted)), known.day[known.wanted], days, others)
    return store.write(table, known.day, days, others)


def _apart(workspace: Workspace) -> UserError:
    """Which dates have labels and sequences of different numbers of rows."""
    days = sorted({*workspace.labels.days(), *workspace.sequences.days()})
    stale = [date_text(day) for day in days if workspace.labels.rows(day) != workspace.sequences.rows(day)]
    return UserError(
        f"rule_labels and epc_sequences do not hold the same events on {', '.join(stale[:5])}"
        f"{' …' if len(stale) > 5 else ''}: materialise both for these dates again."
    )
