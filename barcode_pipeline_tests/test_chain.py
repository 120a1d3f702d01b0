"""The data side of the chain: dates made alone, all at once, late, again, or cut off in the middle."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from barcode_pipeline import chain
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.codes import lot_names
from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.times import day_number
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.events.projects import (
    FIRST_DAY,
    dated_days,
    interim_bytes,
    make_all,
    make_project,
    simulated_lines,
    write_rows,
)

MAKERS: tuple[Callable[[Workspace, Sequence[int]], chain.Rows], ...] = (
    chain.make_merged,
    chain.make_enriched,
    chain.make_labels,
    chain.make_sequences,
)


def stores(workspace: Workspace) -> tuple[DateStore, ...]:
    return workspace.merged, workspace.enriched, workspace.labels, workspace.sequences


@pytest.fixture(scope="module", params=[False, True], ids=["no event ids", "event ids"])
def lines(request: pytest.FixtureRequest) -> tuple[list[str], list[list[str]]]:
    return simulated_lines(2_500, request.param)


@pytest.fixture(scope="module")
def made_once(lines: tuple[list[str], list[list[str]]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = make_project(tmp_path_factory.mktemp("once"))
    write_rows(workspace.raw / "all.csv", *lines)
    workspace.intake.take_in()
    make_all(workspace)
    return workspace.root


@pytest.fixture
def made(made_once: Path, tmp_path: Path) -> Workspace:
    """All dates made, in a folder that the test may spoil."""
    return Workspace.open(shutil.copytree(made_once, tmp_path / "made"))


def test_one_date_alone_gives_the_bytes_of_all_at_once(made: Workspace) -> None:
    """With history before and after it: the other dates lie there."""
    expected = interim_bytes(made)
    days = dated_days(made)
    chosen = [days[0], days[len(days) // 2], days[-1]]
    for day in chosen:
        for make, store in zip(MAKERS, stores(made), strict=True):
            store.path(day).unlink()
            make(made, [day])
    assert interim_bytes(made) == expected


def test_dates_in_other_groups_and_orders_give_the_same_bytes(made: Workspace) -> None:
    expected = interim_bytes(made)
    days = dated_days(made)
    for make in MAKERS:
        make(made, days[::-2])
        make(made, days[-2::-2])
    assert interim_bytes(made) == expected


def test_running_again_gives_the_same_bytes(made: Workspace) -> None:
    expected = interim_bytes(made)
    make_all(made)
    assert interim_bytes(made) == expected


def test_late_rows_give_the_bytes_of_a_clean_backfill(
    made: Workspace, lines: tuple[list[str], list[list[str]]], tmp_path: Path
) -> None:
    names, rows = lines
    time, epc = names.index("event_time"), names.index("epc_code")
    in_order = sorted(rows, key=lambda row: row[time])
    # Every 50th row of the first half comes late, when the rest has been made.
    late = in_order[: len(rows) // 2 : 50]
    on_time = [row for row in rows if row not in late]
    late_project = make_project(tmp_path / "late")
    write_rows(late_project.raw / "on_time.csv", names, on_time)
    late_project.intake.take_in()
    make_all(late_project)
    before = interim_bytes(late_project)
    write_rows(late_project.raw / "late.csv", names, late)
    late_project.intake.take_in()
    touched = {day_number(row[time][:10]) for row in late}
    # What an event's features tell of its lot changes with any event of the lot.
    lots = set(lot_names(pa.array([row[epc] for row in late])).to_pylist())
    lot_of_row = lot_names(pa.array([row[epc] for row in rows])).to_pylist()
    days = sorted(
        touched | {day_number(row[time][:10]) for row, lot in zip(rows, lot_of_row, strict=True) if lot in lots}
    )
    chain.make_merged(late_project, sorted(touched))
    for make in MAKERS[1:]:
        make(late_project, days)
    assert interim_bytes(late_project) != before
    assert interim_bytes(late_project) == interim_bytes(made)


@pytest.mark.parametrize("maker", range(len(MAKERS)), ids=[make.__name__ for make in MAKERS])
def test_kill_in_the_middle_of_writing_leaves_whole_files(
    made: Workspace, monkeypatch: pytest.MonkeyPatch, maker: int
) -> None:
    expected, days = interim_bytes(made), dated_days(made)
    store = stores(made)[maker]
    for day in days[: len(days) // 2]:
        store.path(day).unlink()
    real, left = Path.write_bytes, iter(range(5, -1000, -1))

    def write_or_die(path: Path, content: Any) -> None:
        if next(left) > 0:
            real(path, content)
            return
        real(path, bytes(content)[: len(content) // 2])  # a file cut off half-way
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", write_or_die)
    with pytest.raises(KeyboardInterrupt):
        MAKERS[maker](made, days)
    monkeypatch.undo()
    left_over = interim_bytes(made)
    assert set(left_over) < set(expected)
    assert all(expected[name] == digest for name, digest in left_over.items())
    MAKERS[maker](made, days)
    assert interim_bytes(made) == expected


def test_date_without_rows_has_a_file_of_the_schema(made: Workspace) -> None:
    days = dated_days(made)
    for make, store in zip(MAKERS, stores(made), strict=True):
        assert make(made, [FIRST_DAY]) == {FIRST_DAY: 0}
        assert store.rows(FIRST_DAY) == 0
        assert store.read([FIRST_DAY]).schema.equals(store.read(days[:1]).schema)
        schemas = [pq.read_schema(store.path(day)) for day in (FIRST_DAY, days[0], days[-1])]
        assert schemas[0].equals(schemas[1], check_metadata=True) and schemas[0].equals(schemas[2], check_metadata=True)


def test_nothing_at_all(tmp_path: Path) -> None:
    workspace = make_project(tmp_path / "nothing")
    workspace.intake.take_in()
    make_all(workspace, [FIRST_DAY])
    assert [store.rows(FIRST_DAY) for store in stores(workspace)] == [0, 0, 0, 0]


def test_every_asset_has_the_rows_of_merged_events(made: Workspace) -> None:
    days = dated_days(made)
    keys = [
        store.read(days, ("epc_code", "event_time", "event_type", "event_id")).to_pylist() for store in stores(made)
    ]
    assert all(key == keys[0] for key in keys[1:])
    epc = made.merged.read(days[:1]).column("epc_code").to_pylist()
    known = [code for code in epc if code is not None]
    assert known == sorted(known), "files are sorted by EPC"
    assert np.array_equal(made.labels.days(), days)


def test_split_names_the_dates_that_are_apart(made: Workspace) -> None:
    day = dated_days(made)[3]
    made.labels.path(day).unlink()
    with pytest.raises(UserError, match=str(np.datetime64(day, "D"))):
        chain.make_split(made)
