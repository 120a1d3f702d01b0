"""The reference reading of the rules: worked examples, corners of the contract, and what must always hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .reference_reading import read_time
from .reference_rules import (
    LABELS,
    Route,
    Row,
    Scores,
    Settings,
    Site,
    is_same_scan,
    label_rows,
    labels_of,
    manufacture_date_score,
    read_row,
    surviving_rows,
)
from .strategies import Case, cases
from .worked_examples import EPC, ROUTES, SITES, WORKED_EXAMPLES, scan

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def above_zero(scores: Scores) -> dict[str, float]:
    return {label: score for label, score in scores.items() if score > 0}


def judge(rows: list[Row], routes: list[Route] = ROUTES) -> list[dict[str, float]]:
    return [above_zero(scores) for scores in label_rows(rows, SITES, routes)]


@pytest.mark.parametrize(
    ("sites", "routes", "rows", "expected"),
    [pytest.param(*rest, id=name) for name, *rest in WORKED_EXAMPLES],
)
def test_worked_example(
    sites: list[Site], routes: list[Route], rows: list[Row], expected: list[dict[str, float]]
) -> None:
    assert [above_zero(scores) for scores in label_rows(rows, sites, routes)] == expected


def test_there_is_an_example_for_every_label() -> None:
    expectations = [scores for *_, expected in WORKED_EXAMPLES for scores in expected]
    assert {label for scores in expectations for label in scores} == set(LABELS)


def test_missing_epc_gets_epc_fake_and_nothing_else() -> None:
    rows = [scan("2025-07-02 09:00:00", 999, 1, epc=epc, step="Mars") for epc in ("", " NULL ", "nan")]
    assert judge(rows) == [{"epcFake": 100}] * 3


@pytest.mark.parametrize(
    ("made", "day", "expected"),
    [
        ("20200702", "2025-07-02", 0),
        ("20200702", "2025-07-03", 15),
        ("20200229", "2025-02-28", 0),
        ("20200229", "2025-03-01", 0),
        ("20200229", "2025-03-02", 15),
        ("20190228", "2024-02-28", 0),
        ("20190228", "2024-02-29", 15),
        ("20250702", "2025-07-02", 0),
        ("20250703", "2025-07-02", 20),
        ("20250230", "2025-07-02", 20),
        ("00000101", "2025-07-02", 20),
        ("00010101", "2025-07-02", 15),
        ("２０２５０７０１", "2025-07-02", 20),
        ("99991231", "9999-12-31", 0),
    ],
)
def test_manufacture_date(made: str, day: str, expected: int) -> None:
    assert manufacture_date_score(made, read_time(day, "Asia/Seoul").date()) == expected


def test_the_events_day_is_the_zones_day() -> None:
    made = "001.8804823.1203199.150002.20250703.000000001"
    assert judge([scan("2025-07-02T15:00:00Z", 1, 0, epc=made)]) == [{}]
    assert judge([scan("2025-07-02T14:59:59.9Z", 1, 0, epc=made)]) == [{"epcFake": 20}]


def test_three_sites_in_one_second() -> None:
    rows = [scan("2025-07-02 09:00:00", place, 4) for place in (21, 22, 31)]
    assert [scores["epcDup"] for scores in judge(rows)] == [100, 100, 100]


def test_a_site_is_compared_with_the_row_that_opened_it() -> None:
    # Factory and warehouse are one site; the hub's row at the warehouse is at the same place as a row of that
    # site, but not as the row that opened it.
    rows = [
        scan("2025-07-02 09:00:00", 1, 0),
        scan("2025-07-02 09:00:00", 4, 1),
        scan("2025-07-02 09:00:00", 4, 2),
    ]
    assert [scores.get("epcDup") for scores in judge(rows)] == [90, 90, 90]


def test_a_row_sent_too_late_keeps_what_the_contract_lets_it_keep() -> None:
    late = Row(EPC, "2025-07-02 07:59:00", 999, None, "HUB", None, 3)
    rows = [scan("2025-07-02 10:03:00", 1, 0, event_id=1), scan("2025-07-02 17:00:00", 4, 1, event_id=2)]
    assert judge([*rows, late]) == [{}, {}, {"evtOrderErr": 30, "locErr": 20}]


def test_without_event_ids_the_late_row_is_in_the_chain() -> None:
    rows = [scan("2025-07-02 10:03:00", 1, 0), scan("2025-07-02 07:59:00", 7, 2)]
    assert judge(rows) == [{"locErr": 30}, {}]


def test_a_reread_neither_counts_nor_ends_a_repetition() -> None:
    times = ["09:00:00", "09:01:00", "11:00:00", "11:01:00", "11:02:01"]
    rows = [scan(f"2025-07-02 {time}", 4, 1) for time in times]
    assert judge(rows) == [{}, {}, {"evtOrderErr": 25}, {}, {"evtOrderErr": 40}]


def test_repetitions_end_at_100() -> None:
    rows = [scan(f"2025-07-02 {hour:02d}:00:00", 4, 1) for hour in range(9, 18)]
    assert [scores.get("evtOrderErr", 0) for scores in judge(rows)] == [0, 25, 40, 55, 70, 85, 100, 100, 100]


def test_a_missing_type_ends_a_repetition() -> None:
    rows = [scan(f"2025-07-02 {hour:02d}:00:00", 4, 1) for hour in range(9, 14)]
    rows[2] = replace(rows[2], event_type="NaN")
    assert [scores.get("evtOrderErr", 0) for scores in judge(rows)] == [0, 25, 30, 0, 25]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(9.0, 0), (9.001, 60), (11.0, 60), (11.001, 80), (13.0, 80), (13.001, 95), (1.0, 0), (0.999, 60)],
)
def test_z_boundaries(hours: float, expected: int) -> None:
    seconds = round(hours * 3600)
    time = f"2025-07-02 {seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    routes = [Route("Busan wholesaler", "Busan retailer east", mean=5.0, std=2.0, minimum=0.5)]
    rows = [scan("2025-07-02 00:00:00", 13, 3, "out"), scan(time, 21, 4, "in")]
    assert judge(rows, routes)[1].get("jump", 0) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(899, 95), (900, 0)])
def test_a_route_faster_than_a_truck_needs_its_observed_minimum(seconds: int, expected: int) -> None:
    routes = [Route("Incheon hub", "Busan wholesaler", mean=5.0, std=0.0, minimum=0.25)]
    time = f"2025-07-02 09:{seconds // 60:02d}:{seconds % 60:02d}"
    rows = [scan("2025-07-02 09:00:00", 7, 2, "in"), scan(time, 13, 3, "in")]
    assert judge(rows, routes)[1].get("jump", 0) == expected


def test_labels_are_scores_at_or_above_their_threshold() -> None:
    scores: Scores = {"epcFake": 10, "epcDup": 0, "locErr": 20, "evtOrderErr": 25, "jump": 0}
    assert labels_of(scores) == ["epcFake", "locErr", "evtOrderErr"]
    stricter = Settings(thresholds={**dict.fromkeys(LABELS, 1.0), "locErr": 20.5, "evtOrderErr": 25})
    assert labels_of(scores, stricter) == ["epcFake", "evtOrderErr"]


# --- exact duplicates -----------------------------------------------------------------------------------

PLAIN = Row(EPC, "2025-07-02 09:00:00", 4, "Incheon factory warehouse", "WMS", "WMS_Inbound", None)


@pytest.mark.parametrize(
    "change",
    [
        {"epc_code": f" {EPC.replace('.', '-')} "},
        {"event_time": "2025-07-02T00:00:00.999Z"},
        {"location_id": " 4.0 ", "scan_location": None},
        {"location_id": None},
        {"location_id": 999},
        {"scan_location": "Incheon hub"},
        {"business_step": "warehouse_OUTBOUND"},
        {"business_step": "null"},
        {"event_type": "inbound"},
        {"event_type": "HUB_Inbound"},
        {"event_id": 7},
    ],
)
def test_same_scan(change: dict[str, object]) -> None:
    assert is_same_scan(PLAIN, replace(PLAIN, **change), SITES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"epc_code": None},
        {"event_time": "2025-07-02 09:00:01"},
        {"location_id": 7},
        {"location_id": 999, "scan_location": "incheon factory warehouse"},
        {"business_step": "HUB"},
        {"business_step": "Mars"},
        {"event_type": "Outbound"},
        {"event_type": None},
        {"event_type": "Mars"},
    ],
)
def test_another_scan(change: dict[str, object]) -> None:
    assert not is_same_scan(PLAIN, replace(PLAIN, **change), SITES)  # type: ignore[arg-type]


def test_words_the_rules_do_not_know_are_compared_as_given() -> None:
    mars = replace(PLAIN, business_step="Mars", event_type="landed")
    assert is_same_scan(mars, replace(mars, business_step=" Mars ", event_type="landed "), SITES)
    assert not is_same_scan(mars, replace(mars, business_step="mars"), SITES)
    assert not is_same_scan(mars, replace(mars, event_type="Landed"), SITES)


def test_the_lowest_event_id_stays_and_a_missing_one_goes() -> None:
    rows = [replace(PLAIN, event_id=number) for number in (None, 10, 9, 9, None)]
    other = replace(PLAIN, event_type="Outbound")
    assert surviving_rows([*rows, other], SITES) == [2, 5]


def test_without_event_ids_the_smallest_by_its_columns_stays() -> None:
    rows = [replace(PLAIN, business_step=step) for step in (None, "Warehouse", "WMS", "wms")]
    assert surviving_rows(rows, SITES) == [2]
    assert surviving_rows(list(reversed(rows)), SITES) == [1]


@quick
@given(cases())
def test_survivors_stand_for_every_row_and_are_no_duplicates(case: Case) -> None:
    sites = case.world.sites
    survivors = surviving_rows(case.rows, sites, case.settings)
    for row in case.rows:
        same = [kept for kept in survivors if is_same_scan(row, case.rows[kept], sites, case.settings)]
        assert len(same) == 1


# --- what must always hold ------------------------------------------------------------------------------


def judged_survivors(case: Case, rows: list[Row]) -> Counter[tuple[object, ...]]:
    """The surviving rows as the rules read them, each with its scores."""
    sites = case.world.sites
    kept = [rows[position] for position in surviving_rows(rows, sites, case.settings)]
    scores = label_rows(kept, sites, case.world.routes, case.settings)
    read = [read_row(row, sites, case.settings) for row in kept]
    return Counter((event, *found.items()) for event, found in zip(read, scores, strict=True))


@quick
@given(cases(unreadable_ids=True), st.randoms(use_true_random=False))
def test_the_order_of_rows_never_matters(case: Case, random: object) -> None:
    shuffled = list(case.rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert judged_survivors(case, shuffled) == judged_survivors(case, case.rows)
    assert judged_survivors(case, shuffled + case.rows) == judged_survivors(case, case.rows)


@quick
@given(cases())
def test_an_epc_is_judged_by_its_own_rows_alone(case: Case) -> None:
    sites, routes = case.world.sites, case.world.routes
    together = label_rows(case.rows, sites, routes, case.settings)
    codes = [read_row(row, sites, case.settings).epc for row in case.rows]
    for code in set(codes):
        positions = [position for position, other in enumerate(codes) if other == code]
        alone = label_rows([case.rows[position] for position in positions], sites, routes, case.settings)
        assert alone == [together[position] for position in positions]


def test_the_strategies_reach_every_kind_of_score() -> None:
    seen: set[tuple[str, float]] = set()
    duplicates = 0

    @settings(quick, max_examples=250, derandomize=True, database=None)
    @given(cases())
    def look(case: Case) -> None:
        nonlocal duplicates
        kept = surviving_rows(case.rows, case.world.sites, case.settings)
        duplicates += len(case.rows) - len(kept)
        rows = [case.rows[position] for position in kept]
        for scores in label_rows(rows, case.world.sites, case.world.routes, case.settings):
            seen.update(scores.items())

    look()
    expected = {
        "epcFake": {0, 10, 15, 20, 25, 100},
        "epcDup": {0, 90, 100},
        "locErr": {0, 20, 30},
        "evtOrderErr": {0, 25, 30, 40},
        "jump": {0, 60, 80, 95},
    }
    missed = {(label, score) for label, scores in expected.items() for score in scores} - seen
    assert not missed
    assert duplicates > 0
