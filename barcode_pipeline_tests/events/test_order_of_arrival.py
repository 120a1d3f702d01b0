"""Row order in files, file order, splitting, packing and sending twice change nothing, to the byte."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.events.projects import (
    assert_nothing_is_lost,
    interim_bytes,
    make_all,
    make_project,
    simulated_lines,
    write_rows,
)

Rows = list[list[str]]
Given = tuple[list[str], Rows, dict[str, str]]


def with_disputed_scans(names: list[str], rows: Rows) -> Rows:
    """Rows and, for some of them, the same scan once more in other words: which one stays must not depend on order."""
    place = {name: number for number, name in enumerate(names)}
    chance = random.Random(3)
    more = []
    for row in chance.sample(rows, 300):
        other = list(row)
        words = {
            "operator_id": "77.0",
            "device_id": "",
            "product_name": "ä",
            "factory": "icn",
            "hub_type": "x",
            "business_step": row[place["business_step"]].lower(),
            "location_id": f" {row[place['location_id']]}.0",
        }
        for name, word in chance.sample(list(words.items()), 3):
            if name in place and row[place[name]]:
                other[place[name]] = word
        if "event_id" in place:
            other[place["event_id"]] = chance.choice(("", "5", "5000000"))
        other[place["epc_code"]] = row[place["epc_code"]].replace(".", "-").lower()
        more.append(other)
    unknown = [list(row) for row in chance.sample(rows, 50)]
    for row in unknown:
        row[place["location_id"]] = chance.choice(("", "999", "depot", "-1"))
        row[place["scan_location"]] = chance.choice(("Mars", "Venus"))
        row[place["epc_code"]] = chance.choice((row[place["epc_code"]], ""))
    return [*rows, *more, *unknown]


@pytest.fixture(scope="module", params=[False, True], ids=["no event ids", "event ids"])
def given(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Columns, rows, and the bytes that one plain file of them makes."""
    names, rows = simulated_lines(3_000, request.param)
    rows = with_disputed_scans(names, rows)
    workspace = make_project(tmp_path_factory.mktemp("one"))
    write_rows(workspace.raw / "all.csv", names, rows)
    workspace.intake.take_in()
    make_all(workspace)
    return names, rows, interim_bytes(workspace)


def in_thirty_files(raw: Path, names: list[str], rows: Rows) -> None:
    for number in range(30):
        write_rows(raw / f"{number:02}.csv", names, rows[number::30])


def shuffled(raw: Path, names: list[str], rows: Rows) -> None:
    write_rows(raw / "all.csv", names, random.Random(1).sample(rows, len(rows)))


def backwards_in_seven_files(raw: Path, names: list[str], rows: Rows) -> None:
    for number in range(7):
        write_rows(raw / f"{9 - number}.csv", names, rows[number::7][::-1])


def packed(raw: Path, names: list[str], rows: Rows) -> None:
    write_rows(raw / "all.txt", names, rows)
    (raw / "all.csv.gz").write_bytes(gzip.compress((raw / "all.txt").read_bytes()))


def columns_shuffled_and_quoted(raw: Path, names: list[str], rows: Rows) -> None:
    order = random.Random(2).sample(range(len(names)), len(names))
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows([row[place] for place in order] for row in ([name.upper() for name in names], *rows))
    (raw / "all.csv").write_text(out.getvalue(), encoding="utf-8-sig", newline="")


def in_dated_folders(raw: Path, names: list[str], rows: Rows) -> None:
    time = names.index("event_time")
    for date in {row[time][:10] for row in rows}:
        write_rows(raw / date / "icn.csv", names, [row for row in rows if row[time][:10] == date])


def twice(raw: Path, names: list[str], rows: Rows) -> None:
    write_rows(raw / "a.csv", names, rows)
    write_rows(raw / "b.csv", names, rows[::-1])


def times_in_utc(raw: Path, names: list[str], rows: Rows) -> None:
    """Another way of writing the same times: Seoul is nine hours east of UTC."""
    time = names.index("event_time")
    write_rows(
        raw / "all.csv",
        names,
        [[*row[:time], f"{row[time].replace(' ', 'T')}.25+09:00", *row[time + 1 :]] for row in rows],
    )


VARIANTS = (
    in_thirty_files,
    shuffled,
    backwards_in_seven_files,
    packed,
    columns_shuffled_and_quoted,
    in_dated_folders,
    twice,
    times_in_utc,
)


@pytest.mark.parametrize("write", VARIANTS, ids=lambda write: write.__name__)
def test_same_bytes(write: Callable[[Path, list[str], Rows], None], given: Given, tmp_path: Path) -> None:
    names, rows, expected = given
    workspace = make_project(tmp_path)
    write(workspace.raw, names, rows)
    workspace.intake.take_in()
    make_all(workspace)
    assert_nothing_is_lost(workspace)
    assert interim_bytes(workspace) == expected


def test_same_bytes_when_files_come_one_by_one_and_dates_are_made_each_time(given: Given, tmp_path: Path) -> None:
    names, rows, expected = given
    workspace = make_project(tmp_path)
    for number in (2, 0, 1):
        write_rows(workspace.raw / f"{number}.csv", names, rows[number::3])
        Workspace.open(tmp_path).intake.take_in()
        make_all(workspace)
    assert interim_bytes(workspace) == expected


def test_duplicates_were_disputed(given: Given) -> None:
    """The rows above are no mere copies, or the tests here would show nothing."""
    _, rows, _ = given
    assert len(rows) > 3_200
    assert len({tuple(row) for row in rows}) > 3_200
