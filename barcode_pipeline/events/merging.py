"""From rows of files to events: what each row says, which rows are one scan, and in which order they stand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.journeys import NO_EVENT_ID, Events, find_journeys
from barcode_pipeline.events.pairs import first_rows
from barcode_pipeline.events.places import NO_LOCATION_ID, Places, Sites, resolve_places
from barcode_pipeline.events.steps import LEVEL_UNKNOWN, OTHER, directions_of_dictionary, levels_of_dictionary
from barcode_pipeline.events.text import dictionary_array, dictionary_codes


def read_events(table: pa.Table, sites: Sites) -> Events:
    """Events of the columns of `formats.EVENT_SCHEMA` (or of what was enriched from them)."""
    name = dictionary_array(table.column("scan_location"))
    place, places = resolve_places(
        _integers(table.column("location_id"), NO_LOCATION_ID),
        dictionary_array(table.column("location_text")),
        name,
        sites,
    )
    return number_events(
        dictionary_array(table.column("epc_code")),
        table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64),
        place,
        places,
        name,
        dictionary_array(table.column("business_step")),
        dictionary_array(table.column("event_type")),
        _integers(table.column("event_id"), NO_EVENT_ID),
    )


def number_events(
    codes: pa.DictionaryArray,
    time: np.ndarray,
    place: np.ndarray,
    places: Places,
    name: pa.DictionaryArray,
    step: pa.DictionaryArray,
    kind: pa.DictionaryArray,
    event_id: np.ndarray,
) -> Events:
    """Events of dictionary-encoded columns, (N,) each: every distinct word is read once.

    codes: canonical EPC codes. name: of the place, as given. step, kind: business step and event type.
    """
    level, direction, words = _read_words(
        dictionary_codes(name), dictionary_codes(step), dictionary_codes(kind),
        levels_of_dictionary(step.dictionary), levels_of_dictionary(kind.dictionary),
        directions_of_dictionary(kind.dictionary),
        _ranks(name.dictionary), _ranks(step.dictionary), _ranks(kind.dictionary),
    )  # fmt: skip
    if words.max(initial=0) > np.iinfo(np.int32).max:
        words = np.unique(words, return_inverse=True)[1]
    return Events(
        epc=dictionary_codes(codes),
        time=time,
        level=level,
        direction=direction,
        place=place,
        words=words.astype(np.int32),
        event_id=event_id,
        codes=codes.dictionary,
        places=places,
    )


def _integers(column: pa.ChunkedArray, missing: int) -> np.ndarray:
    return pc.fill_null(column, missing).to_numpy().astype(np.int64, copy=False)


def _ranks(words: pa.Array) -> np.ndarray:
    """Rank of each word of a dictionary by its text, with one more at the end for a missing word (code -1)."""
    order = pc.sort_indices(words).to_numpy()
    rank = np.full(len(order) + 1, len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank


@compiled
def _read_words(
    name: np.ndarray,
    step: np.ndarray,
    kind: np.ndarray,
    level_of_step: np.ndarray,
    level_of_kind: np.ndarray,
    direction_of_kind: np.ndarray,
    name_rank: np.ndarray,
    step_rank: np.ndarray,
    kind_rank: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Level, direction and a number that sorts as name, step and event type do, (N,) each, of the codes of words."""
    level, direction = np.empty(len(name), dtype=np.int8), np.empty(len(name), dtype=np.int8)
    words = np.empty(len(name), dtype=np.int64)
    for row in range(len(name)):
        level[row] = level_of_step[step[row]]
        if level[row] == LEVEL_UNKNOWN:
            level[row] = level_of_kind[kind[row]]
        direction[row] = direction_of_kind[kind[row]]
        words[row] = (np.int64(name_rank[name[row]]) * len(step_rank) + step_rank[step[row]]) * len(kind_rank)
        words[row] += kind_rank[kind[row]]
    return level, direction, words


@dataclass(frozen=True)
class Merged:
    """rows: (M,) the surviving rows of the table, by EPC and in the order of travel; without an EPC last.
    duplicate: (N,) bool, the rows that are another row's scan."""

    rows: np.ndarray
    duplicate: np.ndarray


def merge(table: pa.Table, events: Events) -> Merged:
    """Find the exact duplicates and the order of what is left.

    Two rows are the same scan if EPC, second, place, level and direction agree; a word that is no level or
    direction counts as given, and missing equals missing. The row with the lowest event id stays (missing
    last), of several the smallest by all its columns.
    """
    order = _by_journey(events)
    duplicate = np.zeros(len(events), dtype=np.bool_)
    candidates = _sharing_a_second(events, order)
    if len(candidates):
        identity = scan_identity(table, events, candidates)
        key = _mix(*identity)
        # Rows of one scan share the mixed key; the rows that share one are then compared in full.
        shared = np.flatnonzero(pd.Series(key).duplicated(keep=False))
        if len(shared):
            scan = _number_scans(key[shared], [column[shared] for column in identity])
            smallest = _smallest_first(table, events.event_id, candidates[shared], scan)
            duplicate[candidates[shared][smallest]] = pd.Series(scan[smallest]).duplicated().to_numpy()
    return Merged(order[~duplicate[order]], duplicate)


def scan_identity(table: pa.Table, events: Events, rows: np.ndarray) -> list[np.ndarray]:
    """The columns that make a scan, (n,) each, of some rows: two rows are one scan where all of them are equal."""
    step = dictionary_array(table.column("business_step"))
    step_known = levels_of_dictionary(step.dictionary) < LEVEL_UNKNOWN
    kind = dictionary_array(table.column("event_type"))
    # An event type such as `WMS` is a known word, though it names a level and no direction.
    kind_known = directions_of_dictionary(kind.dictionary) < OTHER
    kind_known |= levels_of_dictionary(kind.dictionary) < LEVEL_UNKNOWN
    return [
        events.epc[rows],
        events.time[rows],
        events.place[rows],
        _meaning_or_word(events.level[rows], step_known, dictionary_codes(step)[rows]),
        _meaning_or_word(events.direction[rows], kind_known, dictionary_codes(kind)[rows]),
    ]


def _by_journey(events: Events) -> np.ndarray:
    """Rows in the order of their EPCs' text and of travel, (N,) int32. Rows without an EPC are sorted as if they were
    one more journey, so that their order is fixed too."""
    by_text = pc.sort_indices(events.codes).to_numpy()
    rank = np.empty(len(by_text) + 1, dtype=np.int32)
    rank[by_text] = np.arange(len(by_text), dtype=np.int32)
    rank[-1] = len(by_text)
    ranked = replace(events, epc=rank[events.epc], codes=pa.nulls(len(by_text) + 1, pa.string()))
    return find_journeys(ranked).order


def _sharing_a_second(events: Events, order: np.ndarray) -> np.ndarray:
    """Rows that share EPC and second with another, ascending: only they can be the same scan. order: by journey."""
    if not len(order):
        return order
    epc, time = events.epc[order], events.time[order]
    same = (epc[1:] == epc[:-1]) & (time[1:] == time[:-1])
    return np.sort(order[np.append(same, False) | np.append(False, same)])


def _number_scans(key: np.ndarray, identity: list[np.ndarray]) -> np.ndarray:
    """A number per scan, (C,): equal where all columns of the identity are; `key` is the mix of them."""
    scan = pd.factorize(key)[0]
    first = first_rows(scan)[scan]
    if all(np.array_equal(column, column[first]) for column in identity):
        return scan
    # Different scans share a mixed key, which hardly ever happens: count them in full.
    return pd.DataFrame(dict(enumerate(identity))).groupby(list(range(len(identity)))).ngroup().to_numpy()


def _smallest_first(table: pa.Table, event_id: np.ndarray, candidates: np.ndarray, scan: np.ndarray) -> np.ndarray:
    """An order of the candidates in which the row that stays comes before the others of its scan."""
    first = first_rows(scan)[scan]
    keys = []
    for name in ("event_id", *(name for name in table.column_names if name != "event_id")):
        column = table.column(name)
        if name == "event_id":
            ranks = event_id[candidates]
        elif pa.types.is_dictionary(column.type):
            words = dictionary_array(column)
            codes = dictionary_codes(words)[candidates]
            if np.array_equal(codes, codes[first]):
                continue
            ranks = _ranks(words.dictionary)[codes]
        else:
            ranks = _integers(column.cast(pa.int64()), np.iinfo(np.int64).max)[candidates]
        # A scan sent twice is the same in nearly all columns; only those that differ are worth a sort.
        if not np.array_equal(ranks, ranks[first]):
            keys.append(ranks)
    return np.lexsort(keys[::-1]) if keys else np.arange(len(candidates))


def _meaning_or_word(meaning: np.ndarray, known: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """One number for what a word means (level, direction) and, where it is given but not known, the word."""
    return meaning + 8 * np.where(known[codes] | (codes < 0), 0, codes.astype(np.int64) + 1)


@compiled
def _mix(epc: np.ndarray, time: np.ndarray, place: np.ndarray, step: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """A 64-bit mix of the columns that make a scan: equal for equal rows (multiply and shift, as splitmix64)."""
    out = np.full(len(epc), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for row in range(len(epc)):
        value = _mix_in(out[row], np.uint64(epc[row]))
        value = _mix_in(value, np.uint64(time[row]))
        value = _mix_in(value, np.uint64(place[row]))
        value = _mix_in(value, np.uint64(step[row]))
        out[row] = _mix_in(value, np.uint64(kind[row]))
    return out


@compiled
def _mix_in(value: np.uint64, part: np.uint64) -> np.uint64:
    value = (value ^ part) * np.uint64(0xBF58476D1CE4E5B9)
    return value ^ (value >> np.uint64(29))
