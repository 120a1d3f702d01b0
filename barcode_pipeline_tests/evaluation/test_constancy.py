from __future__ import annotations

import numpy as np
import pytest

from barcode_pipeline.evaluation.constancy import (
    NEARLY_ALL,
    VALUES,
    Usual,
    chances_of_constants,
    highest_share,
    learn_usual,
    nearly_constant,
)

STEPS = 3
ALL_BY_STEP = np.zeros(4, dtype=bool)
OF_LOT = np.array([False, False, True, False])


def nights(lots: int, seed: int, shipments: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(values, step, lot): yes or no by half, something rare, something of the lot, something of the step."""
    random = np.random.default_rng(seed)
    lot, step = np.repeat(np.arange(lots), shipments), np.tile(np.arange(shipments) % STEPS, lots)
    half, rare = random.random(len(lot)) < 0.5, random.random(len(lot)) < 0.002
    of_lot = (random.random(lots) < 0.5)[lot]
    return np.column_stack([half, rare, of_lot, step / 4]).astype(np.float16), step, lot


def learnt(lots: int = 400, seed: int = 1) -> Usual:
    values, step, lot = nights(lots, seed)
    return learn_usual(values, step, lot, np.zeros(len(lot), np.int64), STEPS)


USUAL = learnt()


def chance_of(
    values: np.ndarray, step: np.ndarray, lot: np.ndarray, of_lot: np.ndarray = ALL_BY_STEP
) -> dict[int, float]:
    return {one.feature: one.chance for one in chances_of_constants(USUAL, values, step, lot, of_lot)}


def test_shares_are_those_of_lots_on_a_day() -> None:
    values = np.array([[1], [1], [1], [0], [0]], dtype=np.float16)
    lot, day = np.array([1, 1, 1, 1, 2]), np.array([5, 5, 5, 6, 6])
    usual = learn_usual(values, np.zeros(5, np.int64), lot, day, 2)
    # Of three, lot 1 on day 5 has a one, and itself on day 6 and lot 2 have none.
    assert usual.lots.tolist() == [2, 0, 2] and usual.shares[0, 0, :3].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert usual.values[0, 0, :2].view(np.float16).tolist() == [0, 1]
    assert usual.shares[2].tolist() == usual.shares[0].tolist() and not usual.shares[1].any()


def test_a_row_may_stand_for_several() -> None:
    values, step, lot = nights(30, 3)
    day, times = np.arange(len(lot)) % 7, np.random.default_rng(4).integers(1, 4, len(lot))
    apart = learn_usual(*(np.repeat(each, times, axis=0) for each in (values, step, lot, day)), STEPS)
    together = learn_usual(values, step, lot, day, STEPS, times.astype(float))
    assert together.lots.tolist() == apart.lots.tolist()
    for cell in np.ndindex(apart.values.shape[:2]):
        # The most frequent last: places without a value say 0 too.
        shares = [dict(zip(one.values[cell][::-1].tolist(), one.shares[cell][::-1].tolist(), strict=True))
                  for one in (apart, together)]  # fmt: skip
        assert shares[0] == pytest.approx(shares[1])


def test_what_nearly_all_events_have_is_constant() -> None:
    values = np.ones((1000, 3), dtype=np.float16)
    values[:9, 1], values[:11, 2] = 0, 0
    features, bits = nearly_constant(values)
    assert features.tolist() == [0, 1] and bits.view(np.float16).tolist() == [1, 1] and NEARLY_ALL == 0.99
    values[:, 0] = np.nan
    values[:, 1] = np.where(np.arange(1000) % 2, 0.0, -0.0)
    assert nearly_constant(values)[0].tolist() == [0, 1], "a missing number equals itself, and zero has no sign"


def test_a_rare_thing_that_does_not_happen_is_chance() -> None:
    values, step, lot = nights(40, 2)
    values[:, 1] = 0
    assert chance_of(values, step, lot)[1] > 0.1


def test_what_varies_and_has_one_value_is_not() -> None:
    values, step, lot = nights(40, 3)
    for value in (0.0, 1.0, 0.3):
        values[:, 0] = value
        assert chance_of(values, step, lot)[0] < 1e-12
    values[:, 1] = 1
    assert chance_of(values, step, lot)[1] < 1e-12, "a rare thing that always happens"


def test_at_few_lots_nothing_can_be_told() -> None:
    values, step, lot = nights(2, 4, shipments=1)
    values[:, 0] = 0
    assert chance_of(np.repeat(values, 900, axis=0), np.repeat(step, 900), np.repeat(lot, 900))[0] > 0.1


def test_what_is_of_the_lot_counts_once_a_lot() -> None:
    values, step, lot = nights(12, 5)
    values[:, 2] = 1
    by_step = chance_of(values, step, lot)[2]
    by_lot = chance_of(values, step, lot, OF_LOT)[2]
    assert by_step < 1e-8 and 0.5**12 < by_lot < 0.65**12


def test_what_a_step_decides_is_no_surprise_at_that_step() -> None:
    values, step, lot = nights(60, 6)
    some = step == 1
    assert chance_of(values[some], step[some], lot[some])[3] > 0.9
    values[:, 3] = 0.25
    assert chance_of(values, step, lot)[3] < 1e-12


def test_of_a_step_that_was_not_learnt_nothing_is_known() -> None:
    usual = learn_usual(*(each[:0] for each in nights(4, 7)), np.zeros(0, np.int64), STEPS)
    values, step, lot = nights(40, 8)
    values[:, 0] = 1
    (one,) = (one for one in chances_of_constants(usual, values, step, lot, ALL_BY_STEP) if one.feature == 0)
    assert one.chance == 1 and one.lots == 40 and one.events == len(values)


def test_some_events_that_differ_are_paid_for() -> None:
    """Of 200 lots that have one value by half each, one may differ: two hundred ways."""
    random = np.random.default_rng(9)
    lot, step = np.repeat(np.arange(200), 5), np.zeros(1000, np.int64)
    values = np.ones((1000, 1), dtype=np.float16)
    learnt_values = (random.random((4000, 1)) < 0.9).astype(np.float16)
    usual = learn_usual(learnt_values, np.zeros(4000, np.int64), np.arange(4000), np.zeros(4000, np.int64), 1)
    every = chances_of_constants(usual, values, step, lot, ALL_BY_STEP[:1])[0]
    values[0] = 0
    but_one = chances_of_constants(usual, values, step, lot, ALL_BY_STEP[:1])[0]
    assert every.events == 1000 and but_one.events == 999
    assert but_one.chance == pytest.approx(every.chance * 200 / 0.91, rel=0.1)


def test_a_value_that_is_none_of_the_frequent_ones() -> None:
    values = np.repeat(np.arange(VALUES + 4), 50)[:, None].astype(np.float16)
    count = len(values)
    usual = learn_usual(values, np.zeros(count, np.int64), np.arange(count), np.zeros(count, np.int64), 1)
    asked = np.array([3.0, 200.0], dtype=np.float16).view(np.uint16)
    shares = highest_share(usual, np.array([0, 0]), asked)[:, 0]
    assert shares[0] == shares[1] and 1 / (VALUES + 4) < shares[1] < 0.12


def test_chance_is_no_less_than_what_it_says() -> None:
    """Of 2,000 nights without any fault one in twenty at the most is as unlikely as that."""
    random = np.random.default_rng(10)
    fewer = 0
    for _ in range(2000):
        lots = int(random.integers(1, 5))
        values, step, lot = nights(lots, int(random.integers(1 << 30)), shipments=3)
        fewer += any(chance < 0.05 / 4 for chance in chance_of(values, step, lot, OF_LOT).values())
    assert fewer / 2000 < 0.05
