"""Readings: the distinct ways in which rows name their place, step and event type, each read once.

Few of them occur, over and over: what the pipeline's kernels make of one (place, level, direction, which scans it is
the same as) is computed when it is first met and looked up from then on. No history and no request is known here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.formats import EVENT_SCHEMA
from barcode_pipeline.events.merging import read_events, scan_identity
from barcode_pipeline.events.places import Places, Sites
from barcode_pipeline.events.text import clean_words, dictionary_array, dictionary_codes, integers_from_words

MOST = 8192
"""Readings that are kept at once. Beyond it the table starts anew, so that odd senders cannot fill the memory."""

Raw = tuple[Hashable, str | None, str | None, str | None]
"""location_id, scan_location, business_step, event_type as a request gives them."""
Clean = tuple[int | None, str | None, str | None, str | None, str | None]
"""The same as `EVENT_SCHEMA` holds them: location_id, location_text, scan_location, business_step, event_type."""


@dataclass(frozen=True)
class ReadingTable:
    """What is known of some readings, (R,) each, ascending by id.

    id: uint64. place: int32 into `places`. level, direction: int8. words: int32, as `Events.words`. identity: int64,
    equal where two readings in one second are one scan. rank: int64, their order by all columns. clean: as given.
    texts: the same, to be kept.
    """

    id: np.ndarray
    place: np.ndarray
    level: np.ndarray
    direction: np.ndarray
    words: np.ndarray
    identity: np.ndarray
    rank: np.ndarray
    places: Places
    clean: tuple[Clean, ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.id)

    def find(self, ids: np.ndarray) -> np.ndarray:
        """The rows of some ids, (n,) int64, -1 for those that are not here."""
        if not len(self):
            return np.full(len(ids), -1, dtype=np.int64)
        row = np.minimum(np.searchsorted(self.id, ids), len(self) - 1)
        return np.where(self.id[row] == ids, row, -1)


class Readings:
    """The readings that a process has met. Used by one thread at a time.

    Parameters
    ----------
    sites: the sites table that places are looked up in.
    load: the texts (`text_of`) of readings by id, from where they are kept.
    """

    def __init__(self, sites: Sites, load: Callable[[Sequence[int]], dict[int, str]]) -> None:
        self._sites = sites
        self._load = load
        self._known: dict[int, Clean] = {}
        self._id_of_raw: dict[Raw, int] = {}
        self._table = read_readings({}, sites)

    def resolve(self, raw: Sequence[Raw], ids: np.ndarray) -> tuple[ReadingTable, np.ndarray, np.ndarray]:
        """(table, rows of the readings `raw` in it, rows of the readings with `ids` in it)."""
        of_raw = self._ids(raw)
        wanted = np.concatenate([of_raw, ids])
        rows = self._table.find(wanted)
        if (rows < 0).any():
            self._extend(np.unique(wanted[rows < 0]), wanted)
            rows = self._table.find(wanted)
        return self._table, rows[: len(raw)], rows[len(raw) :]

    def _ids(self, raw: Sequence[Raw]) -> np.ndarray:
        unknown = {reading for reading in raw if reading not in self._id_of_raw}
        if len(self._id_of_raw) + len(unknown) > MOST:
            self._id_of_raw.clear()
            self._known = {int(number): self._known[int(number)] for number in self._table.id}
            unknown = set(raw)
        if unknown:
            self._learn(list(unknown))
        return np.fromiter((self._id_of_raw[reading] for reading in raw), np.uint64, len(raw))

    def _learn(self, raw: list[Raw]) -> None:
        for reading, clean in zip(raw, clean_readings(raw), strict=True):
            number = id_of(clean)
            self._known[number] = clean
            self._id_of_raw[reading] = number

    def _extend(self, missing: np.ndarray, wanted: np.ndarray) -> None:
        not_here = [int(number) for number in missing if int(number) not in self._known]
        for number, text in self._load(not_here).items() if not_here else ():
            self._known[number] = clean_of(text)
        if len(self._known) > MOST:
            needed = {int(number) for number in np.unique(wanted)}
            self._known = {number: clean for number, clean in self._known.items() if number in needed}
            self._id_of_raw = {raw: number for raw, number in self._id_of_raw.items() if number in needed}
        self._table = read_readings(self._known, self._sites)


def clean_readings(raw: Sequence[Raw]) -> list[Clean]:
    """What requests give, read as a raw file's columns are."""
    words = clean_words(pa.array([_word(location) for location, *_ in raw], pa.string()))
    numbers, readable = integers_from_words(words)
    texts = words.to_pylist()
    columns = [clean_words(pa.array([row[place] for row in raw], pa.string())).to_pylist() for place in (1, 2, 3)]
    return [
        (int(number), None, *rest) if whole else (None, text, *rest)
        for number, whole, text, rest in zip(numbers, readable, texts, zip(*columns, strict=True), strict=True)
    ]


def _word(location: object) -> str | None:
    if location is None or isinstance(location, str):
        return location
    if isinstance(location, float) and location.is_integer() and abs(location) < 1e18:
        return str(int(location))
    return str(location)


def text_of(clean: Clean) -> str:
    """A reading as text, to be kept."""
    return json.dumps(clean, ensure_ascii=False, separators=(",", ":"))


def clean_of(text: str) -> Clean:
    location_id, location_text, name, step, kind = json.loads(text)
    return location_id, location_text, name, step, kind


def id_of(clean: Clean) -> int:
    """The same number for the same reading in every process, 64 bits."""
    return int.from_bytes(hashlib.blake2b(text_of(clean).encode(), digest_size=8).digest(), "big")


def readings_of(table: pa.Table) -> tuple[list[Clean], np.ndarray]:
    """The distinct readings of a table of `EVENT_SCHEMA` columns, and which one each row has, (N,) int64."""
    names = ("location_id", "location_text", "scan_location", "business_step", "event_type")
    coded = {name: dictionary_codes(dictionary_array(table.column(name))) for name in names}
    codes = pd.DataFrame(coded).groupby(list(names), sort=False).ngroup().to_numpy()
    first = np.full(codes.max() + 1 if len(codes) else 0, -1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    columns = [_plain(table.column(name)).take(pa.array(first)).to_pylist() for name in names]
    return list(zip(*columns, strict=True)), codes


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def event_columns(clean: Iterable[Clean]) -> dict[str, pa.Array]:
    """The five columns of `EVENT_SCHEMA` that a reading fills."""
    columns = tuple(zip(*clean, strict=True)) or ((),) * 5
    names = ("location_id", "location_text", "scan_location", "business_step", "event_type")
    return {
        name: pa.array(values, pa.int64())
        if name == "location_id"
        else pa.array(values, pa.string()).dictionary_encode()
        for name, values in zip(names, columns, strict=True)
    }


def read_readings(known: dict[int, Clean], sites: Sites) -> ReadingTable:
    """Read all of some readings by the kernels that read rows of files."""
    ids = np.sort(np.fromiter(known, np.uint64, len(known)))
    clean = tuple(known[int(number)] for number in ids)
    given = event_columns(clean)
    count = len(clean)
    table = pa.table(
        [given.get(field.name, pa.nulls(count, field.type)) for field in EVENT_SCHEMA], names=EVENT_SCHEMA.names
    )
    table = table.set_column(
        table.column_names.index("event_time"), "event_time", pa.array(np.zeros(count, np.int64), pa.timestamp("s"))
    )
    events = read_events(table, sites)
    _, _, *identity = scan_identity(table, events, np.arange(count))
    sort_keys = [(name, "ascending") for name in ("location_id", "scan_location", "business_step", "event_type")]
    plain = pa.table({name: _plain(table.column(name)) for name in (*(n for n, _ in sort_keys), "location_text")})
    rank = np.empty(count, dtype=np.int64)
    rank[pc.sort_indices(plain, sort_keys=[*sort_keys, ("location_text", "ascending")]).to_numpy()] = np.arange(count)
    numbered = np.unique(np.stack(identity, axis=1), axis=0, return_inverse=True)[1] if count else np.zeros(0, int)
    return ReadingTable(
        ids, events.place, events.level, events.direction, events.words, numbered.reshape(-1).astype(np.int64), rank,
        events.places, clean, tuple(map(text_of, clean)),
    )  # fmt: skip
