"""What a history makes of the transition table, and how two tables differ."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.formats import TRANSITION_COLUMNS
from barcode_pipeline.events.reference_tables import read_transitions, routes_from_table, sites_from_table
from barcode_pipeline.events.route_statistics import RouteStatistics
from barcode_pipeline.events.transition_table import (
    COUNT,
    ENDS,
    MAXIMUM,
    MEAN,
    MINIMUM,
    NUMBERS,
    STD,
    TAKEN,
    TOO_FEW_KEPT,
    TOO_FEW_LEFT_OUT,
    compared,
    refreshed,
    seen_routes,
)

NAMES = ("Hub", "Plant", "Shop")
HUB, PLANT, SHOP = range(3)
TEXT = (
    ",".join([*TRANSITION_COLUMNS, "remark"]) + "\n"
    "Plant,Hub,5.30,2.4,1.5,9.9,100,as ever\n"
    "Hub,Shop,4.1,0.5,1,8,50,\n"
    "Hub,Nowhere,4,1,1,8,50,closed\n"
)


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    (tmp_path / "table.csv").write_text(TEXT)
    return read_transitions(tmp_path / "table.csv")


def statistics(*routes: tuple[int, int, float, float]) -> RouteStatistics:
    """(origin, destination, mean, shipments): from half an hour below the mean to half an hour above it, 60 EPCs."""
    origin, destination, mean, shipments = np.array(sorted(routes), dtype=np.float64).reshape(-1, 4).T
    many, none = np.full(len(mean), 60), np.zeros(len(mean), dtype=np.int64)
    ends = origin.astype(np.int64), destination.astype(np.int64)
    return RouteStatistics(*ends, mean, np.full(len(mean), 0.25), mean - 0.5, mean + 0.5, many, shipments, none)


def written(table: pd.DataFrame) -> list[str]:
    """The lines of a table's file."""
    return table.to_csv(index=False, lineterminator="\n").splitlines()


def row(table: pd.DataFrame, origin: str, destination: str) -> dict[str, str]:
    (found,) = table[(table[ENDS[0]] == origin) & (table[ENDS[1]] == destination)].to_dict("records")
    return found


def test_enough_is_taken_too_few_keep_their_row_and_get_none(table: pd.DataFrame) -> None:
    found = statistics((PLANT, HUB, 6.0, 30), (HUB, SHOP, 7.0, 29.9), (PLANT, SHOP, 8.0, 30), (HUB, PLANT, 9.0, 2))
    seen = seen_routes(table, found, NAMES, 30)
    assert dict(zip(seen[ENDS[0]] + " " + seen[ENDS[1]], seen["decision"], strict=True)) == {
        "Hub Plant": TOO_FEW_LEFT_OUT,
        "Hub Shop": TOO_FEW_KEPT,
        "Plant Hub": TAKEN,
        "Plant Shop": TAKEN,
    }
    new = refreshed(table, seen)
    assert list(new.columns) == list(table.columns)
    # Rows that stay are written as they were, also those of sites that nobody knows; new ones come last.
    assert written(new)[2:4] == TEXT.splitlines()[2:] and len(new) == 4
    changed = row(new, "Plant", "Hub")
    assert changed["remark"] == "as ever" and float(changed[MEAN]) == 6.0 and float(changed[STD]) == 0.25
    assert changed[COUNT] == "60"
    # Faster and slower ones than those seen now were on record.
    assert (float(changed[MINIMUM]), float(changed[MAXIMUM])) == (1.5, 9.9)
    added = row(new, "Plant", "Shop")
    assert [float(added[name]) for name in NUMBERS] == [8.0, 0.25, 7.5, 8.5, 60.0]
    assert row(new.tail(1), "Plant", "Shop")[MEAN] == added[MEAN]


def test_a_faster_transport_than_any_on_record_is_the_new_minimum(table: pd.DataFrame) -> None:
    new = refreshed(table, seen_routes(table, statistics((PLANT, HUB, 1.7, 40)), NAMES, 30))
    assert float(row(new, "Plant", "Hub")[MINIMUM]) == 1.7 - 0.5


def test_numbers_are_written_in_full(table: pd.DataFrame) -> None:
    """903 seconds in hours, rounded up, would make a transport of 903 seconds impossible."""
    found = statistics((PLANT, SHOP, 903 / 3600 + 0.5, 40))
    new = refreshed(table, seen_routes(table, found, NAMES, 30))
    assert float(row(new, "Plant", "Shop")[MINIMUM]) == found.minimum[0]


def test_columns_that_a_table_lacks_are_added(table: pd.DataFrame) -> None:
    short = table[[*ENDS, MEAN, STD, MINIMUM]]
    new = refreshed(short, seen_routes(short, statistics((PLANT, HUB, 6.0, 40)), NAMES, 30))
    assert list(new.columns) == [*short.columns, MAXIMUM, COUNT]
    assert float(row(new, "Plant", "Hub")[MAXIMUM]) == 6.5 and pd.isna(row(new, "Hub", "Shop")[MAXIMUM])


def test_nothing_seen_changes_nothing(table: pd.DataFrame) -> None:
    assert written(refreshed(table, seen_routes(table, statistics(), NAMES, 30))) == TEXT.splitlines()


def test_two_tables_side_by_side(table: pd.DataFrame) -> None:
    new = refreshed(table, seen_routes(table, statistics((PLANT, HUB, 6.0, 40), (PLANT, SHOP, 8.0, 40)), NAMES, 30))
    differ = compared(table, new.iloc[[0, 1, 3]])
    found = {f"{line[ENDS[0]]} {line[ENDS[1]]}": line for line in differ.to_dict("records")}
    assert {name: line["what"] for name, line in found.items()} == {
        "Hub Nowhere": "gone",
        "Hub Shop": "same",
        "Plant Hub": "changed",
        "Plant Shop": "new",
    }
    assert (found["Plant Hub"]["mean_old"], found["Plant Hub"]["mean_new"]) == (5.3, 6.0)
    assert math.isnan(found["Plant Shop"]["std_old"]) and found["Plant Shop"]["std_new"] == 0.25
    assert found["Hub Nowhere"]["count_old"] == 50 and math.isnan(found["Hub Nowhere"]["count_new"])
    assert set(compared(table, table)["what"]) == {"same"}


routes = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0.6, 100), st.floats(1, 100)), max_size=9,
    unique_by=lambda route: route[:2],
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(routes, st.floats(2, 90))
def test_a_refreshed_table_can_be_read_and_holds_what_was_taken(
    found: list[tuple[int, int, float, float]], fewest: float
) -> None:
    table = pd.DataFrame(
        [["Plant", "Hub", "5.30", "2.4", "1.5", "9.9", "100"]], columns=list(TRANSITION_COLUMNS), dtype=object
    )
    seen = seen_routes(table, statistics(*found), NAMES, fewest)
    new = refreshed(table, seen)
    degrees = [str(degree) for degree in range(3)]
    sites = pd.DataFrame(
        {"location_id": ["1", "2", "3"], "scan_location": NAMES, "Latitude": degrees, "Longitude": degrees},
        dtype=object,
    )
    read = routes_from_table(new, sites_from_table(sites, "sites"), "routes")
    taken = {(origin, destination): mean for origin, destination, mean, shipments in found if shipments >= fewest}
    expected = {(PLANT, HUB): 5.3} | taken
    origin = np.repeat(np.arange(3), np.diff(read.start))
    assert dict(zip(zip(origin.tolist(), read.destination.tolist(), strict=True), read.mean, strict=True)) == expected
    assert written(refreshed(table, seen)) == written(new)
    # What is made of it once more by the same history is the same.
    assert written(refreshed(new, seen_routes(new, statistics(*found), NAMES, fewest))) == written(new)
