"""Assets by date on disk: what is written is read back, the same rows give the same bytes, damage is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.times import day_number

WORDS = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("epc_code", WORDS),
        pa.field("event_time", pa.timestamp("s")),
        pa.field("event_id", pa.int64()),
        pa.field("score", pa.float64()),
        pa.field("label", pa.bool_()),
    ]
)
DAY = day_number("2025-07-01")
Rows = list[tuple[int, str | None, int | None]]
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.none(), st.sampled_from("abcé")), st.none() | st.integers(-5, 5)),
    max_size=30,
)  # fmt: skip


def table_of(rows: Rows) -> tuple[pa.Table, np.ndarray]:
    days = np.array([DAY + day for day, _, _ in rows], dtype=np.int64)
    columns = [
        pa.array([word for _, word, _ in rows], pa.string()).dictionary_encode().cast(WORDS),
        pa.array(days * 86_400, pa.timestamp("s")),
        pa.array([number for _, _, number in rows], pa.int64()),
        pa.array([number and number / 3 for _, _, number in rows], pa.float64()),
        pa.array([bool(day % 2) for day, _, _ in rows], pa.bool_()),
    ]
    return pa.table(columns, schema=SCHEMA), days


def contents(store: DateStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.folder.iterdir())}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=ROWS, order=st.permutations(range(4)))
def test_written_rows_are_read_back_whatever_the_grouping(
    rows: Rows, order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    table, days = table_of(rows)
    together, alone = (DateStore(tmp_path_factory.mktemp("store") / name, SCHEMA) for name in ("together", "alone"))
    wanted = [DAY + day for day in order]
    counts = together.write(table, days, wanted)
    assert counts == {day: int((days == day).sum()) for day in wanted}
    assert together.days() == sorted(wanted)
    for day in wanted:
        assert together.rows(day) == counts[day]
        assert together.read([day]).to_pylist() == [
            row for row, of in zip(table.to_pylist(), days, strict=True) if of == day
        ]
        assert together.read([day]).schema.equals(SCHEMA)
    # One date after the other, in columns of many pieces with dictionaries of their own: the same bytes.
    for day in wanted:
        here = [row for row in rows if row[0] == day - DAY]
        pieces = [table_of(here[start : start + 2])[0] for start in range(0, len(here), 2)]
        part = pa.concat_tables([SCHEMA.empty_table(), *pieces])
        alone.write(part, np.full(len(here), day), [day])
    assert contents(alone) == contents(together)


def test_columns_dates_without_a_file_and_order_of_reading(tmp_path: Path) -> None:
    store = DateStore(tmp_path / "asset", SCHEMA)
    assert store.days() == [] and store.rows(DAY) is None
    assert store.read([DAY]).equals(SCHEMA.empty_table())
    table, days = table_of([(0, "a", 1), (1, "b", 2), (0, None, 3)])
    store.write(table, days, [DAY, DAY + 1])
    assert store.read([DAY + 1, DAY, DAY + 7], ("event_id",)).to_pydict() == {"event_id": [2, 1, 3]}
    assert store.read([DAY + 1, DAY]).column("epc_code").num_chunks == 1
    assert store.path(DAY).name == "2025-07-01.parquet"


def test_row_on_a_day_that_is_not_written(tmp_path: Path) -> None:
    table, days = table_of([(0, "a", 1), (2, "b", 2)])
    for wanted in ([DAY], [DAY, DAY + 1], [DAY + 5], [DAY, DAY + 3]):
        with pytest.raises(ValueError, match="not asked to be written"):
            DateStore(tmp_path, SCHEMA).write(table, days, wanted)
    assert DateStore(tmp_path, SCHEMA).days() == []


def test_other_files_are_not_looked_at(tmp_path: Path) -> None:
    store = DateStore(tmp_path, SCHEMA)
    store.write(*table_of([(0, "a", 1)]), [DAY])
    for name in ("_note.parquet", ".2025-07-02.parquet", "2025-07-03.csv", "2025-07-01 (copy).parquet", "1.parquet"):
        (tmp_path / name).write_bytes(b"")
    assert store.days() == [DAY]


def test_failed_writing_keeps_the_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DateStore(tmp_path, SCHEMA)
    store.write(*table_of([(0, "a", 1)]), [DAY])
    before = contents(store)

    def fail(path: Path, content: Any) -> None:
        with path.open("wb") as stream:
            stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        store.write(*table_of([(0, "b", 2)]), [DAY])
    assert contents(store) == before


def test_leftovers_of_a_killed_run_go_and_those_of_a_live_one_stay(tmp_path: Path) -> None:
    store = DateStore(tmp_path, SCHEMA)
    gone, live = tmp_path / ".2025-07-02.parquet.999999999.part", tmp_path / f".2025-07-02.parquet.{os.getppid()}.part"
    old = tmp_path / f".2025-07-03.parquet.{os.getppid()}.part"
    for path in (gone, live, old):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.write(*table_of([(0, "a", 1)]), [DAY])
    assert sorted(contents(store)) == [live.name, "2025-07-01.parquet"]


@pytest.mark.parametrize("version", [None, b"0", b"2"])
def test_another_format_version_is_refused(tmp_path: Path, version: bytes | None) -> None:
    store = DateStore(tmp_path / "merged_events", SCHEMA)
    store.write(*table_of([(0, "a", 1)]), [DAY])
    table = pq.read_table(store.path(DAY))
    pq.write_table(
        table.replace_schema_metadata({b"barcode_pipeline.format": version} if version else None), store.path(DAY)
    )
    with pytest.raises(UserError, match=r"format version.*materialize --select merged_events --partition 2025-07-01`"):
        store.read([DAY])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all, but long enough to look at"])
def test_damaged_file_is_named_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    store = DateStore(tmp_path / "merged_events", SCHEMA)
    store.write(*table_of([(0, "a", 1), (1, "b", 2)]), [DAY, DAY + 1])
    store.path(DAY).write_bytes(content)
    for use in (lambda: store.read([DAY, DAY + 1]), lambda: store.rows(DAY)):
        with pytest.raises(UserError, match=r"2025-07-01.parquet is damaged.*--partition 2025-07-01`"):
            use()
    assert len(store.read([DAY + 1])) == 1


@pytest.mark.parametrize("words", [3, 40_000], ids=["few words", "more than a dictionary holds"])
def test_columns_of_another_store_are_written_as_they_are(tmp_path: Path, words: int) -> None:
    rows: Rows = [(day, f"{'long ' * 8}{number % words}", None) for number in range(45_000) for day in (0, 1)]
    rows.append((2, None, 1))
    table, day_of_row = table_of(rows)
    days = [DAY, DAY + 1, DAY + 2, DAY + 3]
    first, again, plain = (DateStore(tmp_path / name, SCHEMA) for name in ("first", "again", "plain"))
    first.write(table, day_of_row, days)
    carried = ["epc_code", "event_id", "event_time"]
    others = first.read_files(days, carried)
    ordered = first.read(days)
    counts = again.write(ordered.drop_columns(carried), np.sort(day_of_row), days, others)
    plain.write(ordered, np.sort(day_of_row), days)
    assert counts == {DAY: 45_000, DAY + 1: 45_000, DAY + 2: 1, DAY + 3: 0}
    assert contents(again) == contents(plain) == contents(first)
    with pytest.raises(ValueError, match="as many rows"):
        again.write(ordered.drop_columns(carried), np.sort(day_of_row), days, others[::-1])
