"""When a feature begins to drift, how long it does, and how seldom it is said to without cause: nights by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from barcode_pipeline.configuration import Configuration
from barcode_pipeline.drift_nights import drifting_since
from barcode_pipeline.evaluation.constancy import Usual
from barcode_pipeline.evaluation.drift import learn_reference
from barcode_pipeline.feature_drift import KINDS, FeatureNights, Shipments
from barcode_pipeline.learnt import Learnt
from barcode_pipeline.models.ordinary import STEP_NUMBERS
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.workspace import Workspace

TRANSPORT = KINDS.index("transport")
MOVES, STATE = FEATURE_NAMES.index("transit_deviation"), FEATURE_NAMES.index("lot_log_events")
NOTHING = Usual(*(np.zeros((1, 1, 1)) for _ in range(2)), np.zeros(1))

Change = Callable[[int, np.ndarray], None]
"""What is otherwise: the night, its values (N, F) in place."""


def shipments(seed: int, count: int = 60, per_lot: int = 3) -> Shipments:
    """Transports of one step, some of each lot alike in part. Only two features say something."""
    random = np.random.default_rng(seed)
    lot = np.repeat(np.arange(count // per_lot), per_lot) + 1000 * seed
    values = np.zeros((count, len(FEATURE_NAMES)), dtype=np.float32)
    for feature in (MOVES, STATE):
        values[:, feature] = random.normal(size=count) + 0.5 * np.repeat(random.normal(size=count // per_lot), per_lot)
    step = np.full(count, STEP_NUMBERS)
    return Shipments(values, step, np.full(count, TRANSPORT), lot.astype(np.uint64), 0.0)


def learnt() -> Learnt:
    training = [shipments(seed) for seed in range(10_000, 10_100)]
    values = np.concatenate([night.values for night in training])
    reference = learn_reference(values, np.concatenate([night.step for night in training]), 2 * STEP_NUMBERS)
    return Learnt(reference, NOTHING, NOTHING, frozenset(), frozenset(), 0)


LEARNT = learnt()


@dataclass
class Nights(FeatureNights):
    """Nights that are not read."""

    change: Change = lambda night, values: None
    seed: int = 0
    drifting: dict[int, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(Workspace(None, Configuration()), LEARNT)  # type: ignore[arg-type]

    def _read(self, day: int) -> Shipments:
        night = shipments(1000 * self.seed + day)
        self.change(day, night.values)
        return night

    def judge(self, day: int) -> dict[str, int]:
        """What drifts on a night and since when; the nights after it know."""
        found = self.compare(range(max(0, day - self.needed), day + 1), self.drifting)
        self.drifting[day] = {one.name: one.since for one in found.drifted}
        return dict(self.drifting[day])

    def judged(self, first: int, last: int) -> dict[int, dict[str, int]]:
        return {day: found for day in range(first, last + 1) if (found := self.judge(day))}


def slower(from_night: int, by: float, to_night: int = 10_000, feature: int = MOVES) -> Change:
    def change(night: int, values: np.ndarray) -> None:
        if from_night <= night < to_night:
            values[:, feature] += by

    return change


def test_nights_like_those_learnt_from_do_not_drift() -> None:
    """As the configuration's chance has it: of a thousand nights one."""
    assert [Nights(seed=seed).judged(60, 119) for seed in range(1, 4)] == [{}, {}, {}]


@pytest.mark.parametrize("feature", [MOVES, STATE])
def test_what_changes_drifts_from_the_second_night_on(feature: int) -> None:
    nights = Nights(change=slower(70, 1.0, feature=feature))
    found = nights.judged(60, 85)
    name = f"transport_{FEATURE_NAMES[feature]}"
    assert min(found) in (70, 71) and list(found) == list(range(min(found), 86))
    assert all(drifts == {name: min(found)} for drifts in found.values())


def test_a_change_too_small_for_a_night_is_seen_in_a_week() -> None:
    found = Nights(change=slower(70, 0.55)).judged(60, 80)
    assert 71 <= min(found) <= 77 and found[max(found)] == {"transport_transit_deviation": min(found)}


def test_what_is_over_ends_and_may_begin_again() -> None:
    def change(night: int, values: np.ndarray) -> None:
        if 70 <= night < 80 or night >= 100:
            values[:, MOVES] += 1.2

    found = Nights(change=change).judged(60, 110)
    name = "transport_transit_deviation"
    first = [night for night in found if found[night][name] < 90]
    # The longest stretch has such nights in it for six more.
    assert 79 <= max(first) <= 86 and max(found) == 110 and found[110][name] in (100, 101)


def test_after_a_month_what_is_new_is_what_is_usual() -> None:
    found = Nights(change=slower(70, 1.0)).judged(60, 130)
    assert 90 <= max(found) <= 115


def test_goods_that_grow_older_night_by_night_do_not_drift() -> None:
    """What tells of the goods in flight is compared with the nights right before."""

    def change(night: int, values: np.ndarray) -> None:
        values[:, STATE] += 0.02 * night

    assert Nights(change=change).judged(60, 110) == {}


def test_too_few_nights_before_say_nothing() -> None:
    assert Nights(change=slower(20, 2.0)).judged(0, 24) == {}


def test_a_kind_with_few_shipments_is_not_judged() -> None:
    class Few(Nights):
        def _read(self, day: int) -> Shipments:
            night = super()._read(day)
            return Shipments(night.values[:3], night.step[:3], night.kind[:3], night.lot[:3], 0.25)

    nights = Few(change=slower(70, 3.0))
    assert nights.judged(69, 80) == {}
    assert nights.compare(range(70, 80), {}).figures == {"unseen_steps": 0.25}


def test_a_single_night_without_is_no_end() -> None:
    drifting = {5: {"jump_rate": 3}, 6: {}, 7: {"locErr_rate": 7}}
    assert drifting_since(drifting, [4, 5, 6]) == {"jump_rate": 3}
    assert drifting_since(drifting, [5, 6, 7]) == {"locErr_rate": 7}
    assert drifting_since(drifting, []) == {}


def test_it_is_said_in_words() -> None:
    nights = Nights(change=slower(70, 1.0))
    nights.judged(70, 71)
    (one,) = nights.compare(range(20, 73), nights.drifting).drifted
    assert one.in_words().startswith("transit_deviation (transport): population stability index ")
    assert one.in_words().endswith("; drifts since 1970-03-12") or one.in_words().endswith("; drifts since 1970-03-13")
