"""The review list: what is asked, in which mix, and what is not asked twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.alerts.review import (
    DISAGREE,
    GROUP,
    PER_LOT,
    RARE,
    RARE_GROUP,
    SUSPECTED,
    UNSURE,
    near_copies,
    review_list,
)
from barcode_pipeline.events.formats import LABELS

THRESHOLDS = np.full(5, 0.5)


def arguments(events: int, seed: int = 0, lots: int = 20) -> dict[str, np.ndarray]:
    """Events that model and rules find nothing wrong with, each on its own."""
    random = np.random.default_rng(seed)
    return {
        "probabilities": random.uniform(0.001, 0.01, (events, 5)),
        "thresholds": THRESHOLDS,
        "rule_labels": np.zeros((events, 5), dtype=bool),
        "rarity": np.zeros((events, 5), dtype=np.float32),
        "lot": random.integers(0, lots, events),
        "copies": np.arange(events),
        "asked": np.zeros((events, 5), dtype=bool),
    }


def asked_by(found, reason: int) -> set[tuple[int, int]]:
    chosen = found.reason == reason
    return set(zip(found.row[chosen].tolist(), found.label[chosen].tolist(), strict=True))


def test_each_reason_finds_what_it_is_for():
    told = arguments(500)
    told["probabilities"][7, 0] = 0.48
    told["probabilities"][11, 1] = 0.99999
    told["rule_labels"][13, 2] = True
    told["rarity"][17, 3] = 9.0
    told["copies"][100 : 100 + GROUP] = 100
    told["rarity"][100 : 100 + GROUP, 4] = 3.0
    told["rarity"][200:400, 4] = 4.0
    told["probabilities"][[19, 23], 1] = [0.09, 0.005]
    told["rule_labels"][23, 1] = True  # the rules have something against it
    found = review_list(**told, count=60, seed=0)
    assert (7, 0) in asked_by(found, UNSURE)
    assert asked_by(found, DISAGREE) == {(11, 1), (13, 2), (23, 1)}
    assert (17, 3) in asked_by(found, RARE)
    # Item by item others are rarer than the group, which is asked about once.
    assert [row in range(100, 100 + GROUP) for row, _ in asked_by(found, RARE_GROUP)] == [True]
    # What lies near the threshold of its label may come first.
    assert (19, 1) in asked_by(found, SUSPECTED) | asked_by(found, UNSURE)
    assert not {row for row, _ in asked_by(found, SUSPECTED)} & {7, 11, 13, 23}


def test_what_is_suspected_has_three_turns_in_seven():
    found = review_list(**arguments(3000, lots=1000), count=300, seed=0)
    # Nothing is rare, and nothing is found: four turns are left.
    assert np.bincount(found.reason, minlength=3).tolist() == [75, 0, 225]
    highest = arguments(3000, lots=1000)["probabilities"]
    chosen = found.row[(found.reason == SUSPECTED) & (found.label == 0)]
    assert np.median(highest[chosen, 0]) > np.quantile(highest[:, 0], 0.97)


def test_what_is_found_already_is_not_rare():
    told = arguments(50)
    told["rarity"][:, 0] = 1.0
    told["rarity"][3, 0] = 100.0
    told["rule_labels"][3, 0] = True
    told["probabilities"][3, 0] = 0.99
    assert 3 not in {row for row, _ in asked_by(review_list(**told, count=200, seed=0), RARE)}


def test_labels_and_reasons_take_turns():
    random = np.random.default_rng(1)
    told = arguments(3000, lots=1000)
    told["rarity"] = random.random((3000, 5)).astype(np.float32)
    told["probabilities"] = random.random((3000, 5))
    told["rule_labels"] = random.random((3000, 5)) < 0.5
    found = review_list(**told, count=150, seed=0)
    counts = np.zeros((5, len(LABELS)), dtype=int)
    np.add.at(counts, (found.reason, found.label), 1)
    assert set(counts[[UNSURE, DISAGREE, RARE]].ravel().tolist()) == {5}
    assert set(counts[SUSPECTED].tolist()) == {15}


def test_questions_are_spread_over_lots():
    told = arguments(1000, lots=10)
    told["rarity"][:, 0] = np.where(told["lot"] == 4, 50.0, 1.0)
    found = review_list(**told, count=10 * PER_LOT, seed=0)
    assert np.bincount(told["lot"][found.row], minlength=10).tolist() == [PER_LOT] * 10
    # More questions than that are asked all the same, evenly again.
    found = review_list(**told, count=20 * PER_LOT, seed=0)
    assert np.bincount(told["lot"][found.row], minlength=10).tolist() == [2 * PER_LOT] * 10


def test_near_copies_are_asked_about_once_per_label():
    told = arguments(200, lots=100)
    told["copies"] = np.repeat(np.arange(20), 10)
    told["rarity"][:, 2] = 1.0
    found = review_list(**told, count=1000, seed=0)
    of_label = [told["copies"][found.row[found.label == label]] for label in range(5)]
    assert all(len(set(copies.tolist())) == len(copies) <= 20 for copies in of_label)
    assert set(told["copies"][found.row].tolist()) == set(range(20))
    told["asked"][5, 2] = True
    found = review_list(**told, count=1000, seed=0)
    assert 0 not in told["copies"][found.row[found.label == 2]]


def test_near_copies_agree_in_all_columns():
    lot, time = np.array([1, 1, 1, 2]), np.array([5, 5, 6, 5])
    beyond = np.array([0.0, 0.5, 0.0, 0.0], dtype=np.float16)
    assert len(set(near_copies(lot, time, beyond).tolist())) == 4
    assert near_copies(lot, time)[0] == near_copies(lot, time)[1]
    assert near_copies(np.zeros(0, int)).tolist() == []


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 100_000), st.integers(0, 60), st.integers(1, 80), st.booleans())
def test_whatever_the_events_the_list_keeps_its_promises(seed, events, count, one_rarity):
    random = np.random.default_rng(seed)
    told = arguments(events, seed, lots=4)
    told["probabilities"] = np.round(random.random((events, 5)), 1)
    told["rule_labels"] = random.random((events, 5)) < 0.2
    told["rarity"] = random.integers(0, 3, events if one_rarity else (events, 5)).astype(np.float32)
    told["copies"] = random.integers(0, 10, events)
    told["asked"] = random.random((events, 5)) < 0.1
    candidates = random.random(events) < 0.7
    found = review_list(**told, count=count, seed=3, candidates=candidates)
    again = review_list(**told, count=count, seed=3, candidates=candidates)
    assert found.row.tolist() == again.row.tolist() and found.label.tolist() == again.label.tolist()
    assert len(found) <= count and len(set(found.row.tolist())) == len(found)
    assert candidates[found.row].all() and not told["asked"][found.row, found.label].any()
    groups = list(zip(told["copies"][found.row].tolist(), found.label.tolist(), strict=True))
    assert len(set(groups)) == len(groups)
    # It ends early only when something was asked about every group that has a label nobody has judged.
    if len(found) < count:
        judged = {(int(told["copies"][row]), label) for row, label in zip(*np.nonzero(told["asked"]), strict=True)}
        open_groups = {
            group for group in told["copies"][candidates].tolist() for label in range(5) if (group, label) not in judged
        }
        assert open_groups == set(told["copies"][found.row].tolist())


@pytest.mark.parametrize("seeds", [(1, 2)])
def test_of_equal_events_the_seed_decides(seeds):
    told = arguments(2000, lots=2000)
    told["probabilities"][:] = 0.01
    first, second = (set(review_list(**told, count=20, seed=seed).row.tolist()) for seed in seeds)
    assert first != second
