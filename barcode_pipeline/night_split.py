"""What a night learns from and is judged by: rows of a bounded number of lots, out of all dates. No Dagster here.

`chain.make_split` lays out all sequences there are, and costs more every day. A night takes some lots
(`sequences.night`), the EPCs with the latest verdicts, and what of the newest days is theirs or has no EPC, in the same
form in a folder beside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.chain import READ_COLUMNS, split_arrays
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.exam import Paper
from barcode_pipeline.events.formats import LABELS, SCORES
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.lot_index import LotDates
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.events.some_lots import read_lots
from barcode_pipeline.events.text import decode
from barcode_pipeline.events.times import SECONDS_PER_DAY, date_text
from barcode_pipeline.events.verdicts import find_events, judged_labels, read_verdicts
from barcode_pipeline.sequences.night import NightLots, NightSample, choose_lots
from barcode_pipeline.sequences.training_set import write_training_set
from barcode_pipeline.training_events import keep_events
from barcode_pipeline.workspace import Workspace


@dataclass(frozen=True)
class Window:
    """The days that judge models: first to newest, both included, and the index of the lots of all days."""

    first: int
    newest: int
    index: LotDates

    @property
    def first_second(self) -> int:
        return self.first * SECONDS_PER_DAY


def judging_window(workspace: Workspace) -> Window:
    """The last days up to the newest that has rows, as many as the configuration says."""
    index = workspace.lots.read()
    if not len(index.day):
        raise UserError("There are no events: take in raw files, and materialise the assets up to epc_sequences.")
    newest = int(index.day.max())
    return Window(newest - workspace.configuration.nightly.judged_days + 1, newest, index)


def make_night_split(workspace: Workspace, learnt_up_to: int) -> dict[str, object]:
    """Write what a night needs into `night_training`; returns what it is.

    learnt_up_to: the second before which the model in service has learnt; lots seen since then are new to it.
    """
    window = judging_window(workspace)
    lots = _lots(workspace, window, min(window.first, learnt_up_to // SECONDS_PER_DAY))
    judged = _judged_epcs(workspace, lots, window)
    wanted = np.union1d(lots.every, lot_hashes(judged))
    days = [int(day) for day in window.index.days_of(wanted) if lots.first_day <= day <= window.newest]
    columns = ("epc_code", "event_time", "features")
    sequences, rows = read_lots(workspace.sequences, days, lots.every, columns, judged, window.first)
    labels = workspace.labels.read_rows(days, rows, (*LABELS, *SCORES))
    enriched = workspace.enriched.read_rows(days, rows, READ_COLUMNS)
    arrays, about = split_arrays(workspace, sequences, labels, window.first_second)
    about |= {
        "night": date_text(window.newest),
        "dates": [date_text(day) for day in days],
        "rows_of_dates": sum(workspace.sequences.rows(day) or 0 for day in days),
        "first_date": date_text(lots.first_day),
        "last_date": date_text(window.newest),
        "lots_live": len(lots.live),
        "lots_replayed": len(lots.replayed),
        "epcs_with_verdicts": len(judged),
    }
    order = pa.array(arrays["source"])
    arrays["source"] = rows[arrays["source"]]
    written = write_training_set(workspace.night_training, arrays, about)
    keep_events(workspace, enriched.take(order), labels.take(order))
    return written


def read_paper(workspace: Workspace, first_second: int) -> Paper:
    """What models are examined by: lots seen since a second, whole, with what rules and investigators say of them."""
    window = judging_window(workspace)
    lots = _lots(workspace, window, max(window.first, first_second // SECONDS_PER_DAY))
    days = [int(day) for day in window.index.days_of(lots.live) if lots.first_day <= day <= window.newest]
    table, rows = read_lots(workspace.enriched, days, lots.live, READ_COLUMNS)
    labels = workspace.labels.read_rows(days, rows, LABELS)
    sites, configuration = workspace.reference.sites, workspace.configuration
    verdicts = read_verdicts(workspace.verdicts)
    judged, holds = judged_labels(verdicts, find_events(verdicts, table, sites), len(table))
    return Paper(
        read_events(table, sites),
        np.column_stack([labels.column(name).to_numpy() for name in LABELS]),
        judged,
        holds,
        first_second,
        workspace.reference,
        configuration.rules.settings(),
        # Many planted anomalies, as in a search: an exam is the more telling the more it asks.
        configuration.planting.search_settings(),
        configuration.planting.suspect_probability,
        configuration.nightly.questions,
        configuration.training.seed + window.newest,
    )


def _lots(workspace: Workspace, window: Window, live_from: int) -> NightLots:
    nightly = workspace.configuration.nightly
    split = workspace.configuration.split
    sample = NightSample(
        nightly.live_events, nightly.replay_events, nightly.replay_days, split.held_out_lots, split.validation_lots
    )
    return choose_lots(window.index, window.newest, live_from, sample)


def _judged_epcs(workspace: Workspace, lots: NightLots, window: Window) -> pa.Array:
    """EPCs of other lots with the latest verdicts on events that may be learnt from: verdicts are few, and dear."""
    if "verdicts" not in workspace.configuration.training.teachers:
        return pa.array([], pa.string())
    verdicts = read_verdicts(workspace.verdicts)
    verdicts = verdicts.filter(pc.is_valid(decode(verdicts.column("epc_code"))))
    day = verdicts.column("event_time").to_numpy().astype("datetime64[D]").astype(np.int64)
    codes = decode(verdicts.column("epc_code"))
    usable = (day >= lots.first_day) & (day < window.first) & ~np.isin(lot_hashes(codes), lots.every)
    said = verdicts.column("when").to_numpy()
    latest_first = np.flatnonzero(usable)[np.argsort(said[usable], kind="stable")[::-1]]
    return pc.unique(codes.take(pa.array(latest_first)))[: workspace.configuration.nightly.verdict_epcs]
