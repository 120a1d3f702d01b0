"""What a step has before it: the request's scans, the journeys they belong to, and which of the rows are new scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from barcode_pipeline.events.codes import canonical_codes, lots_of
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.text import dictionary_codes
from barcode_pipeline.serving.history import keyless
from barcode_pipeline.serving.judge import Given, find_scans, known_events
from barcode_pipeline.serving.readings import Readings
from barcode_pipeline.serving.requests import Scans
from barcode_pipeline.serving.rows import unpack


@dataclass(frozen=True)
class Keys:
    """The journeys of a step. names: keys. of_row: (N,) int32. codes: canonical EPC codes. code_of_key: int32, -1 for
    rows without an EPC. lots: name of each code's lot."""

    names: list[str]
    of_row: np.ndarray
    codes: pa.Array
    code_of_key: np.ndarray
    lots: list[str]


@dataclass(frozen=True)
class Found:
    """The rows of the journeys, then those of the request.

    rows: (H,) `ROW`, the history. given: all rows. stays: (H + N,) the row that stands for each row's scan. known: rows
    that stand for themselves, ascending; fresh: those of them that are new.
    """

    scans: Scans
    keys: Keys
    journeys: Sequence[bytes | None]
    rows: np.ndarray
    given: Given
    stays: np.ndarray
    known: np.ndarray
    fresh: np.ndarray

    def events(self) -> Events:
        """All that is known, the new scans among them."""
        return known_events(self.given, self.known, self.keys.code_of_key, self.keys.codes)

    @property
    def known_before(self) -> int:
        """How many of the events were known before: they stand first."""
        return len(self.known) - len(self.fresh)

    def cut_lots(self, last_events: int) -> list[str]:
        """Lots of the journeys that are too long now to be kept whole."""
        numbers = np.append(self.given.key[: len(self.rows)], self.given.key[self.fresh])
        scans = np.bincount(numbers, minlength=len(self.keys.names))
        cut = self.keys.code_of_key[scans > last_events]
        return [self.keys.lots[code] for code in cut.tolist() if code >= 0]


def find_keys(scans: Scans) -> Keys:
    words = canonical_codes(pa.array(scans.sent, pa.string())).dictionary_encode()
    code = dictionary_codes(words)
    names = words.dictionary.to_pylist()
    of_row = code.copy()
    code_of_key = list(range(len(names)))
    numbers: dict[str, int] = {}
    for row in np.flatnonzero(code < 0).tolist():
        key = keyless(int(scans.time[row]))
        if key not in numbers:
            numbers[key] = len(names)
            names.append(key)
            code_of_key.append(-1)
        of_row[row] = numbers[key]
    lots = lots_of(words.dictionary)
    lot_of_code = np.array(lots.dictionary.to_pylist(), dtype=object)[dictionary_codes(lots)].tolist()
    return Keys(names, of_row, words.dictionary, np.array(code_of_key, np.int32), lot_of_code)


def find(scans: Scans, keys: Keys, journeys: Sequence[bytes | None], readings: Readings) -> Found:
    """Lay the request beside its journeys."""
    rows, key_of_row = unpack(journeys)
    table, reading, reading_before = readings.resolve(scans.readings, rows["reading"])
    given = Given(
        key=np.concatenate([key_of_row, keys.of_row]),
        time=np.concatenate([rows["time"], scans.time]),
        event_id=np.concatenate([rows["event_id"], scans.event_id]),
        reading=np.concatenate([reading_before, reading]),
        history=len(rows),
        table=table,
    )
    stays = find_scans(given)
    known = np.flatnonzero(stays == np.arange(len(given)))
    return Found(scans, keys, journeys, rows, given, stays, known, known[known >= len(rows)])


def joined(requests: Sequence[Scans]) -> Scans:
    """Requests one after the other."""
    if len(requests) == 1:
        return requests[0]
    return Scans(
        np.concatenate([request.event_id for request in requests]),
        np.concatenate([request.file_id for request in requests]),
        np.concatenate([request.time for request in requests]),
        [code for request in requests for code in request.sent],
        [reading for request in requests for reading in request.readings],
    )
