"""Journeys: events as columns, in the order of their EPC's travel, and which of them form its chain.

Everything that looks at an event beside its neighbours (enrichment, rules, features) starts here, so that
all agree on what "the previous event" is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from barcode_pipeline.compiled import compiled, inlined
from barcode_pipeline.events.places import Places
from barcode_pipeline.events.steps import LEVEL_UNKNOWN, MISSING

NO_EVENT_ID = np.iinfo(np.int64).max
"""Stands for a missing event id; sorts last."""
_ROW_BITS = 0xFFFFFFFF


@dataclass(frozen=True)
class Events:
    """Events in no particular order, (N,) each, with the dictionaries that their codes point into.

    epc: int32 code into `codes`, -1 where the EPC is missing.
    time: int64 seconds of the pipeline's zone (`times`).
    level: int8, `steps.LEVEL_UNKNOWN` where unknown. direction: int8, `steps.IN` … `steps.MISSING`.
    place: int32 into `places`. words: int32 rank of (name of the place, step, event type) as given.
    event_id: int64, `NO_EVENT_ID` where missing.
    codes: canonical EPC codes, distinct, without nulls.
    """

    epc: np.ndarray
    time: np.ndarray
    level: np.ndarray
    direction: np.ndarray
    place: np.ndarray
    words: np.ndarray
    event_id: np.ndarray
    codes: pa.Array
    places: Places

    def __len__(self) -> int:
        return len(self.epc)

    def take(self, rows: np.ndarray) -> Events:
        """Some of the events, in this order, with the same dictionaries. rows: (M,)."""
        return replace(self, **{name: getattr(self, name)[rows] for name in EVENT_COLUMNS})


EVENT_COLUMNS = ("epc", "time", "level", "direction", "place", "words", "event_id")
"""The columns of `Events` that have a value per event."""


@dataclass(frozen=True)
class Journeys:
    """The order of events by journey.

    order: (N,) int32, the rows of `Events`, journey by journey in the order of travel. Rows without an EPC
    stand last, each a journey of its own that is not looked at.
    offsets: (J + 1,) int64; journey j is `order[offsets[j]:offsets[j + 1]]`, the EPC of code j.
    """

    order: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class Travel:
    """Events in the order of travel: loops over journeys then read memory from front to back.

    epc, time, level, direction, place: columns of `Events` in that order. journeys: how it came about. previous:
    (N,) int32, the event just before in the chain, as a place in this order, -1 for the first, for events that were
    sent too late and for rows without an EPC. overtaken: (N,) int8, levels of an event above the lowest one that was
    sent before it (a lower id) and is dated later.
    """

    epc: np.ndarray
    time: np.ndarray
    level: np.ndarray
    direction: np.ndarray
    place: np.ndarray
    journeys: Journeys
    previous: np.ndarray
    overtaken: np.ndarray

    @property
    def late(self) -> np.ndarray:
        """(N,) bool, sent too late: after an event at a lower level, a step that must come first, yet dated before."""
        return self.overtaken > 0

    def previous_rows(self) -> np.ndarray:
        """`previous` by row of the events as they came, as rows."""
        return _previous_rows(self.journeys.order, self.previous)

    def by_row(self, values: np.ndarray) -> np.ndarray:
        """Values in the order of travel, (N, K) -> by row of the events as they came."""
        return _by_row(self.journeys.order, values)


def follow(events: Events) -> Travel:
    """Put events into the order of travel and find the chain of each journey."""
    sorted_events, offsets = _sorted_events(events)
    order, epc, time, level, direction, place = _columns(sorted_events, offsets)
    some_ids = bool((events.event_id != NO_EVENT_ID).any())
    event_id = events.event_id[order] if some_ids else events.event_id
    previous, overtaken = _find_chains(offsets, time, level, event_id, some_ids)
    return Travel(epc, time, level, direction, place, Journeys(order, offsets), previous, overtaken)


def find_journeys(events: Events) -> Journeys:
    """Sort events into journeys: by EPC code, then as the rules' contract orders an EPC's events.

    Within an EPC: time; level, unknown last; in, out, sale, other or missing; event id, missing last;
    location id as resolved, missing last; name, step, then event type, as given, missing last. Linear: a
    counting sort by EPC, and a merge sort within each journey. Rows that agree in all of it keep their order.
    """
    sorted_events, offsets = _sorted_events(events)
    return Journeys(_rows(sorted_events), offsets)


def _sorted_events(events: Events) -> tuple[np.ndarray, np.ndarray]:
    return _sort(
        events.epc, len(events.codes), events.time, events.level, events.direction, events.place, events.event_id,
        events.words,
    )  # fmt: skip


_KEY, _ROW = range(2)
"""An event while it is sorted, (N, 2) int64, in one piece of memory: `_key`; row and place, 32 bits each."""


@inlined
def _key(time: int, level: int, direction: int) -> np.int64:
    """Time, level and direction as one number: all but the last bit sort, by which other and missing are told apart."""
    return ((np.int64(time) * 8 + level) * 4 + min(direction, 3)) * 2 + (direction == MISSING)


@inlined
def _before(one: np.ndarray, a: int, other: np.ndarray, b: int, event_id: np.ndarray, words: np.ndarray) -> bool:
    """Whether event a of `one` strictly precedes event b of `other`."""
    first, second = one[a, _KEY] >> 1, other[b, _KEY] >> 1
    if first != second:
        return first < second
    row, row_b = one[a, _ROW] & _ROW_BITS, other[b, _ROW] & _ROW_BITS
    if event_id[row] != event_id[row_b]:
        return event_id[row] < event_id[row_b]
    place, place_b = one[a, _ROW] >> 32, other[b, _ROW] >> 32
    if place != place_b:
        return place < place_b
    return words[row] < words[row_b]


@compiled
def _sort(
    epc: np.ndarray,
    codes: int,
    time: np.ndarray,
    level: np.ndarray,
    direction: np.ndarray,
    place: np.ndarray,
    event_id: np.ndarray,
    words: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    count = len(epc)
    offsets = np.zeros(codes + 2, dtype=np.int64)
    for row in range(count):
        offsets[(epc[row] if epc[row] >= 0 else codes) + 1] += 1
    longest = 0
    for code in range(codes + 1):
        longest = max(longest, offsets[code + 1])
        offsets[code + 1] += offsets[code]
    events = np.empty((count, 2), dtype=np.int64)
    free = offsets[:-1].copy()
    for row in range(count):
        code = epc[row] if epc[row] >= 0 else codes
        events[free[code], _KEY] = _key(time[row], level[row], direction[row])
        events[free[code], _ROW] = np.int64(place[row]) << 32 | row
        free[code] += 1
    scratch = np.empty((longest, 2), dtype=np.int64)
    for code in range(codes):
        _sort_journey(events, offsets[code], offsets[code + 1], scratch, event_id, words)
    return events, offsets[: codes + 1]


@compiled
def _sort_journey(
    events: np.ndarray, first: int, end: int, scratch: np.ndarray, event_id: np.ndarray, words: np.ndarray
) -> None:
    """Stable merge sort in place: insertion sort of runs of 16, then merging them pairwise."""
    width = 16
    for start in range(first, end, width):
        for i in range(start + 1, min(start + width, end)):
            j = i
            while j > start and _before(events, j, events, j - 1, event_id, words):
                key, row = events[j, _KEY], events[j, _ROW]
                events[j, _KEY], events[j, _ROW] = events[j - 1, _KEY], events[j - 1, _ROW]
                events[j - 1, _KEY], events[j - 1, _ROW] = key, row
                j -= 1
    while width < end - first:
        for start in range(first, end - width, 2 * width):
            stop = min(start + 2 * width, end)
            scratch[: stop - start] = events[start:stop]
            left, right, last = 0, width, stop - start
            for target in range(start, stop):
                from_right = right < last and (left == width or _before(scratch, right, scratch, left, event_id, words))
                source = right if from_right else left
                events[target, _KEY], events[target, _ROW] = scratch[source, _KEY], scratch[source, _ROW]
                right, left = (right + 1, left) if from_right else (right, left + 1)
        width *= 2


@compiled
def _rows(events: np.ndarray) -> np.ndarray:
    out = np.empty(len(events), dtype=np.int32)
    for position in range(len(events)):
        out[position] = events[position, _ROW] & _ROW_BITS
    return out


@compiled
def _columns(
    events: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Row, EPC, time, level, direction and place of sorted events, (N,) each."""
    count = len(events)
    row, epc = np.empty(count, dtype=np.int32), np.full(count, -1, dtype=np.int32)
    time, level = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int8)
    direction, place = np.empty(count, dtype=np.int8), np.empty(count, dtype=np.int32)
    for code in range(len(offsets) - 1):
        for position in range(offsets[code], offsets[code + 1]):
            epc[position] = code
    for position in range(count):
        key = events[position, _KEY]
        row[position], place[position] = events[position, _ROW] & _ROW_BITS, events[position, _ROW] >> 32
        time[position], level[position] = key >> 6, (key >> 3) & 7
        direction[position] = ((key >> 1) & 3) + (key & 1)
    return row, epc, time, level, direction, place


@compiled
def _count_overtaken(
    first: int,
    end: int,
    time: np.ndarray,
    level: np.ndarray,
    event_id: np.ndarray,
    lowest_later: np.ndarray,
    overtaken: np.ndarray,
) -> None:
    """Fill `overtaken` for the events of one journey.

    One pass from the end keeps in `lowest_later` the lowest id of each level among the events with a later time.
    """
    lowest_later[:] = NO_EVENT_ID
    stop = end
    while stop > first:
        start = stop - 1
        while start > first and time[start - 1] == time[start]:
            start -= 1
        for row in range(start, stop):
            if event_id[row] != NO_EVENT_ID and level[row] < LEVEL_UNKNOWN:
                for lower in range(level[row]):
                    if lowest_later[lower] < event_id[row]:
                        overtaken[row] = level[row] - lower
                        break
        for row in range(start, stop):
            if level[row] < LEVEL_UNKNOWN:
                lowest_later[level[row]] = min(lowest_later[level[row]], event_id[row])
        stop = start


@compiled
def _find_chains(
    offsets: np.ndarray, time: np.ndarray, level: np.ndarray, event_id: np.ndarray, some_ids: bool
) -> tuple[np.ndarray, np.ndarray]:
    """`previous` and `overtaken` of every event: what was sent too late is no part of its journey's chain.

    some_ids: whether any event has an id; without one, nothing can be told of the order of sending.
    """
    previous = np.full(len(time), -1, dtype=np.int32)
    overtaken = np.zeros(len(time), dtype=np.int8)
    lowest_later = np.empty(LEVEL_UNKNOWN, dtype=np.int64)
    for journey in range(len(offsets) - 1):
        first, end = offsets[journey], offsets[journey + 1]
        if some_ids:
            _count_overtaken(first, end, time, level, event_id, lowest_later, overtaken)
        last = -1
        for row in range(first, end):
            if overtaken[row] == 0:
                previous[row] = last
                last = row
    return previous, overtaken


@compiled
def _previous_rows(order: np.ndarray, previous: np.ndarray) -> np.ndarray:
    out = np.empty(len(order), dtype=np.int32)
    for position in range(len(order)):
        before = previous[position]
        out[order[position]] = order[before] if before >= 0 else -1
    return out


@compiled
def _by_row(order: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = np.empty_like(values)
    for position in range(len(order)):
        row = order[position]
        for column in range(values.shape[1]):
            out[row, column] = values[position, column]
    return out
