"""History: the whole known journeys of the EPCs seen on some dates. The other partitions are that history."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.date_store import DateStore, one_chunk
from barcode_pipeline.events.text import dictionary_array
from barcode_pipeline.events.times import day_of


@dataclass(frozen=True)
class WithHistory:
    """table: the rows of the dates asked for and the rest of their EPCs' journeys, by date and within a date
    in the store's order. wanted: (N,) bool, the rows of the dates asked for. day: (N,) int64."""

    table: pa.Table
    wanted: np.ndarray
    day: np.ndarray


def read_with_history(store: DateStore, days: Sequence[int], columns: Sequence[str] | None = None) -> WithHistory:
    """Read some dates and the history of their EPCs; dates after them too, since a scan that was sent first may
    be dated later. `columns` have to hold `epc_code` and `event_time`."""
    wanted_days = set(days)
    before = [day for day in store.days() if day not in wanted_days]
    asked = store.read(sorted(days), columns)
    codes = pc.drop_null(dictionary_array(asked.column("epc_code")).dictionary)

    def journeys_of(day: int) -> pa.Table:
        table = store.read([day], columns)
        column = dictionary_array(table.column("epc_code"))
        seen = pc.is_in(column.dictionary, value_set=codes).to_numpy(zero_copy_only=False)
        if not seen.any():
            return table.slice(0, 0)
        return table.filter(pc.fill_null(pa.array(seen).take(column.indices), False))

    if not before or not len(asked):
        table = asked
    else:
        with ThreadPoolExecutor(2) as pool:
            table = one_chunk(pa.concat_tables([asked, *pool.map(journeys_of, before)]))
    day = day_of(table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64))
    order = np.argsort(day, kind="stable")
    if (np.diff(day) < 0).any():
        table, day = table.take(pa.array(order)), day[order]
    return WithHistory(table, np.isin(day, np.fromiter(wanted_days, np.int64, len(wanted_days))), day)
