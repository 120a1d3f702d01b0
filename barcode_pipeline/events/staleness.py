"""Which journeys are others once rows of some dates have come, gone or changed, and from which second on.

A row decides what is said of its EPC's events in its own second and after it, and, where senders number their events,
of the earlier-dated ones with a higher number at a higher level: they were sent too late (`journeys`), and the events
after them look past them. No files and no dates here; which dates hold these journeys is asked by `stale_dates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.hashes import lot_hashes, row_hashes
from barcode_pipeline.events.journeys import NO_EVENT_ID, Events
from barcode_pipeline.events.steps import LEVEL_UNKNOWN

NEVER = np.iinfo(np.int64).max
"""A second that no event has."""


class Changes(NamedTuple):
    """codes: the EPCs concerned, (K,) distinct strings. first: (K,) int64, the second from which each journey may be
    another."""

    codes: pa.Array
    first: np.ndarray

    def of_lots(self) -> tuple[np.ndarray, np.ndarray]:
        """(hashes of their lots (L,) uint64 distinct, the earliest such second of each (L,))."""
        lots, position = np.unique(lot_hashes(self.codes), return_inverse=True)
        first = np.full(len(lots), NEVER)
        np.minimum.at(first, position, self.first)
        return lots, first


def changed_rows(before: pa.Table, after: pa.Table) -> pa.Table:
    """The rows that only one of two tables has, by all their columns. Both have the same columns and no row twice."""
    names = before.column_names
    old, new = row_hashes(before, names), row_hashes(after, names)
    gone = before.filter(pa.array(~np.isin(old, new)))
    come = after.filter(pa.array(~np.isin(new, old)))
    return pa.concat_tables([gone, come])


def first_changes(changed: Events) -> Changes:
    """The EPCs of changed rows and the first second of each; rows without an EPC concern no journey."""
    with_code = changed.epc >= 0
    first = np.full(len(changed.codes), NEVER)
    np.minimum.at(first, changed.epc[with_code], changed.time[with_code])
    there = first != NEVER
    return Changes(changed.codes.filter(pa.array(there)), first[there])


def changes_of_all(parts: Sequence[Changes]) -> Changes:
    """Several changes as one: each EPC from the first second that any of them says."""
    codes = pa.concat_arrays([pa.array([], pa.string()), *(part.codes for part in parts)]).dictionary_encode()
    first = np.full(len(codes.dictionary), NEVER)
    np.minimum.at(first, codes.indices.to_numpy(), np.concatenate([np.zeros(0, np.int64), *(p.first for p in parts)]))
    return Changes(codes.dictionary, first)


def overtaken_by(changes: Changes, changed: Events, known: Events) -> Changes:
    """The same EPCs, each from the first second on at which an event that is known was, or now is, sent too late.

    known: events of these EPCs, others too. An event is sent too late by a changed row of its EPC with a lower number,
    a lower level and a later time.
    """
    numbered = _numbered(changed, changes.codes).merge(
        _numbered(known, changes.codes), on="epc", suffixes=("", "_known")
    )
    late = numbered[
        (numbered["time_known"] < numbered["time"])
        & (numbered["event_id_known"] > numbered["event_id"])
        & (numbered["level_known"] > numbered["level"])
    ]
    first = changes.first.copy()
    np.minimum.at(first, late["epc"].to_numpy(), late["time_known"].to_numpy())
    return Changes(changes.codes, first)


def lowest_numbers(changed: Events) -> tuple[np.ndarray, np.ndarray]:
    """(hashes of lots (L,) uint64 distinct, the lowest event id among the changed rows of each); lots without any id
    are left out."""
    numbered = (changed.epc >= 0) & (changed.event_id != NO_EVENT_ID)
    if not numbered.any():
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    lots, position = np.unique(lot_hashes(changed.codes)[changed.epc[numbered]], return_inverse=True)
    lowest = np.full(len(lots), NO_EVENT_ID)
    np.minimum.at(lowest, position, changed.event_id[numbered])
    return lots, lowest


def holds_changed(codes: pa.Array, changes: Changes, end_of_day: int) -> bool:
    """Whether a date holds an EPC whose journey may be another from that date on or before it.

    codes: the distinct EPCs of the date. end_of_day: the first second after it.
    """
    position = pc.drop_null(pc.index_in(codes, value_set=changes.codes)).to_numpy()
    return bool((changes.first[position] < end_of_day).any())


def _numbered(events: Events, codes: pa.Array) -> pd.DataFrame:
    """The events with a number and a known level, `epc` as places in `codes`; those of other EPCs are left out."""
    place = pc.fill_null(pc.index_in(events.codes, value_set=codes), -1).to_numpy(zero_copy_only=False)
    epc = np.append(place, -1)[events.epc]
    use = (epc >= 0) & (events.event_id != NO_EVENT_ID) & (events.level < LEVEL_UNKNOWN)
    columns = {"epc": epc, "time": events.time, "level": events.level, "event_id": events.event_id}
    return pd.DataFrame({name: values[use] for name, values in columns.items()})
