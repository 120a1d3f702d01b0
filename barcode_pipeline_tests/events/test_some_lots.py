"""Rows of some lots, and rows by number: what is read is what a read of everything would give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.some_lots import read_lots

SCHEMA = pa.schema(
    [
        pa.field("epc_code", pa.dictionary(pa.int32(), pa.string())),
        pa.field("event_time", pa.timestamp("s")),
        pa.field("number", pa.int64()),
    ]
)
FIRST, DAYS = 20_000, 5


def code(lot: int, serial: int) -> str:
    return f"001.8804823.1293291.{lot:06}.20250701.{serial:09}"


@pytest.fixture
def store(tmp_path: Path) -> DateStore:
    made = DateStore(tmp_path / "store", SCHEMA)
    random = np.random.default_rng(3)
    day = np.sort(random.choice([0, 1, 2, 4], 60)) + FIRST  # a date in the middle has no row
    codes = [None if n % 7 == 0 else code(n % 4, n % 9) for n in range(60)]
    table = pa.table(
        [pa.array(codes, pa.string()).dictionary_encode(), pa.array(day * 86_400, pa.timestamp("s")), np.arange(60)],
        schema=SCHEMA,
    )
    made.write(table, day, [FIRST + place for place in range(DAYS)])
    return made


def all_days() -> list[int]:
    return [FIRST + place for place in range(DAYS)]


def test_rows_by_number_come_in_the_order_asked_for(store):
    every = store.read(all_days())
    rows = np.random.default_rng(1).permutation(60)[:25]
    found = store.read_rows(all_days(), rows)
    assert found.to_pylist() == every.take(pa.array(rows)).to_pylist()
    assert found.column("number").to_pylist() == rows.tolist()
    assert store.read_rows(all_days(), rows, ("number",)).column_names == ["number"]
    assert len(store.read_rows(all_days(), np.zeros(0, np.int64))) == 0
    assert store.read_rows(all_days(), np.array([7, 7, 0])).column("number").to_pylist() == [7, 7, 0]


@pytest.mark.parametrize("lots", [(1,), (0, 3), (), (0, 1, 2, 3)])
def test_lots_are_found_with_the_numbers_of_their_rows(store, lots):
    hashes = lot_hashes(pa.array([code(lot, 1) for lot in lots], pa.string()))
    table, rows = read_lots(store, all_days(), hashes, ("epc_code", "number"))
    every = store.read(all_days(), ("epc_code", "number"))
    expected = [
        row for row, text in enumerate(every.column("epc_code").to_pylist()) if text and int(text[20:26]) in lots
    ]
    assert rows.tolist() == expected
    assert table.to_pylist() == every.take(pa.array(expected, pa.int64())).to_pylist()


def test_epcs_of_other_lots_and_rows_without_one(store):
    lots = lot_hashes(pa.array([code(2, 1)]))
    _, rows = read_lots(store, all_days(), lots, ("epc_code",), pa.array([code(1, 1)]), FIRST + 2)
    every = store.read(all_days(), ("epc_code", "event_time"))
    late = every.column("event_time").to_numpy().astype("datetime64[D]").astype(int) >= FIRST + 2
    texts = every.column("epc_code").to_pylist()
    expected = [
        row
        for row, text in enumerate(texts)
        if (text is None and late[row]) or (text and (int(text[20:26]) == 2 or text == code(1, 1)))
    ]
    assert rows.tolist() == expected and any(texts[row] is None for row in expected)
