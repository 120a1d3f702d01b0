"""Assets partitioned by date on disk: a folder per asset, a Parquet file per date, all of one schema.

The same rows give the same bytes: dictionaries are cut down to a file's own words, in order of appearance.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from barcode_pipeline.compiled import compiled
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import remove_leftovers, written_beside
from barcode_pipeline.events.formats import FORMAT_VERSION
from barcode_pipeline.events.text import dictionary_array, dictionary_codes, in_one_piece, only_used_words
from barcode_pipeline.events.times import date_text, day_number, order_by_day

_VERSION_KEY = b"barcode_pipeline.format"
_WRITERS = 2
_ROWS_WORTH_A_THREAD = 50_000
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.parquet")


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
        return sorted(self.files())

    def files(self) -> dict[int, os.DirEntry[str]]:
        """The file of each day as the folder lists it, in no order: a store of years is looked at every night."""
        try:
            with os.scandir(self.folder) as entries:
                return {day_number(entry.name[:10]): entry for entry in entries if _DATED.fullmatch(entry.name)}
        except FileNotFoundError:
            return {}

    def write(
        self, table: pa.Table, day_of_row: np.ndarray, days: Sequence[int], others: Sequence[pa.Table] | None = None
    ) -> dict[int, int]:
        """Write one file for each of `days`, also where a day has no rows; returns the rows of each day.

        day_of_row: (N,), has to hold none but `days`. Rows keep their order within a day. others: of each day columns
        that `table` lacks, or that take the place of its own, row by row, as `read_files` gives them: they are
        written as they are.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder)
        given = others[0].column_names if others else []
        own = [field for field in self.schema if field.name in table.column_names and field.name not in given]
        ordered, starts = _by_day(one_chunk(table.select([field.name for field in own])), day_of_row, np.asarray(days))
        coded = [field.name for field in self.schema if _is_words(field)]

        def cut(field: pa.Field) -> _Cut:
            column = ordered.column(field.name)
            return _OwnWords(column, starts) if _is_words(field) else _Plain(column, starts)

        with ThreadPoolExecutor(_WRITERS) as pool:
            columns = dict(zip([field.name for field in own], pool.map(cut, own), strict=True))

        def write_one(position: int) -> int:
            there = {name: column.of_day(position) for name, column in columns.items()}
            if others is not None and given:
                if len(others[position]) != starts[position + 1] - starts[position]:
                    raise ValueError("a day has not as many rows as its other columns")
                there |= {name: _in_one_dictionary(others[position].column(name)) for name in given}
            day = pa.Table.from_arrays([there[name] for name in self.schema.names], schema=self.schema)
            # Made in memory and written at once: Parquet hands out every column in several small pieces.
            made = pa.BufferOutputStream()
            pq.write_table(day, made, compression="snappy", use_dictionary=coded, write_statistics=["epc_code"])
            with written_beside(self.path(days[position])) as path:
                path.write_bytes(made.getvalue())
            return len(day)

        with ThreadPoolExecutor(_WRITERS) as pool:
            return dict(zip(days, pool.map(write_one, range(len(days))), strict=True))

    def read(self, days: Iterable[int], columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of some days, one after the other; days without a file have none."""
        parts = self.read_files(days, columns)
        return one_chunk(pa.concat_tables(parts)) if parts else self._empty(columns)

    def read_files(self, days: Iterable[int], columns: Sequence[str] | None = None) -> list[pa.Table]:
        """The rows of each day as they lie in its file, with dictionaries of their own; none without a file."""

        def read_one(path: Path) -> pa.Table:
            return self._read_one(path, self._names(columns)) if path.exists() else self._empty(columns)

        paths = [self.path(day) for day in days]
        if len(paths) < 2:  # of many dates one by one, as history is read: a thread of its own would cost more
            return [read_one(path) for path in paths]
        with ThreadPoolExecutor(_WRITERS) as pool:
            return list(pool.map(read_one, paths))

    def _names(self, columns: Sequence[str] | None) -> list[str]:
        return list(columns) if columns is not None else self.schema.names

    def _empty(self, columns: Sequence[str] | None) -> pa.Table:
        return pa.schema([self.schema.field(name) for name in self._names(columns)]).empty_table()

    def read_rows(self, days: Sequence[int], rows: np.ndarray, columns: Sequence[str] | None = None) -> pa.Table:
        """Some rows of some days, in the order given. rows: (N,) int64, counted over the days one after the other.

        A day at a time is read and cut down, so that memory holds no more than what was asked for.
        """
        starts = np.concatenate([[0], np.cumsum([self.rows(day) or 0 for day in days])]).astype(np.int64)
        order = np.argsort(rows, kind="stable")
        bounds = np.searchsorted(rows[order], starts)
        places = [place for place in range(len(days)) if bounds[place + 1] > bounds[place]]

        def some_of(place: int) -> pa.Table:
            wanted = rows[order[bounds[place] : bounds[place + 1]]] - starts[place]
            return only_used_words(self.read([days[place]], columns).take(pa.array(wanted)))

        with ThreadPoolExecutor(_WRITERS) as pool:
            parts = [self.read((), columns), *pool.map(some_of, places)]
        back = np.empty(len(rows), dtype=np.int64)
        back[order] = np.arange(len(rows))
        return one_chunk(pa.concat_tables(parts)).take(pa.array(back))

    def rows(self, day: int) -> int | None:
        """Number of rows of a day's file as it lies on disk, None without a file."""
        path = self.path(day)
        if not path.exists():
            return None
        with self._refusing_damage(path):
            return int(pq.read_metadata(path).num_rows)

    def _read_one(self, path: Path, names: list[str]) -> pa.Table:
        # The bytes of a date's file at once: Parquet asks for each column in several small pieces.
        with (
            self._refusing_damage(path),
            pq.ParquetFile(pa.BufferReader(path.read_bytes()), pre_buffer=False) as file,
        ):
            metadata = file.schema_arrow.metadata or {}
            if metadata.get(_VERSION_KEY) != str(FORMAT_VERSION).encode():
                raise self._to_be_made_again(path, f"has another format version than {FORMAT_VERSION}")
            table = file.read(columns=names, use_threads=False)
        schema = pa.schema([self.schema.field(name) for name in names])
        columns = (table.column(name) for name in names)
        # Parquet knows no seconds: they lie there as milliseconds.
        return pa.Table.from_arrays(
            [
                column if column.type == field.type else column.cast(field.type)
                for column, field in zip(columns, schema, strict=True)
            ],
            schema=schema,
        )

    @contextmanager
    def _refusing_damage(self, path: Path) -> Iterator[None]:
        try:
            yield
        except pa.ArrowInvalid as error:
            raise self._to_be_made_again(path, f"is damaged ({error})") from error

    def _to_be_made_again(self, path: Path, what: str) -> UserError:
        return UserError(
            f"{path} {what}: make it again with "
            f"`dagster asset materialize --select {self.folder.name} --partition {path.stem}`."
        )


def one_chunk(table: pa.Table) -> pa.Table:
    """The same rows, each column in one piece with one dictionary."""
    if len(table) < _ROWS_WORTH_A_THREAD:
        return table.unify_dictionaries().combine_chunks()
    with ThreadPoolExecutor(_WRITERS) as pool:
        return pa.Table.from_arrays(list(pool.map(_one_piece, table.columns)), schema=table.schema)


def _one_piece(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return dictionary_array(column)
    return in_one_piece(column)


def _by_day(table: pa.Table, day_of_row: np.ndarray, days: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """Rows grouped by day in the order of `days`, and where each day starts (D + 1,)."""
    place = np.argsort(days)
    found = np.searchsorted(days[place], day_of_row)
    position = place[np.minimum(found, len(days) - 1)] if len(days) else np.zeros(0, dtype=np.int64)
    if not np.array_equal(days[position], day_of_row):
        raise ValueError("a row lies on a day that was not asked to be written")
    starts = np.concatenate([[0], np.cumsum(np.bincount(position, minlength=len(days)))])
    if (np.diff(position) < 0).any():
        table = table.take(pa.array(order_by_day(position)))
    return table, starts


def _is_words(field: pa.Field) -> bool:
    return pa.types.is_dictionary(field.type)


def _in_one_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    several = column.num_chunks > 1 and pa.types.is_dictionary(column.type)
    return dictionary_array(column) if several else column


class _Plain:
    """A column cut up by day."""

    def __init__(self, column: pa.ChunkedArray, starts: np.ndarray) -> None:
        self.column, self.starts = column, starts

    def of_day(self, position: int) -> pa.ChunkedArray:
        return self.column.slice(self.starts[position], self.starts[position + 1] - self.starts[position])


class _OwnWords:
    """A dictionary column cut up by day, each day with a dictionary of its own words, in order of appearance."""

    def __init__(self, column: pa.ChunkedArray, starts: np.ndarray) -> None:
        array = dictionary_array(column)
        codes, words, self.word_starts = _recode(dictionary_codes(array), len(array.dictionary), starts)
        self.starts = starts
        # Of all days at once, and then cut up.
        self.indices = pa.array(codes, mask=codes < 0) if array.null_count else pa.array(codes)
        self.words = array.dictionary.take(pa.array(words))

    def of_day(self, position: int) -> pa.DictionaryArray:
        start, first = self.starts[position], self.word_starts[position]
        return pa.DictionaryArray.from_arrays(
            self.indices.slice(start, self.starts[position + 1] - start),
            self.words.slice(first, self.word_starts[position + 1] - first),
        )


_Cut = _Plain | _OwnWords


@compiled
def _recode(codes: np.ndarray, words: int, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes that count each day's own words, the words themselves, day after day, and where each day's start."""
    new = np.empty(len(codes), dtype=np.int32)
    own = np.empty(len(codes), dtype=np.int32)
    own_starts = np.zeros(len(starts), dtype=np.int64)
    last_day = np.full(words, -1, dtype=np.int32)
    code_in_day = np.empty(words, dtype=np.int32)
    found = 0
    for day in range(len(starts) - 1):
        for row in range(starts[day], starts[day + 1]):
            code = codes[row]
            if code < 0:
                new[row] = -1
                continue
            if last_day[code] != day:
                last_day[code] = day
                code_in_day[code] = found - own_starts[day]
                own[found] = code
                found += 1
            new[row] = code_in_day[code]
        own_starts[day + 1] = found
    return new, own[:found], own_starts
