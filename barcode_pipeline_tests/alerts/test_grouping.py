from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.alerts.grouping import AlertedEvents, find_leads, group_alerts, hit_scores, severity_of

FAKE, DUPLICATE, LOCATION, ORDER, JUMP = range(5)
HOUR = 3600

Event = tuple[int, int, int, int, int, int, tuple[int, ...]]
"""day, time, epc, lot, place, step, labels."""


def events(*rows: Event, score: np.ndarray | None = None) -> AlertedEvents:
    columns = [np.array([row[place] for row in rows], dtype=np.int64) for place in range(6)]
    alerts = np.zeros((len(rows), 5), dtype=bool)
    for number, row in enumerate(rows):
        alerts[number, list(row[6])] = True
    score = 50.0 * alerts if score is None else score
    return AlertedEvents(*columns, alerts, score, score / 100)


def same(alert: np.ndarray) -> list[set[int]]:
    return [set(np.flatnonzero(alert == number).tolist()) for number in range(int(alert.max()) + 1)]


def grouped(*rows: Event, near: int = HOUR) -> list[set[int]]:
    return sorted(same(group_alerts(events(*rows), near)), key=min)


def test_events_of_one_epc_are_one_alert_whatever_they_are() -> None:
    rows = [(0, 0, 7, 1, 0, 0, (FAKE,)), (0, 80_000, 7, 1, 5, 2, (JUMP, LOCATION)), (0, 0, 8, 2, 0, 0, (FAKE,))]
    assert grouped(*rows) == [{0, 1}, {2}]


def test_epcs_of_a_lot_that_went_wrong_together_are_one() -> None:
    together = (0, 0, 1, 1, 3, 2, (JUMP,))
    assert grouped(together, (0, 1800, 2, 1, 3, 2, (JUMP,))) == [{0, 1}]
    for other in (
        (0, 1800, 2, 2, 3, 2, (JUMP,)),  # another lot
        (0, 1800, 2, 1, 4, 2, (JUMP,)),  # another place
        (0, 1800, 2, 1, 3, 1, (JUMP,)),  # another step
        (0, 1800, 2, 1, 3, 2, (ORDER,)),  # another label
        (0, HOUR + 1, 2, 1, 3, 2, (JUMP,)),  # too long after
        (1, 1800, 2, 1, 3, 2, (JUMP,)),  # another date
    ):
        assert grouped(together, other) == [{0}, {1}], other


def test_near_is_from_one_to_the_next() -> None:
    rows = [(0, number * HOUR, number, 1, 0, 0, (JUMP,)) for number in range(6)]
    assert grouped(*rows) == [set(range(6))]
    assert grouped(*rows, near=HOUR - 1) == [{number} for number in range(6)]


def test_a_chain_of_both_makes_one() -> None:
    rows = [(0, 0, 1, 1, 3, 2, (JUMP,)), (0, 0, 2, 1, 3, 2, (JUMP,)), (0, 9 * HOUR, 2, 1, 5, 3, (LOCATION,))]
    assert grouped(*rows) == [{0, 1, 2}]


def test_rows_without_an_epc_are_one_where_they_come_together() -> None:
    rows = [(0, 0, -1, -1, 3, 2, (FAKE,)), (0, 60, -1, -1, 3, 2, (FAKE,)), (0, 60, -1, -1, 4, 2, (FAKE,))]
    assert grouped(*rows) == [{0, 1}, {2}]


def test_nothing_is_nothing() -> None:
    none = events()
    alert = group_alerts(none, HOUR)
    assert len(alert) == 0 and len(find_leads(none, alert).event) == 0


def test_the_gravest_then_the_surest_then_the_first_leads() -> None:
    rows = [(0, 5, 7, 1, 0, 0, (FAKE,)), (0, 3, 7, 1, 5, 2, (JUMP, ORDER)), (0, 4, 7, 1, 5, 2, (JUMP,))]
    score = np.zeros((3, 5))
    score[0, FAKE], score[1, JUMP], score[1, ORDER], score[2, JUMP] = 60, 95, 25, 95
    leads = find_leads(events(*rows, score=score), np.zeros(3, np.int64))
    assert (leads.event.tolist(), leads.label.tolist()) == ([1], [JUMP])


@pytest.mark.parametrize(("score", "severity"), [(100, 0), (70, 0), (69.9, 1), (40, 1), (39.9, 2), (20, 2), (19.9, 3)])
def test_severity(score: float, severity: int) -> None:
    assert severity_of(np.array([score])).tolist() == [severity]


def test_a_rule_that_has_spoken_says_how_grave_it_is() -> None:
    labels = np.array([[True, False, False, False, False]])
    scores = hit_scores(labels, np.array([[25, 0, 0, 0, 0]]), np.array([[0.9, 0.8, 0, 0, 0]], np.float32))
    assert scores[0, :2] == pytest.approx([25, 80])


hits = st.tuples(
    st.integers(0, 1), st.integers(0, 20), st.integers(-1, 5), st.just(0), st.integers(0, 2), st.integers(0, 1),
    st.sets(st.integers(0, 4), min_size=1, max_size=2).map(tuple),
)  # fmt: skip


def lot_of(row: Event) -> Event:
    """An EPC lies in one lot."""
    return (*row[:3], -1 if row[2] < 0 else row[2] // 2, *row[4:])


def brute(rows: list[Event], near: int) -> list[set[int]]:
    """Every pair that is one, and all that follows from it, step by step."""
    parent = list(range(len(rows)))

    def root(one: int) -> int:
        while parent[one] != one:
            one = parent[one]
        return one

    for a, first in enumerate(rows):
        for b, second in enumerate(rows):
            kin = first[0] == second[0] and (first[2] == second[2] >= 0)
            kind = first[0] == second[0] and first[3:6] == second[3:6] and abs(first[1] - second[1]) <= near
            if kin or (kind and set(first[6]) & set(second[6])):
                parent[root(a)] = root(b)
    groups: dict[int, set[int]] = {}
    for one in range(len(rows)):
        groups.setdefault(root(one), set()).add(one)
    return sorted(groups.values(), key=min)


@given(st.lists(hits.map(lot_of), max_size=25), st.integers(0, 6), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_groups_are_what_pairs_say_in_any_order(rows: list[Event], near: int, chance: object) -> None:
    if not rows:
        return
    assert grouped(*rows, near=near) == brute(rows, near)
    order = list(range(len(rows)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    shuffled = same(group_alerts(events(*(rows[one] for one in order)), near))
    assert sorted(({order[one] for one in group} for group in shuffled), key=min) == brute(rows, near)
