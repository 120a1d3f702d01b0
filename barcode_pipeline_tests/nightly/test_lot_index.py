"""The index of lots: what it says of dates, and which files it and history open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.history import read_with_history
from barcode_pipeline.events.lot_index import LotIndex
from barcode_pipeline.events.times import day_number

SCHEMA = pa.schema(
    [
        pa.field("epc_code", pa.dictionary(pa.int32(), pa.string())),
        pa.field("event_time", pa.timestamp("s")),
        pa.field("event_id", pa.int64()),
    ]
)
FIRST = day_number("2025-07-01")


def code(lot: int, serial: int) -> str:
    return f"001.8804823.1293291.{lot:06}.20250701.{serial:09}"


def lots(*numbers: int) -> np.ndarray:
    return np.sort(lot_hashes(pa.array([code(number, 1) for number in numbers])))


def write(store: DateStore, rows: dict[int, list[tuple[str | None, int | None]]]) -> None:
    """rows: by day after the first, (EPC, event id)."""
    days = [FIRST + day for day, some in rows.items() for _ in some]
    table = pa.table(
        [
            pa.array([epc for some in rows.values() for epc, _ in some], pa.string()).dictionary_encode(),
            pa.array([day * 86_400 + 60 for day in days], pa.timestamp("s")),
            pa.array([number for some in rows.values() for _, number in some], pa.int64()),
        ],
        schema=SCHEMA,
    )
    store.write(table, np.array(days, dtype=np.int64), [FIRST + day for day in rows])


@pytest.fixture
def store(tmp_path: Path) -> DateStore:
    made = DateStore(tmp_path / "store", SCHEMA)
    write(
        made,
        {
            0: [(code(1, 1), 5), (code(1, 2), None), (None, 90)],
            1: [(code(2, 1), None)],
            2: [(code(1, 3), 9), (code(3, 1), 2)],
            3: [],
            4: [("BROKEN", 1)],
        },
    )
    return made


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the date files that are opened, as they are."""
    names: list[str] = []
    real = DateStore._read_one

    def read(self: DateStore, path: Path, columns: list[str]) -> pa.Table:
        names.append(path.stem)
        return real(self, path, columns)

    monkeypatch.setattr(DateStore, "_read_one", read)
    return names


def days(numbers: np.ndarray) -> list[int]:
    return (numbers - FIRST).tolist()


def test_what_it_says(store: DateStore, tmp_path: Path) -> None:
    index = LotIndex(tmp_path / "index.npz", store).read()
    assert days(index.seen) == [0, 1, 2, 3, 4]
    assert days(index.days_of(lots(1))) == [0, 2]
    assert days(index.days_of(index.lots_of([FIRST + 2]))) == [0, 2]
    assert days(index.days_from(lots(1), np.array([FIRST + 1]))) == [2]
    assert days(index.days_with_higher_ids(lots(1), np.array([5]))) == [2]
    assert days(index.days_with_higher_ids(lots(1), np.array([4]))) == [0, 2]
    # A lot without ids has none that is higher; rows without an EPC are of no lot.
    assert days(index.days_with_higher_ids(lots(2), np.array([0]))) == []
    assert days(index.days_with_higher_ids(np.zeros(0, np.uint64), np.zeros(0, np.int64))) == []
    assert len(index.day) == 5


def test_only_files_that_are_new_or_have_changed_are_opened(
    store: DateStore, tmp_path: Path, opened: list[str]
) -> None:
    index = LotIndex(tmp_path / "index.npz", store)
    index.read()
    assert len(opened) == 5
    opened.clear()
    LotIndex(tmp_path / "index.npz", store).read()
    assert opened == []
    write(store, {1: [(code(1, 9), None)], 5: [(code(2, 2), None)]})
    again = index.read()
    assert sorted(opened) == ["2025-07-02", "2025-07-06"]
    assert days(again.days_of(lots(1))) == [0, 1, 2] and days(again.days_of(lots(2))) == [5]
    store.path(FIRST + 2).unlink()
    gone = index.read()
    assert days(gone.days_of(lots(1))) == [0, 1] and days(gone.seen) == [0, 1, 3, 4, 5]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"x" * 100])
def test_a_damaged_index_is_made_anew(store: DateStore, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.npz"
    index = LotIndex(path, store)
    expected = index.read()
    path.write_bytes(content)
    found = index.read()
    assert all(np.array_equal(getattr(found, name), getattr(expected, name)) for name in expected.__dict__)


def test_history_opens_only_dates_that_hold_the_lots(store: DateStore, tmp_path: Path, opened: list[str]) -> None:
    index = LotIndex(tmp_path / "index.npz", store)
    index.read()
    opened.clear()
    near = read_with_history(store, [FIRST + 2], near=index.days_with_history)
    assert sorted(opened) == ["2025-07-01", "2025-07-03"]
    assert near.table.to_pylist() == read_with_history(store, [FIRST + 2]).table.to_pylist()


def test_dates_that_the_indexed_store_lacks_are_opened(store: DateStore, tmp_path: Path) -> None:
    index = LotIndex(tmp_path / "index.npz", store)
    assert index.days_with_history([FIRST + 2], [FIRST, FIRST + 1, FIRST + 77]) == [FIRST, FIRST + 77]
    assert index.days_with_history([FIRST], []) == []
