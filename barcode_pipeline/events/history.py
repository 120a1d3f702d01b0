"""History: the whole known journeys of the EPCs, or of the lots, seen on some dates. The other partitions are it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.codes import lot_names
from barcode_pipeline.events.date_store import DateStore, one_chunk
from barcode_pipeline.events.text import dictionary_array
from barcode_pipeline.events.times import day_of

Near = Callable[[Sequence[int], Sequence[int]], Sequence[int]]
"""Of some dates asked for and other dates, those of the others that may hold events of the same lots."""


@dataclass(frozen=True)
class WithHistory:
    """table: the rows of the dates asked for and the rest of their EPCs' or lots' journeys, by date and within a
    date in the store's order. wanted: (N,) bool, the rows of the dates asked for. day: (N,) int64."""

    table: pa.Table
    wanted: np.ndarray
    day: np.ndarray


def read_with_history(
    store: DateStore,
    days: Sequence[int],
    columns: Sequence[str] | None = None,
    by: Literal["epc", "lot"] = "epc",
    near: Near | None = None,
) -> WithHistory:
    """Read some dates and the history of their EPCs, or of all EPCs of their lots; dates after them too, since a scan
    that was sent first may be dated later. `columns` have to hold `epc_code` and `event_time`. near: says which of the
    other dates are worth opening; all are without it."""
    wanted_days = set(days)
    others: Sequence[int] = [day for day in store.days() if day not in wanted_days]
    if near is not None and others:
        others = near(days, others)
    asked = store.read(sorted(days), columns)

    def names_of_words(column: pa.DictionaryArray) -> pa.Array:
        # Of each distinct code once, however many rows bear it.
        return lot_names(column.dictionary) if by == "lot" else column.dictionary

    wanted = pc.unique(pc.drop_null(names_of_words(dictionary_array(asked.column("epc_code")))))

    def history_on(day: int) -> pa.Table:
        table = store.read([day], columns)
        column = dictionary_array(table.column("epc_code"))
        seen = pc.is_in(names_of_words(column), value_set=wanted).to_numpy(zero_copy_only=False)
        if not seen.any():
            return table.slice(0, 0)
        return table.filter(pc.fill_null(pa.array(seen).take(column.indices), False))

    if not others or not len(asked):
        table = asked
    else:
        with ThreadPoolExecutor(2) as pool:
            table = one_chunk(pa.concat_tables([asked, *pool.map(history_on, others)]))
    day = day_of(table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64))
    order = np.argsort(day, kind="stable")
    if (np.diff(day) < 0).any():
        table, day = table.take(pa.array(order)), day[order]
    return WithHistory(table, np.isin(day, np.fromiter(wanted_days, np.int64, len(wanted_days))), day)
