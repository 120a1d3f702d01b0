"""Shipment features against a slow reference, live against batch, and what must not change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.merging import read_events
from barcode_pipeline.sequences.features import FEATURE_NAMES, compute_features
from barcode_pipeline.sequences.moves import Moves, moves_of, sum_moves
from barcode_pipeline.sequences.shipments import SHIPMENT_FEATURES
from barcode_pipeline_tests.rules.reference_rules import Row, Settings, Site
from barcode_pipeline_tests.sequences import reference_shipments
from barcode_pipeline_tests.worlds import events_table, reference

NAMES = [name for name, _, _ in SHIPMENT_FEATURES]
SHIPMENT = [FEATURE_NAMES.index(name) for name in NAMES]
COMPANIES = ("8804823",)
SITES = [Site(number, f"site {number}", 37.0 + number, 127.0) for number in (1, 2, 3, 4)]
STEPS = (
    ("Factory", "Aggregation"), ("WMS", "WMS_Inbound"), ("WMS", "WMS_Outbound"), ("Logistics_HUB", "HUB_Inbound"),
    ("Logistics_HUB", "HUB_Outbound"), ("W_Stock", "W_Stock_Inbound"), ("Mars", "Outbound"), ("W_Stock", None),
)  # fmt: skip
PLACES = ((1, None), (2, None), (3, None), (4, None), (999, None), (None, "Mars"), ("depot", None), ("yard", None))
LOTS = ("150002", "150003")


def code_of(lot: str, serial: int) -> str:
    return f"001.8804823.1203199.{lot}.20250620.{serial:09d}"


def row_of(code: str | None, seconds: int, place: int, step: int, event_id: int | None = None) -> Row:
    time = str(np.datetime64("2025-07-01T10:00:00") + np.timedelta64(seconds, "s")).replace("T", " ")
    return Row(code, time, *PLACES[place], *STEPS[step], event_id)


@st.composite
def shipments(draw: st.DrawFn) -> list[Row]:
    """Items of two lots on a way of a few stops, with strays: many share seconds, some come later by little or much,
    reads are missing or doubled, a few codes are broken or missing."""
    stops = draw(
        st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from((40, 301, 3600, 200_000))),
                 min_size=2, max_size=5)
    )  # fmt: skip
    rows: list[Row] = []
    with_ids = draw(st.booleans())
    for item in range(draw(st.integers(1, 8))):
        lot = draw(st.sampled_from((*LOTS[:1] * 4, LOTS[1])))
        code = draw(st.sampled_from((*[code_of(lot, item * 3 + 1)] * 6, f"BROKEN.{item}", None)))
        now = 0
        for place, step, hours in stops:
            now += hours + draw(st.sampled_from((0, 0, 0, 0, 20, 290, 5_000)))
            fate = draw(st.sampled_from(("as planned",) * 6 + ("missed", "read again", "elsewhere")))
            if fate == "missed":
                continue
            here = draw(st.integers(0, 7)) if fate == "elsewhere" else place
            for more in (0, 7) if fate == "read again" else (0,):
                number = draw(st.one_of(st.none(), st.integers(0, 50))) if with_ids else None
                rows.append(row_of(code, now + more, here, step, number))
    return rows


@dataclass
class Known:
    """Features by row, and the moves of all rows."""

    values: np.ndarray
    moves: Moves


def features_of(rows: Sequence[Row], moves: Moves | None = None) -> Known:
    """(rows, F) by the rows' numbers."""
    table, numbers = events_table(rows)
    tables = reference(SITES, [])
    events = read_events(table, tables.sites)
    found = compute_features(events, tables, COMPANIES, 100.0, moves)
    values = np.zeros((len(rows), len(FEATURE_NAMES)), dtype=np.float16)
    values[numbers] = found.values
    return Known(values, moves_of(events))


def time_of(row: Row) -> str:
    return row.event_time


@settings(max_examples=200, deadline=None)
@given(shipments())
def test_every_feature_is_what_the_reference_counts(rows: list[Row]) -> None:
    found = features_of(rows).values[:, SHIPMENT].astype(float)
    expected = reference_shipments.shipment_features(rows, SITES, Settings())
    for row, values in zip(found, expected, strict=True):
        assert set(values) in (set(), set(NAMES))
        for name, value in zip(NAMES, row, strict=True):
            # Rounded to a sixteenth, so half of one apart at most.
            assert abs(value - values.get(name, 0.0)) <= 1 / 32 + 1e-3, name


@settings(max_examples=60, deadline=None)
@given(shipments())
def test_live_equals_batch(rows: list[Row]) -> None:
    """Each journey alone, with the moves of its lot or of all lots, later ones among them."""
    known = features_of(rows)
    for code in {row.epc_code for row in rows if row.epc_code is not None}:
        own = [number for number, row in enumerate(rows) if row.epc_code == code]
        lot = reference_shipments.lot_of(code)
        mates = [row for row in rows if row.epc_code is not None and reference_shipments.lot_of(row.epc_code) == lot]
        for moves in (features_of(mates).moves, known.moves):
            alone = features_of([rows[number] for number in own], moves)
            np.testing.assert_array_equal(alone.values, known.values[own])


@settings(max_examples=60, deadline=None)
@given(shipments(), st.randoms(use_true_random=False))
def test_a_store_that_takes_away_and_adds_holds_the_moves_of_all(rows: list[Row], random: Random) -> None:
    """EPCs come with a part of their events first, then with all of them."""
    expected = features_of(rows).moves
    codes = sorted({row.epc_code for row in rows if row.epc_code is not None})
    held = features_of([]).moves
    for code in random.sample(codes, len(codes)):
        journey = [row for row in rows if row.epc_code == code]
        some = features_of(random.sample(journey, random.randint(0, len(journey)))).moves
        held = sum_moves([(held, 1), (some, 1)])
        held = sum_moves([(held, 1), (some, -1), (features_of(journey).moves, 1)])
    assert as_rows(held) == as_rows(expected)
    assert highest_serials(held) == highest_serials(expected)
    np.testing.assert_array_equal(features_of(rows, held).values, features_of(rows).values)


def as_rows(moves: Moves) -> list[tuple[object, ...]]:
    names = ("time", "place", "step", "from_time", "from_place", "from_step", "count")
    lots = [moves.lots[int(lot)].as_py() for lot in moves.lot]
    return sorted(zip(lots, *(getattr(moves, name).tolist() for name in names), strict=True))


def highest_serials(moves: Moves) -> dict[tuple[object, ...], int]:
    """Of each lot, second, place and step: a serial stays with its event, whichever move that became."""
    highest: dict[tuple[object, ...], int] = {}
    for lot, *where, serial in zip(
        moves.lot, moves.time.tolist(), moves.place.tolist(), moves.step.tolist(), moves.serial.tolist(), strict=True
    ):
        key = (moves.lots[int(lot)].as_py(), *where)
        highest[key] = max(serial, highest.get(key, -1))
    return highest


@settings(max_examples=40, deadline=None)
@given(shipments())
def test_moves_are_distinct_sorted_and_count_every_event(rows: list[Row]) -> None:
    moves = features_of(rows).moves
    names = ("lot", "time", "place", "step", "from_time", "from_place", "from_step")
    keys = list(zip(*(getattr(moves, name).tolist() for name in names), strict=True))
    assert keys == sorted(set(keys))
    assert int(moves.count.sum()) == sum(row.epc_code is not None for row in rows)


@settings(max_examples=40, deadline=None)
@given(shipments(), st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(rows: list[Row], random: Random) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    found = features_of([rows[number] for number in order]).values
    expected = features_of(rows).values
    # Rows that agree in all they say may change places.
    pairs = [
        sorted((repr(rows[number]), values.tobytes()) for number, values in zip(numbers, each, strict=True))
        for numbers, each in ((order, found), (range(len(rows)), expected))
    ]
    assert pairs[0] == pairs[1]


@settings(max_examples=40, deadline=None)
@given(shipments())
def test_others_of_the_same_second_and_later_change_nothing(rows: list[Row]) -> None:
    rows = [replace(row, event_id=None) for row in rows]
    whole = features_of(rows).values
    for number, row in enumerate(rows):
        kept = [
            other
            for other, that in enumerate(rows)
            if time_of(that) < time_of(row) or (time_of(that) == time_of(row) and that.epc_code == row.epc_code)
        ]
        values = features_of([rows[other] for other in kept]).values
        np.testing.assert_array_equal(values[kept.index(number)], whole[number])


@settings(max_examples=40, deadline=None)
@given(shipments())
def test_other_lots_change_nothing(rows: list[Row]) -> None:
    whole = features_of(rows).values
    lots = [None if row.epc_code is None else reference_shipments.lot_of(row.epc_code) for row in rows]
    for lot in set(lots):
        own = [number for number in range(len(rows)) if lots[number] == lot]
        np.testing.assert_array_equal(features_of([rows[number] for number in own]).values, whole[own])


def test_items_of_a_pallet_have_equal_features() -> None:
    """Whatever their serials, as long as these were issued."""
    rows = [
        row_of(code_of(LOTS[0], serial), seconds, place, step)
        for place, step, seconds in ((0, 0, 0), (1, 1, 2_000), (1, 2, 90_000), (2, 3, 110_000))
        for serial in range(1, 30)
    ]
    values = features_of(rows).values.reshape(4, 29, -1)
    assert (values == values[:, :1]).all()


def test_rows_without_an_epc_have_no_shipment() -> None:
    rows = [row_of(None, 0, 0, 0), row_of(code_of(LOTS[0], 1), 0, 0, 0), row_of(None, 9, 0, 3)]
    assert not features_of(rows).values[[0, 2]][:, SHIPMENT].any()


# --- a shipment of twenty on its way, and one item that departs from it -------------------------------------

DAY = 86_400
WAY = ((0, 0, 0), (1, 1, 2_000), (1, 2, 9 * DAY), (2, 3, 9 * DAY + 20_000), (2, 4, 20 * DAY))
ARRIVAL = (3, 5, 20 * DAY + 15_000)


def shipment_with(*others: Row, arrives: bool = True) -> dict[str, float]:
    """Features of the last of `others`, beside a shipment of 20 whose serials are 1 to 20."""
    way = (*WAY, ARRIVAL) if arrives else WAY
    rows = [row_of(code_of(LOTS[0], serial), seconds, place, step) for place, step, seconds in way
            for serial in range(1, 21)]  # fmt: skip
    values = features_of([*rows, *others]).values[-1, SHIPMENT]
    return dict(zip(NAMES, values.astype(float).tolist(), strict=True))


def item(*way: tuple[int, int, int], serial: int = 7_000) -> list[Row]:
    """An item of the same lot; 7000 was never issued, so these have to be seen at the factory with the others."""
    return [row_of(code_of(LOTS[0], serial), seconds, place, step) for place, step, seconds in way]


def nearly(value: float) -> object:
    return pytest.approx(value, abs=1 / 32 + 1e-3)


def test_an_item_that_comes_to_another_place_than_its_companions() -> None:
    values = shipment_with(*item(*WAY, (0, 5, ARRIVAL[2] + 3_600)))
    assert values["companions_log_count"] == values["companions_log_elsewhere"] == nearly(np.log(21) / 2)
    assert values["companions_log_here"] == 0 and values["companions_share_moved"] == 1
    assert (values["stream_elsewhere"], values["stream_here"]) == (1, 0)
    assert values["lot_log_share_onward"] == nearly(np.log(0.5 / 21) / 2)
    assert values["companions_hours_since_moved"] == values["stream_hours"] == nearly(np.log(2) / 2)


def test_an_item_that_comes_with_them_though_both_scans_at_the_hub_were_missed() -> None:
    values = shipment_with(*item(*WAY[:3], (*ARRIVAL[:2], ARRIVAL[2] + 60)))
    assert (values["stream_elsewhere"], values["stream_here"], values["stream_behind"]) == (0, 1, 0)
    values = shipment_with(*item(*WAY[:4], (*ARRIVAL[:2], ARRIVAL[2] + 60)))
    assert values["companions_log_here"] == nearly(np.log(21) / 2) and values["companions_log_elsewhere"] == 0
    assert values["lot_log_arriving"] == nearly(np.log(21) / 2)


def test_an_item_seen_elsewhere_while_its_companions_wait() -> None:
    values = shipment_with(*item(*WAY[:4], (0, 3, 14 * DAY)), arrives=False)
    assert values["companions_log_waiting"] == nearly(np.log(21) / 2) and values["companions_share_moved"] == 0
    assert (values["stream_here"], values["stream_elsewhere"], values["stream_behind"]) == (0, 0, 0)
    ahead = shipment_with(*item(*WAY, (3, 5, 20 * DAY + 9_000)), arrives=True)
    assert (ahead["stream_here"], ahead["stream_behind"]) == (0, 0.5)


def test_serials_that_were_never_issued() -> None:
    values = shipment_with(*item((3, 5, 21 * DAY)))
    assert values["serial_beyond"] == nearly(min(np.log1p(7_000 - 20) / 2, 4))
    assert values["lot_never_made"] == 0
    assert shipment_with(*item((3, 5, 21 * DAY), serial=13))["serial_beyond"] == 0
    other = row_of(code_of(LOTS[1], 1), 21 * DAY, 3, 5)
    values = shipment_with(other)
    assert (values["lot_never_made"], values["serial_beyond"]) == (1, 0)


def test_a_stay_unlike_those_of_the_lot() -> None:
    usual = shipment_with(*item(*WAY[:2], (1, 2, 9 * DAY + 600)))
    assert abs(usual["lot_time_deviation"]) < 0.1 and usual["lot_log_moves_alike"] == nearly(np.log(21) / 3)
    short = shipment_with(*item((1, 1, 10 * DAY), (1, 2, 10 * DAY + 600)))
    assert short["lot_time_deviation"] == -3


def test_every_shipment_feature_speaks_in_the_examples() -> None:
    spoken = [
        shipment_with(*item(*WAY, (0, 5, ARRIVAL[2] + 3_600))),
        shipment_with(*item(*WAY[:4], (*ARRIVAL[:2], ARRIVAL[2] + 60))),
        shipment_with(*item(*WAY[:4], (0, 3, 14 * DAY)), arrives=False),
        shipment_with(*item(*WAY, (3, 5, 20 * DAY + 9_000))),
        shipment_with(*item((3, 5, 21 * DAY))),
        shipment_with(row_of(code_of(LOTS[1], 1), 21 * DAY, 3, 5)),
        shipment_with(*item((1, 1, 10 * DAY), (1, 2, 10 * DAY + 600))),
    ]
    assert not [name for name in NAMES if not any(values[name] for values in spoken)]
