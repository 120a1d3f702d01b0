"""History of a date: the whole known journeys of its EPCs, or of its lots, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.history import read_with_history
from barcode_pipeline.events.times import day_number

SCHEMA = pa.schema(
    [pa.field("epc_code", pa.dictionary(pa.int32(), pa.string())), pa.field("event_time", pa.timestamp("s")),
     pa.field("event_id", pa.int64())]
)  # fmt: skip
FIRST = day_number("2025-07-01")
EPCS = st.lists(st.lists(st.sampled_from(("a", "b", "c", "d", None)), max_size=5), min_size=1, max_size=6)


def filled(folder: Path, epcs_of_day: list[list[str | None]]) -> DateStore:
    store = DateStore(folder, SCHEMA)
    days = np.repeat(np.arange(len(epcs_of_day)) + FIRST, [len(epcs) for epcs in epcs_of_day])
    epcs = [epc for here in epcs_of_day for epc in here]
    columns = [
        pa.array(epcs, pa.string()).dictionary_encode(),
        pa.array(days * 86_400 + 3_600, pa.timestamp("s")),
        pa.array(range(len(epcs)), pa.int64()),
    ]
    store.write(pa.table(columns, schema=SCHEMA), days, range(FIRST, FIRST + len(epcs_of_day)))
    return store


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(epcs_of_day=EPCS, asked=st.sets(st.integers(0, 6), min_size=1))
def test_history(
    epcs_of_day: list[list[str | None]], asked: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = filled(tmp_path_factory.mktemp("history"), epcs_of_day)
    known = read_with_history(store, [FIRST + day for day in sorted(asked, reverse=True)])
    seen = {epc for day, epcs in enumerate(epcs_of_day) if day in asked for epc in epcs if epc is not None}
    rows = [(day, epc) for day, epcs in enumerate(epcs_of_day) for epc in epcs]
    expected = [
        (FIRST + day, number, day in asked) for number, (day, epc) in enumerate(rows) if day in asked or epc in seen
    ]
    found = zip(known.day, known.table.column("event_id").to_pylist(), known.wanted, strict=True)
    assert [(int(day), number, bool(wanted)) for day, number, wanted in found] == expected


LOT_CODES = ("h.c.p.1.d.1", "h.c.p.1.d.2", "x.c.p.1.e.3", "h.c.p.2.d.1", "c.p.1", "broken", None)
"""Three EPCs of one lot, whatever their header and date; another lot; two broken codes."""


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    epcs_of_day=st.lists(st.lists(st.sampled_from(LOT_CODES), max_size=5), min_size=1, max_size=6),
    asked=st.sets(st.integers(0, 6), min_size=1),
)
def test_history_of_lots(
    epcs_of_day: list[list[str | None]], asked: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    def lot(epc: str) -> str:
        parts = epc.split(".")
        return ".".join(parts[1:4]) if len(parts) == 6 else epc

    store = filled(tmp_path_factory.mktemp("lots"), epcs_of_day)
    known = read_with_history(store, [FIRST + day for day in asked], by="lot")
    seen = {lot(epc) for day, epcs in enumerate(epcs_of_day) if day in asked for epc in epcs if epc is not None}
    rows = [(day, epc) for day, epcs in enumerate(epcs_of_day) for epc in epcs]
    expected = [
        (FIRST + day, number, day in asked)
        for number, (day, epc) in enumerate(rows)
        if day in asked or (epc is not None and lot(epc) in seen)
    ]
    found = zip(known.day, known.table.column("event_id").to_pylist(), known.wanted, strict=True)
    assert [(int(day), number, bool(wanted)) for day, number, wanted in found] == expected


def test_columns_and_nothing_there(tmp_path: Path) -> None:
    store = filled(tmp_path / "some", [["a"], ["a"]])
    known = read_with_history(store, [FIRST], ("epc_code", "event_time"))
    assert known.table.column_names == ["epc_code", "event_time"] and known.wanted.tolist() == [True, False]
    nothing = read_with_history(DateStore(tmp_path / "none", SCHEMA), [FIRST])
    assert len(nothing.table) == len(nothing.day) == len(nothing.wanted) == 0
