"""History: the whole known journeys of the EPCs, or of the lots, seen on some dates. The other partitions are it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from barcode_pipeline.events.date_store import DateStore, one_chunk
from barcode_pipeline.events.hashes import is_in_sorted, lot_hashes, word_hashes
from barcode_pipeline.events.text import dictionary_array, dictionary_codes, only_used_words
from barcode_pipeline.events.times import day_of, order_by_day

Near = Callable[[Sequence[int], Sequence[int]], Sequence[int]]
"""Of some dates asked for and other dates, those of the others that may hold events of the same lots."""


@dataclass(frozen=True)
class WithHistory:
    """table: the rows of the dates asked for and the rest of their EPCs' or lots' journeys, by date and within a
    date in the store's order. wanted: (N,) bool, the rows of the dates asked for. day: (N,) int64. carried: of each
    date asked for the columns that are carried on, as they lie in its file."""

    table: pa.Table
    wanted: np.ndarray
    day: np.ndarray
    carried: dict[int, pa.Table]


def read_with_history(
    store: DateStore,
    days: Sequence[int],
    columns: Sequence[str] | None = None,
    by: Literal["epc", "lot"] = "epc",
    near: Near | None = None,
    carried: Sequence[str] = (),
) -> WithHistory:
    """Read some dates and the history of their EPCs, or of all EPCs of their lots; dates after them too, since a scan
    that was sent first may be dated later. `columns` have to hold `epc_code` and `event_time`. near: says which of the
    other dates are worth opening; all are without it. carried: columns that are written again as they are."""
    wanted_days = set(days)
    others: Sequence[int] = [day for day in store.days() if day not in wanted_days]
    if near is not None and others:
        others = near(days, others)
    names = list(columns) if columns is not None else store.schema.names
    needed = list(dict.fromkeys([*names, *carried]))
    files = dict(zip(sorted(days), store.read_files(sorted(days), needed), strict=True))
    asked = one_chunk(pa.concat_tables([store.read((), names), *(file.select(names) for file in files.values())]))
    table = asked
    if others and len(asked):
        wanted = np.unique(_hashes(dictionary_array(asked.column("epc_code")), by))

        def history_on(day: int) -> pa.Table:
            part = store.read([day], names)
            codes = dictionary_array(part.column("epc_code"))
            seen = is_in_sorted(_hashes(codes, by), wanted)
            if not seen.any():
                return part[:0]
            return only_used_words(part.filter(pa.array(np.append(seen, False)[dictionary_codes(codes)])))

        with ThreadPoolExecutor(2) as pool:
            table = one_chunk(pa.concat_tables([asked, *pool.map(history_on, others)]))
    day = day_of(table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64))
    if (np.diff(day) < 0).any():
        order = order_by_day(day)
        table, day = table.take(pa.array(order)), day[order]
    wanted_rows = np.isin(day, np.fromiter(wanted_days, np.int64, len(wanted_days)))
    return WithHistory(table, wanted_rows, day, {day: file.select(list(carried)) for day, file in files.items()})


def _hashes(codes: pa.DictionaryArray, by: Literal["epc", "lot"]) -> np.ndarray:
    """A number of each distinct EPC, or of its lot, (D,) uint64. Should two ever have the same, there is more history
    than was asked for."""
    return word_hashes(codes.dictionary) if by == "epc" else lot_hashes(codes.dictionary)
