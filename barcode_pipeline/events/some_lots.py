"""Rows of some lots: read a date at a time and cut down, so that memory holds no more than what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.date_store import DateStore, one_chunk
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.text import dictionary_array, dictionary_codes, only_used_words


def read_lots(
    store: DateStore,
    days: Sequence[int],
    lots: np.ndarray,
    columns: Sequence[str],
    epcs: pa.Array | None = None,
    nameless_from: int | None = None,
) -> tuple[pa.Table, np.ndarray]:
    """(the rows of some lots on some days, the number of each, counted over all rows of the days one after the other).

    lots: (n,) uint64 hashes. columns: hold `epc_code`. epcs: the rows of these codes too, whatever their lots.
    nameless_from: rows without an EPC too, from this day on.
    """
    others = pa.array([], pa.string()) if epcs is None else epcs

    def some_of(day: int) -> tuple[pa.Table, np.ndarray, int]:
        table = store.read([day], columns)
        codes = dictionary_array(table.column("epc_code"))
        wanted = np.isin(lot_hashes(codes.dictionary), lots)
        wanted |= pc.is_in(codes.dictionary, value_set=others).to_numpy(zero_copy_only=False)
        nameless = nameless_from is not None and day >= nameless_from
        rows = np.flatnonzero(np.append(wanted, nameless)[dictionary_codes(codes)])
        return only_used_words(table.take(pa.array(rows))), rows, len(table)

    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(some_of, days))
    starts = np.concatenate([[0], np.cumsum([count for *_, count in parts])])
    rows = [rows + start for (_, rows, _), start in zip(parts, starts, strict=False)]
    table = one_chunk(pa.concat_tables([store.read((), columns), *(table for table, *_ in parts)]))
    return table, np.concatenate([np.zeros(0, dtype=np.int64), *rows])
