"""What each simple detector does that no other does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from sklearn.tree import DecisionTreeClassifier

from barcode_pipeline.errors import UserError
from barcode_pipeline.models.baselines import gradient_boosting, trees
from barcode_pipeline.models.baselines.decision_tree import DecisionTree
from barcode_pipeline.models.baselines.distinct_events import distinct_events, windows
from barcode_pipeline.models.baselines.gradient_boosting import GradientBoosting
from barcode_pipeline.models.baselines.nearest_neighbours import NearestNeighbours
from barcode_pipeline.models.baselines.next_event import NextEvent, surprises
from barcode_pipeline.models.baselines.next_event_training import NextEventNetwork
from barcode_pipeline.models.baselines.one_class_svm import OneClassSvm
from barcode_pipeline.models.baselines.step_ngram import StepNgram
from barcode_pipeline.models.steps import STEPS
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline_tests.models.journeys_by_hand import COLUMN, ORDINARY, journeys_of_steps, random_journeys

JOURNEYS, TARGETS = random_journeys(0, 300)
ALL = np.ones(len(JOURNEYS), dtype=bool)


def journeys_on_thresholds() -> JourneyFeatures:
    """The same journeys, with values just halfway between those learnt from, where trees draw their thresholds."""
    values = JOURNEYS.values.copy()
    halfway = [COLUMN["log_distance"], COLUMN["log_hours_since_previous"]]
    values[::2, halfway] += np.float16(1 / 8)
    return JourneyFeatures(values, JOURNEYS.offsets)


def test_distinct_rows_stand_for_all_events_with_a_weight() -> None:
    random = np.random.default_rng(0)
    weight = random.choice([0.0, 0.5, 3.0], len(JOURNEYS))
    used = weight > 0
    events = distinct_events(JOURNEYS, TARGETS, weight)
    assert len(events.values) == len(np.unique(JOURNEYS.values[used], axis=0)) < used.sum()
    assert events.positives.sum(axis=0) == pytest.approx(weight @ TARGETS)
    assert events.negatives.sum(axis=0) == pytest.approx(weight @ ~TARGETS)
    for label in range(5):
        sample = events.of_label(label, len(JOURNEYS), random)
        assert sample.weight[sample.positive].sum() == pytest.approx(weight @ TARGETS[:, label])
        assert sample.weight.sum() == pytest.approx(weight.sum()) and (sample.weight > 0).all()


@pytest.mark.parametrize("most", [40, 400])
def test_a_drawn_sample_keeps_the_weight_of_each_kind(most: int) -> None:
    events = distinct_events(JOURNEYS, TARGETS, ALL)
    whole = events.of_label(4, len(JOURNEYS), np.random.default_rng(0))
    assert len(whole.row) > 400
    sample = events.of_label(4, most, np.random.default_rng(0))
    assert len(sample.row) == most
    assert sample.positive.sum() == min(most // 2, whole.positive.sum())
    for kind in (True, False):
        assert sample.weight[sample.positive == kind].sum() == pytest.approx(whole.weight[whole.positive == kind].sum())
    assert len(events.some(most, np.random.default_rng(0)).values) == most


def test_windows_hold_the_events_before_and_zeros_where_there_are_none() -> None:
    rows = np.arange(len(JOURNEYS))[::-1]
    seen = windows(JOURNEYS, rows, 3).reshape(len(rows), 3, -1)
    assert (seen[:, 0] == JOURNEYS.values[rows]).all()
    position = JOURNEYS.position()[rows]
    for back in (1, 2):
        assert (seen[position >= back, back] == JOURNEYS.values[rows[position >= back] - back]).all()
        assert (seen[position < back, back] == 0).all()


def test_trees_with_reach_see_what_came_before() -> None:
    """The label tells that the event before went far: the event's own features say nothing of it."""
    far = JOURNEYS.values[:, COLUMN["log_distance"]] >= 1.5
    targets = np.zeros_like(TARGETS)
    targets[:, 4] = np.roll(far, 1) & (JOURNEYS.position() > 0)
    found = [
        average_precision_score(
            targets[:, 4], DecisionTree(reach=reach).fit(JOURNEYS, targets, ALL).score(JOURNEYS)[:, 4]
        )
        for reach in (1, 2)
    ]
    assert found[1] == 1 > found[0] + 0.2


def test_a_decision_tree_falls_into_the_leaves_of_its_estimator() -> None:
    detector = DecisionTree(leaves=3).fit(JOURNEYS, TARGETS, ALL)
    score = detector.score(JOURNEYS)[:, 4]
    events = distinct_events(JOURNEYS, TARGETS, ALL)
    sample = events.of_label(4, len(JOURNEYS), np.random.default_rng(0))
    positive = sample.weight[sample.positive].sum()
    balanced = np.where(sample.positive, sample.weight * ((len(JOURNEYS) - positive) / positive), sample.weight)
    tree = DecisionTreeClassifier(max_leaf_nodes=3, random_state=0).fit(
        events.values[sample.row].astype(np.float32), sample.positive, sample_weight=balanced
    )
    leaf = tree.apply(JOURNEYS.values.astype(np.float32))
    assert len(np.unique(leaf)) == 3
    between = journeys_on_thresholds()
    value = {one: score[leaf == one][0] for one in np.unique(leaf)}
    expected = [value[one] for one in tree.apply(between.values.astype(np.float32))]
    assert detector.score(between)[:, 4].tolist() == expected
    for one in np.unique(leaf):
        positive, count = TARGETS[leaf == one, 4].sum(), (leaf == one).sum()
        assert score[leaf == one] == pytest.approx(np.log((positive + 0.5) / (count - positive + 0.5)), abs=1e-6)


def test_boosting_scores_as_its_estimator_does(monkeypatch: pytest.MonkeyPatch) -> None:
    estimators = []

    class Kept(HistGradientBoostingClassifier):
        def fit(self, *arguments: object, **named: object) -> Kept:
            estimators.append(self)
            return super().fit(*arguments, **named)

    monkeypatch.setattr(gradient_boosting, "HistGradientBoostingClassifier", Kept)
    monkeypatch.setattr(trees, "_THREADS", 1)  # estimators begin in the order of labels
    detector = GradientBoosting(trees=7).fit(JOURNEYS, TARGETS, ALL)
    assert len(estimators) == 5
    monkeypatch.undo()
    side_by_side = GradientBoosting(trees=7).fit(JOURNEYS, TARGETS, ALL)
    assert (side_by_side.score(JOURNEYS) == detector.score(JOURNEYS)).all()
    for journeys in (JOURNEYS, journeys_on_thresholds()):
        for label, estimator in enumerate(estimators[:5]):
            expected = estimator.decision_function(journeys.values.astype(float))
            assert detector.score(journeys)[:, label] == pytest.approx(expected, abs=1e-5)


OUT_OF_RANGE = [(name, number) for name in ("feature_", "root_", "tree_label_") for number in (-7, 10**6)]
IN_A_CIRCLE = [("left_", 0), ("right_", 0)]


@pytest.mark.parametrize(("name", "number"), [*OUT_OF_RANGE, *IN_A_CIRCLE, ("left_", 10**6), ("right_", -7)])
def test_trees_that_lead_out_of_their_arrays_or_in_a_circle_are_refused(name: str, number: int, tmp_path: Path) -> None:
    detector = DecisionTree().fit(JOURNEYS, TARGETS, ALL)
    getattr(detector, name)[0] = number
    detector.save(tmp_path)
    with pytest.raises(UserError, match="train again"):
        DecisionTree.load(tmp_path)


def test_a_transition_never_seen_is_the_least_likely_step() -> None:
    ordinary = journeys_of_steps([list(ORDINARY)] * 50)
    detector = StepNgram().fit(ordinary, np.zeros((len(ordinary), 5), dtype=bool), np.ones(len(ordinary), dtype=bool))
    usual = detector.score(ordinary)
    assert usual.max() < 0.1
    # Back from the wholesaler to the hub: both steps are known, one after the other they are not.
    backward = detector.score(journeys_of_steps([[*ORDINARY[:6], (2, 1), (3, 0)]]))[:, 0]
    assert np.argmax(backward) == 6
    assert backward[6] > 3 and (backward[:6] < 0.1).all()


def test_step_probabilities_by_hand() -> None:
    journeys = journeys_of_steps([[(0, 0), (1, 0)], [(0, 0), (1, 0)], [(0, 0), (2, 0)]])
    nothing, everything = np.zeros((6, 5), dtype=bool), np.ones(6, dtype=bool)
    score = StepNgram(longest=2, leaning=1.0).fit(journeys, nothing, everything).score(journeys)
    once = (2 + 1 / STEPS) / 7
    assert score[1] == pytest.approx(-np.log((2 + once) / 4))
    alone = (3 + 1 / STEPS) / 7
    assert score[0] == pytest.approx(-np.log((3 + alone) / 4))


def test_steps_are_learnt_from_clean_journeys_alone() -> None:
    journeys = journeys_of_steps([list(ORDINARY)] * 20 + [[(5, 2), (0, 0)]] * 20)
    targets = np.zeros((len(journeys), 5), dtype=bool)
    targets[np.arange(len(journeys)) >= 9 * 20, 4] = np.arange(40) % 2 == 0
    use = np.ones(len(journeys), dtype=bool)
    score = StepNgram().fit(journeys, targets, use).score(journeys)[:, 0]
    assert score[9 * 20 :].min() > score[: 9 * 20].max()


def test_distance_counts_steps_and_transitions_that_differ() -> None:
    ordinary = journeys_of_steps([list(ORDINARY)])
    nothing, everything = np.zeros((len(ordinary), 5), dtype=bool), np.ones(len(ordinary), dtype=bool)
    detector = NearestNeighbours(neighbours=1).fit(ordinary, nothing, everything)
    assert detector.score(ordinary).max() == 0
    # One more sale: a step and a transition that the nearest, the whole journey, does not have.
    assert detector.score(journeys_of_steps([[*ORDINARY, (5, 2)]]))[:, 0].tolist() == [0.0] * 9 + [2.0]


def test_references_are_bounded_and_bear_no_label() -> None:
    detector = NearestNeighbours(references=5).fit(JOURNEYS, TARGETS, ALL)
    assert detector.reference_.shape[0] == 5
    assert NearestNeighbours().fit(JOURNEYS, np.ones_like(TARGETS), ALL).score(JOURNEYS).max() == 0


def test_counts_of_very_long_journeys_stay_in_bounds() -> None:
    journeys = journeys_of_steps([[(0, 0)] * 300])
    nothing, everything = np.zeros((300, 5), dtype=bool), np.ones(300, dtype=bool)
    detector = NearestNeighbours(neighbours=1).fit(journeys, nothing, everything)
    assert detector.reference_.max() == 255
    assert detector.score(journeys).max() == 0


def test_share_below_counts_the_training_events_that_score_less() -> None:
    detector = OneClassSvm(components=40).fit(JOURNEYS, TARGETS, ALL)
    score = detector.score(JOURNEYS)
    share = detector.share_below(score)
    assert share.min() == 0
    for label in range(5):
        without = score[~TARGETS[:, label], label]
        expected = np.searchsorted(np.sort(without), score[:, label], side="left") / len(without)
        assert share[:, label] == pytest.approx(expected, abs=1e-6)
    far = JourneyFeatures(np.full((1, JOURNEYS.values.shape[1]), 3, dtype=np.float16), np.array([0, 1]))
    assert (detector.share_below(detector.score(far)) == 1).all()


def test_of_many_rows_some_stand_for_all() -> None:
    detector = OneClassSvm(components=40, rows=300).fit(JOURNEYS, TARGETS, ALL)
    assert detector.outlyingness_.shape == (5, 300)
    score = detector.score(JOURNEYS)[~TARGETS[:, 0]]
    share = detector.share_below(score)[:, 0]
    assert share == pytest.approx(np.searchsorted(np.sort(score[:, 0]), score[:, 0]) / len(score), abs=0.12)


def test_a_label_changes_only_its_own_machine() -> None:
    other = TARGETS.copy()
    other[:, 2] = ~other[:, 2]
    one, two = (OneClassSvm(components=40).fit(JOURNEYS, targets, ALL).score(JOURNEYS) for targets in (TARGETS, other))
    assert (one != two).any(axis=0).tolist() == [False, False, True, False, False]


def next_event(**settings: object) -> NextEvent:
    return NextEvent(width=16, batches=150, batch_windows=32, learning_rate=0.02, **settings)


FOLLOWED = journeys_of_steps([list(ORDINARY)] * 50)
NOTHING = np.zeros((len(FOLLOWED), 5), dtype=bool)


def test_an_event_that_never_came_there_surprises() -> None:
    detector = next_event().fit(FOLLOWED, NOTHING, np.ones(len(FOLLOWED), dtype=bool))
    assert detector.surprise(FOLLOWED).max() < 0.2
    assert np.array_equal(detector.score(FOLLOWED), np.repeat(detector.surprise(FOLLOWED)[:, None], 5, axis=1))
    # Known steps in another order; a step that training never saw.
    found = detector.surprise(journeys_of_steps([[*ORDINARY[:6], (2, 1)], [*ORDINARY[:3], (6, 3)]]))
    assert np.flatnonzero(found > 2).tolist() == [6, 10]
    assert found[10] == pytest.approx(-np.log(1e-4 / (STEPS * 12)), abs=1e-4)


def test_probabilities_are_the_shares_of_what_comes_next() -> None:
    forks = journeys_of_steps([[(0, 0), (1, 0)]] * 60 + [[(0, 0), (2, 0)]] * 20)
    found = next_event().fit(forks, np.zeros((160, 5), dtype=bool), np.ones(160)).surprise(forks)
    assert np.exp(-found[1]) == pytest.approx(0.75, abs=0.04)
    assert np.exp(-found[-1]) == pytest.approx(0.25, abs=0.04)
    evened = np.repeat([1.0, 3.0], [120, 40])
    found = next_event().fit(forks, np.zeros((160, 5), dtype=bool), evened).surprise(forks)
    assert np.exp(-found[1]) == pytest.approx(0.5, abs=0.04)


def test_the_rank_is_the_number_of_more_probable_events() -> None:
    forks = journeys_of_steps([[(0, 0), (1, 0)]] * 60 + [[(0, 0), (2, 0)]] * 20 + [[(0, 0), (3, 0)]] * 5)
    detector = next_event(form="rank").fit(forks, np.zeros((170, 5), dtype=bool), np.ones(170))
    unseen = journeys_of_steps([[(0, 0), (5, 0)]])
    assert detector.score(forks)[[0, 1, 121, 161], 0].tolist() == [0, 0, 1, 2]
    assert detector.score(unseen)[1, 0] == len(detector.symbol_) == 4
    assert detector.surprise(forks)[161] > detector.surprise(forks)[1] > 0


def test_time_is_part_of_what_comes_next_where_wanted() -> None:
    quick = JourneyFeatures(FOLLOWED.values[:9].copy(), np.array([0, 9]))
    slow = FOLLOWED.values.copy()
    slow[:, COLUMN["log_hours_since_previous"]] = np.log1p(30) / 2
    slow[FOLLOWED.position() == 0, COLUMN["log_hours_since_previous"]] = 0
    ordinary = JourneyFeatures(slow, FOLLOWED.offsets)
    timed, untimed = (
        next_event(times=times).fit(ordinary, NOTHING, np.ones(len(slow))).surprise(quick) for times in (True, False)
    )
    assert (timed[1:] > 5).all() and timed[0] < 0.2
    assert (untimed < 0.2).all()


def test_the_compiled_loop_computes_what_the_network_does() -> None:
    random = np.random.default_rng(0)
    before, came = random.integers(0, 5, (6, 4)).astype(np.int32), random.integers(0, 4, (6, 4)).astype(np.int32)
    torch.manual_seed(2)
    network = NextEventNetwork(3, 8)
    with torch.no_grad():
        log = torch.log_softmax(network(torch.from_numpy(before.astype(np.int64))), 2).numpy()
    arrays = network.arrays()
    order = ("entry_", "recurrent_", "upward_", "bias_", "recurrent_above_", "head_", "head_bias_")
    found = surprises(before, came, False, *(arrays[name] for name in order))
    known = came < 3
    expected = np.take_along_axis(log, np.minimum(came, 2)[:, :, None].astype(np.int64), 2)[:, :, 0]
    assert found[known] == pytest.approx(-expected[known], abs=2e-4)


def test_a_long_journey_is_read_through_windows() -> None:
    detector = next_event(longest=3).fit(FOLLOWED, NOTHING, np.ones(len(FOLLOWED)))
    long = journeys_of_steps([[(5, 2), *ORDINARY]])
    other = journeys_of_steps([[(4, 1), *ORDINARY]])
    # Events whose window of three begins after the first event know nothing of it.
    assert np.array_equal(detector.surprise(long)[4:], detector.surprise(other)[4:])
    assert not np.array_equal(detector.surprise(long)[:4], detector.surprise(other)[:4])


MISFITS = [
    ("head_", lambda array: array[:-1]),
    ("entry_", lambda array: array[:-1]),
    ("bias_", lambda array: array.astype(float)),
    ("symbol_", lambda array: array[1:]),
]


@pytest.mark.parametrize(("name", "change"), MISFITS)
def test_arrays_of_a_network_that_do_not_fit_are_refused(name: str, change: Callable, tmp_path: Path) -> None:
    detector = NextEvent(width=4, batches=2).fit(FOLLOWED, NOTHING, np.ones(len(FOLLOWED)))
    setattr(detector, name, change(getattr(detector, name)))
    detector.save(tmp_path)
    with pytest.raises(UserError, match="train again"):
        NextEvent.load(tmp_path)
