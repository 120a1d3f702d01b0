"""Which journeys a change of rows concerns, against a slow reading of every event before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.codes import lot_names
from barcode_pipeline.events.hashes import lot_hashes, row_hashes, word_hashes
from barcode_pipeline.events.journeys import NO_EVENT_ID, Events, follow
from barcode_pipeline.events.staleness import (
    NEVER,
    Changes,
    changed_rows,
    first_changes,
    holds_changed,
    lowest_numbers,
    overtaken_by,
)

CODES = tuple(f"001.8804823.1293291.01000{lot}.20250701.00000000{serial}" for lot in (1, 2) for serial in (1, 2))


class Scan(NamedTuple):
    epc: int | None
    time: int
    level: int
    event_id: int | None


scans = st.builds(
    Scan,
    st.sampled_from((0, 1, 2, 3, None)),
    st.integers(0, 9),
    st.integers(0, 6),
    st.one_of(st.none(), st.integers(1, 9)),
)


def events_of(rows: Sequence[Scan]) -> Events:
    def column(values: Sequence[int], kind: Any) -> np.ndarray:
        return np.array(values, dtype=kind)

    zeros = np.zeros(len(rows), np.int32)
    return Events(
        epc=column([-1 if row.epc is None else row.epc for row in rows], np.int32),
        time=column([row.time for row in rows], np.int64),
        level=column([row.level for row in rows], np.int8),
        direction=np.zeros(len(rows), np.int8),
        place=zeros,
        words=zeros,
        event_id=column([NO_EVENT_ID if row.event_id is None else row.event_id for row in rows], np.int64),
        codes=pa.array(CODES),
        places=None,  # type: ignore[arg-type]
    )


def what_is_said(rows: Sequence[Scan]) -> dict[Scan, object]:
    """Of each scan with an EPC: the one before it in the chain, and whether it was sent too late."""
    events = events_of(rows)
    travel = follow(events)
    previous, late = travel.previous_rows(), travel.by_row(travel.overtaken[:, None].astype(np.int64))[:, 0]
    return {
        row: (rows[previous[number]] if previous[number] >= 0 else None, int(late[number]))
        for number, row in enumerate(rows)
        if row.epc is not None
    }


@settings(deadline=None, max_examples=300)
@given(kept=st.sets(scans, max_size=10), gone=st.sets(scans, max_size=3), come=st.sets(scans, max_size=3))
def test_all_that_is_said_otherwise_is_said_from_then_on(kept: set[Scan], gone: set[Scan], come: set[Scan]) -> None:
    changed = sorted(gone ^ come, key=str)
    before, after = sorted(kept | gone, key=str), sorted(kept | come, key=str)
    changed = [row for row in changed if (row in before) != (row in after)]
    events = events_of(changed)
    first = first_changes(events)
    known = events_of([*before, *after])
    changes = overtaken_by(first, events, known)
    since = dict(zip(changes.codes.to_pylist(), changes.first.tolist(), strict=True))
    said_before, said_after = what_is_said(before), what_is_said(after)
    for row in said_before.keys() & said_after.keys():
        if said_before[row] != said_after[row]:
            assert row.time >= since[CODES[row.epc or 0]]
    # Nothing is concerned without a reason: a changed row, or one that such a row was sent before.
    for code, second in since.items():
        own = [row for row in changed if row.epc is not None and CODES[row.epc] == code]
        reasons = {row.time for row in own} | {
            old.time
            for old in (*before, *after)
            for row in own
            if old.epc == row.epc and None not in (old.event_id, row.event_id)
            if old.time < row.time and old.level > row.level and old.level < 6 and old.event_id > row.event_id  # type: ignore[operator]
        }
        assert second == min(reasons)
    lots, lowest = lowest_numbers(events)
    numbers = {
        lot: [
            row.event_id for row in changed if row.epc is not None and row.event_id is not None and row.epc // 2 == lot
        ]
        for lot in (0, 1)
    }
    assert dict(zip(lots.tolist(), lowest.tolist(), strict=True)) == {
        int(lot_hashes(pa.array([CODES[2 * lot]]))[0]): min(ids) for lot, ids in numbers.items() if ids
    }


def test_lots_change_with_their_first_epc() -> None:
    changes = Changes(pa.array([CODES[0], CODES[1], CODES[2]]), np.array([50, 20, 70]))
    lots, first = changes.of_lots()
    found = dict(zip(lots.tolist(), first.tolist(), strict=True))
    hashes = lot_hashes(pa.array(CODES)).tolist()
    assert found == {hashes[0]: 20, hashes[2]: 70} and hashes[0] == hashes[1] != hashes[2]


def test_a_date_holds_a_journey_that_has_changed_by_then() -> None:
    changes = Changes(pa.array([CODES[0], CODES[1]]), np.array([100, NEVER - 1]))
    assert not holds_changed(pa.array([CODES[0], CODES[2]]), changes, end_of_day=100)
    assert holds_changed(pa.array([CODES[2], CODES[0]]), changes, end_of_day=101)
    assert not holds_changed(pa.array([CODES[1], CODES[2]]), changes, end_of_day=101)
    assert not holds_changed(pa.array([], pa.string()), changes, end_of_day=101)


texts = st.lists(st.text(alphabet="0123456789.aé", max_size=12), max_size=30)


@settings(deadline=None)
@given(words=texts)
def test_hashes_tell_lots_and_words_apart_as_their_names_do(words: list[str]) -> None:
    codes = pa.array(words, pa.string())
    names = lot_names(codes).to_pylist()
    for hashes, named in ((lot_hashes(codes).tolist(), names), (word_hashes(codes).tolist(), words)):
        by_name = dict(zip(named, hashes, strict=True))
        assert [by_name[name] for name in named] == hashes
        assert len(set(hashes)) == len(by_name)


tables = st.lists(
    st.tuples(st.sampled_from(("a", "b", None)), st.sampled_from((0, 1, -7, None)), st.integers(0, 3)),
    unique=True,
    max_size=12,
)


def table_of(rows: list[tuple[str | None, int | None, int]], words: Sequence[str] = ()) -> pa.Table:
    word, number, time = zip(*rows, strict=True) if rows else ((), (), ())
    dictionary = pa.array([*words, *sorted({one for one in word if one} - set(words))], pa.string())
    places = [None if one is None else dictionary.to_pylist().index(one) for one in word]
    return pa.table(
        {
            "word": pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), dictionary),
            "number": pa.array(number, pa.int64()),
            "time": pa.array(time, pa.int64()).cast(pa.timestamp("s")),
        }
    )


@settings(deadline=None)
@given(before=tables, after=tables)
def test_changed_rows_are_those_that_one_table_has(
    before: list[tuple[str | None, int | None, int]], after: list[tuple[str | None, int | None, int]]
) -> None:
    found = changed_rows(table_of(before), table_of(after, words=("unused", "b")))
    rows = [(row["word"], row["number"], int(row["time"].timestamp())) for row in _in_utc(found)]
    assert sorted(rows, key=str) == sorted(set(before) ^ set(after), key=str)


def _in_utc(table: pa.Table) -> list[dict[str, Any]]:
    return table.set_column(2, "time", table.column("time").cast(pa.timestamp("s", tz="UTC"))).to_pylist()


def test_columns_that_change_places_are_another_row() -> None:
    one = pa.table({"a": pa.array([1]), "b": pa.array([2])})
    assert row_hashes(one, ["a", "b"]) != row_hashes(one, ["b", "a"])
