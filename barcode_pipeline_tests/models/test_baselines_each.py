"""What each simple detector does that no other does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from barcode_pipeline.errors import UserError
from barcode_pipeline.models.baselines import gradient_boosting
from barcode_pipeline.models.baselines.decision_tree import DecisionTree
from barcode_pipeline.models.baselines.distinct_events import distinct_events
from barcode_pipeline.models.baselines.gradient_boosting import GradientBoosting
from barcode_pipeline.models.baselines.nearest_neighbours import NearestNeighbours
from barcode_pipeline.models.baselines.one_class_svm import OneClassSvm
from barcode_pipeline.models.baselines.step_ngram import StepNgram
from barcode_pipeline.models.baselines.steps import STEPS
from barcode_pipeline.models.detector import JourneyFeatures
from barcode_pipeline_tests.models.journeys_by_hand import COLUMN, ORDINARY, journeys_of_steps, random_journeys

JOURNEYS, TARGETS = random_journeys(0, 300)
ALL = np.ones(len(JOURNEYS), dtype=bool)


def journeys_on_thresholds() -> JourneyFeatures:
    """The same journeys, with values just halfway between those learnt from, where trees draw their thresholds."""
    values = JOURNEYS.values.copy()
    halfway = [COLUMN["log_distance"], COLUMN["log_hours_since_previous"]]
    values[::2, halfway] += np.float16(1 / 8)
    return JourneyFeatures(values, JOURNEYS.offsets)


def test_distinct_rows_stand_for_all_events_in_use() -> None:
    use = np.random.default_rng(0).random(len(JOURNEYS)) < 0.5
    events = distinct_events(JOURNEYS, TARGETS, use)
    assert len(events.values) == len(np.unique(JOURNEYS.values[use], axis=0)) < use.sum()
    assert events.weight.sum() == use.sum()
    assert events.positives.sum(axis=0).tolist() == TARGETS[use].sum(axis=0).tolist()
    for label in range(5):
        sample = events.of_label(label)
        assert sample.weight[sample.positive].sum() == TARGETS[use, label].sum()
        assert sample.weight.sum() == use.sum() and (sample.weight > 0).all()


def test_a_decision_tree_falls_into_the_leaves_of_its_estimator() -> None:
    detector = DecisionTree(leaves=3).fit(JOURNEYS, TARGETS, ALL)
    score = detector.score(JOURNEYS)[:, 4]
    events = distinct_events(JOURNEYS, TARGETS, ALL)
    sample = events.of_label(4)
    tree = DecisionTreeClassifier(max_leaf_nodes=3, class_weight="balanced", random_state=0).fit(
        events.values[sample.row], sample.positive, sample_weight=sample.weight
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
    detector = GradientBoosting(trees=7).fit(JOURNEYS, TARGETS, ALL)
    assert len(estimators) == 5
    for journeys in (JOURNEYS, journeys_on_thresholds()):
        for label, estimator in enumerate(estimators):
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


def test_outlyingness_is_a_share_of_the_training_events() -> None:
    detector = OneClassSvm(components=40).fit(JOURNEYS, TARGETS, ALL)
    score = detector.score(JOURNEYS)
    assert score.min() == 0
    for label in range(5):
        without = score[~TARGETS[:, label], label]
        assert 0.9 < without.max() < 1
        # Each event's score is the share of those without the label that score less.
        expected = np.searchsorted(np.sort(without), score[:, label], side="left") / len(without)
        assert score[:, label] == pytest.approx(expected, abs=1e-6)
    far = JourneyFeatures(np.full((1, JOURNEYS.values.shape[1]), 3, dtype=np.float16), np.array([0, 1]))
    assert (detector.score(far) == 1).all()


def test_a_label_changes_only_its_own_machine() -> None:
    other = TARGETS.copy()
    other[:, 2] = ~other[:, 2]
    one, two = (OneClassSvm(components=40).fit(JOURNEYS, targets, ALL).score(JOURNEYS) for targets in (TARGETS, other))
    assert (one != two).any(axis=0).tolist() == [False, False, True, False, False]
