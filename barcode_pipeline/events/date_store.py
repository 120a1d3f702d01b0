"""Assets partitioned by date on disk: a folder per asset, a Parquet file per date, all of one schema.

The same rows give the same bytes: dictionaries are cut down to a file's own words, in order of appearance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import remove_leftovers, written_beside
from barcode_pipeline.events.formats import FORMAT_VERSION
from barcode_pipeline.events.times import date_text, day_number

_VERSION_KEY = b"barcode_pipeline.format"
_WRITERS = 2


class DateStore:
    """The files of one asset, `<folder>/<YYYY-MM-DD>.parquet`.

    Parameters
    ----------
    folder: where the files lie.
    schema: of every file, dates without rows included.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.folder = folder
        self.schema = schema.with_metadata({_VERSION_KEY: str(FORMAT_VERSION).encode()})

    def path(self, day: int) -> Path:
        return self.folder / f"{date_text(day)}.parquet"

    def days(self) -> list[int]:
        """The days that have a file, ascending."""
        return sorted(day_number(path.stem) for path in self.folder.glob("[0-9]*.parquet"))

    def write(self, table: pa.Table, day_of_row: np.ndarray, days: Sequence[int]) -> dict[int, int]:
        """Write one file for each of `days`, also where a day has no rows; returns the rows of each day.

        day_of_row: (N,), has to hold none but `days`. Rows keep their order within a day.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder)
        ordered, starts = _by_day(table.select(self.schema.names), day_of_row, np.asarray(days))

        def write_one(position: int) -> int:
            start, stop = starts[position], starts[position + 1]
            part = _own_dictionaries(ordered.slice(start, stop - start), self.schema)
            with written_beside(self.path(days[position])) as path:
                pq.write_table(part, path, compression="zstd", compression_level=1, row_group_size=1 << 20)
            return stop - start

        with ThreadPoolExecutor(_WRITERS) as pool:
            return dict(zip(days, pool.map(write_one, range(len(days))), strict=True))

    def read(self, days: Iterable[int], columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of some days, one after the other; days without a file have none."""
        paths = [path for path in map(self.path, days) if path.exists()]
        names = list(columns) if columns is not None else self.schema.names
        with ThreadPoolExecutor(_WRITERS) as pool:
            parts = list(pool.map(lambda path: self._read_one(path, names), paths))
        empty = pa.schema([self.schema.field(name) for name in names]).empty_table()
        return one_chunk(pa.concat_tables([empty, *parts])) if parts else empty

    def rows(self, day: int) -> int | None:
        """Number of rows of a day's file as it lies on disk, None without a file."""
        path = self.path(day)
        return pq.read_metadata(path).num_rows if path.exists() else None

    def _read_one(self, path: Path, names: list[str]) -> pa.Table:
        with pq.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
            if metadata.get(_VERSION_KEY) != str(FORMAT_VERSION).encode():
                raise UserError(
                    f"{path} has another format version than {FORMAT_VERSION}: make it again with "
                    f"`dagster asset materialize --select {self.folder.name} --partition {path.stem}`."
                )
            table = file.read(columns=names, use_threads=False).select(names)
        # Parquet knows no seconds: they lie there as milliseconds.
        return table.cast(pa.schema([self.schema.field(name) for name in names]))


def one_chunk(table: pa.Table) -> pa.Table:
    """The same rows, each column in one piece with one dictionary."""
    return table.unify_dictionaries().combine_chunks()


def _by_day(table: pa.Table, day_of_row: np.ndarray, days: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """Rows grouped by day in the order of `days`, and where each day starts (D + 1,)."""
    place = np.argsort(days)
    position = place[np.searchsorted(days[place], day_of_row)] if len(days) else np.zeros(0, dtype=np.int64)
    if not np.array_equal(days[position], day_of_row):
        raise ValueError("a row lies on a day that was not asked to be written")
    starts = np.concatenate([[0], np.cumsum(np.bincount(position, minlength=len(days)))])
    if (np.diff(position) < 0).any():
        table = table.take(pa.array(np.argsort(position, kind="stable")))
    return table, starts


def _own_dictionaries(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cut each dictionary down to the words of these rows, in order of appearance."""
    columns = []
    for field in schema:
        column = table.column(field.name)
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if pa.types.is_dictionary(field.type):
            codes = column.indices.to_numpy(zero_copy_only=False)
            own, words = pd.factorize(codes, use_na_sentinel=True)
            mask = own < 0
            indices = pa.array(own.astype(np.int32), mask=mask if mask.any() else None)
            words = words[~np.isnan(words)] if words.dtype.kind == "f" else words
            column = pa.DictionaryArray.from_arrays(indices, column.dictionary.take(pa.array(words.astype(np.int64))))
        columns.append(column.cast(field.type) if column.type != field.type else column)
    return pa.Table.from_arrays(columns, schema=schema)
