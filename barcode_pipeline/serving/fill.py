"""Filling the history from the nightly data: every EPC's journey, with the verdicts that the endpoints would give.

Run again it adds what is new and leaves the rest: a scan that the history holds already keeps its verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.codes import lot_names
from barcode_pipeline.events.date_store import DateStore, one_chunk
from barcode_pipeline.events.followed import follow_codes
from barcode_pipeline.events.history import Near
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.events.text import dictionary_array, dictionary_codes, integers_from_words
from barcode_pipeline.events.times import day_of
from barcode_pipeline.serving.history import Changes, Conflict, History
from barcode_pipeline.serving.judge import Given, Models, Settings, find_scans, judge
from barcode_pipeline.serving.readings import Clean, clean_of, id_of, read_readings, readings_of, text_of
from barcode_pipeline.serving.rows import ROW, unpack

COLUMNS = (
    "epc_code", "event_time", "location_id", "location_text", "scan_location", "business_step", "event_type",
    "event_id", "file_id",
)  # fmt: skip
_EVENTS_AT_ONCE = 200_000
_EPCS_AT_ONCE = 5000

Say = Callable[[str], None]


@dataclass(frozen=True)
class Filled:
    """epcs, scans: of the nightly data that were looked at. new: scans that the history did not hold."""

    epcs: int
    scans: int
    new: int


def fill_history(
    history: History,
    merged: DateStore,
    settings: Settings,
    models: Models,
    now: int,
    seen_on: Collection[int] | None = None,
    near: Near | None = None,
    last_events: int = 1000,
    say: Say = print,
) -> Filled:
    """Fill from the merged events. seen_on: only the lots seen on these days. near: says which of the other dates may
    hold these lots; all are read without it. now: ms since 1970 UTC."""
    days = merged.days()
    if not days:
        raise UserError(f"There are no merged events in {merged.folder}: run `make run` first.")
    if seen_on is not None and near is not None:
        days = sorted({*set(days).intersection(seen_on), *near(sorted(seen_on), days)})
    table = merged.read(days, COLUMNS)
    table = table.filter(pc.is_valid(dictionary_array(table.column("epc_code")).indices))
    codes = dictionary_array(table.column("epc_code"))
    lots = lot_names(codes.dictionary).dictionary_encode()
    code, lot_of_code = dictionary_codes(codes), dictionary_codes(lots)
    lot = lot_of_code[code]
    wanted = np.ones(len(lots.dictionary), dtype=bool)
    if seen_on is not None:
        day = day_of(table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64))
        wanted = np.bincount(lot[np.isin(day, list(seen_on))], minlength=len(wanted)) > 0
    totals = Filled(0, 0, 0)
    for some in _lots_at_once(np.bincount(lot, minlength=len(wanted)), wanted):
        part = one_chunk(table.filter(pa.array(np.isin(lot, some))))
        found = _fill_lots(history, part, settings, models, now, last_events)
        totals = Filled(totals.epcs + found.epcs, totals.scans + found.scans, totals.new + found.new)
        say(f"{totals.scans:,} of {int(wanted[lot].sum()):,} scans, {totals.new:,} of them new")
    return totals


def _lots_at_once(sizes: np.ndarray, wanted: np.ndarray) -> Iterator[np.ndarray]:
    lots = np.flatnonzero(wanted)
    piece = np.cumsum(sizes[lots]) // _EVENTS_AT_ONCE
    for number in np.unique(piece):
        yield lots[piece == number]


def _fill_lots(
    history: History, table: pa.Table, settings: Settings, models: Models, now: int, last_events: int
) -> Filled:
    """Judge whole lots at once, and write journey by journey what is new."""
    table = table.set_column(0, "epc_code", table.column("epc_code").cast(pa.string()).dictionary_encode())
    table = one_chunk(table)
    events = read_events(table, settings.reference.sites)
    clean, reading = readings_of(table)
    ids = np.array([id_of(one) for one in clean], dtype=np.uint64)
    rows = np.zeros(len(table), dtype=ROW)
    rows["time"], rows["event_id"], rows["reading"] = events.time, events.event_id, ids[reading]
    rows["file_id"] = _file_ids(table.column("file_id"))
    followed = follow_codes(events, settings.rules.companies)
    rows["verdict"] = judge(followed, np.arange(len(table)), None, models, settings)
    names = events.codes.to_pylist()
    lots = lot_names(events.codes).to_pylist()
    order = np.lexsort((rows["time"], events.epc))
    bounds = np.searchsorted(events.epc[order], np.arange(len(names) + 1))
    new = 0
    for first in range(0, len(names), _EPCS_AT_ONCE):
        last = min(first + _EPCS_AT_ONCE, len(names))
        chosen = order[bounds[first] : bounds[last]]
        part, key = rows[chosen], events.epc[chosen] - first
        while True:
            try:
                new += _write(
                    history, names[first:last], lots[first:last], part, key, clean, ids, settings, now, last_events
                )
                break
            except Conflict:
                continue
    return Filled(len(names), len(table), new)


def _write(
    history: History,
    names: Sequence[str],
    lots: Sequence[str],
    rows: np.ndarray,
    key: np.ndarray,
    clean: Sequence[Clean],
    ids: np.ndarray,
    settings: Settings,
    now: int,
    last_events: int,
) -> int:
    """Write the rows that the history does not hold; how many there were."""
    with history.transaction(names) as transaction:
        before, key_before = unpack(transaction.journeys)
        texts = history.readings([int(number) for number in np.setdiff1d(before["reading"], ids)])
        from_texts = {number: clean_of(text) for number, text in texts.items()}
        known = {int(number): one for number, one in zip(ids, clean, strict=True)} | from_texts
        table = read_readings(known, settings.reference.sites)
        both = np.concatenate([before, rows])
        keys = np.concatenate([key_before, key.astype(np.int32)])
        given = Given(keys, both["time"], both["event_id"], table.find(both["reading"]), len(before), table)
        fresh = np.flatnonzero(find_scans(given) == np.arange(len(both)))
        fresh = fresh[fresh >= len(before)]
        if not len(fresh):
            return 0
        arrivals = np.zeros(len(names), dtype=np.int64)
        np.maximum.at(arrivals, key_before, before["arrival"])
        both["arrival"][fresh] = arrivals[keys[fresh]] + 1
        content = {}
        by_key = fresh[np.argsort(keys[fresh], kind="stable")]
        bounds = np.searchsorted(keys[by_key], np.arange(len(names) + 1))
        for number in np.unique(keys[by_key]).tolist():
            added = both[by_key[bounds[number] : bounds[number + 1]]][-last_events:]
            content[names[number]] = (transaction.journeys[number] or b"") + added.tobytes()
        used = np.unique(both["reading"][fresh]).tolist()
        transaction.write(
            Changes(
                journeys=content,
                lots=dict(zip(names, lots, strict=True)),
                readings={number: text_of(known[number]) for number in used},
                now=now,
            )
        )
        return len(fresh)


def _file_ids(column: pa.ChunkedArray) -> np.ndarray:
    """File ids as numbers, -1 where there is none or it is no number."""
    words = dictionary_array(column)
    values, readable = integers_from_words(words.dictionary)
    return np.append(np.where(readable, values, -1), -1)[dictionary_codes(words)]
