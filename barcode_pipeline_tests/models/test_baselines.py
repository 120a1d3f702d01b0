"""One suite that every simple detector passes, and with it the contract that training and serving rely on."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from barcode_pipeline.errors import UserError
from barcode_pipeline.models.baselines.baseline import Baseline
from barcode_pipeline.models.baselines.nearest_neighbours import NearestNeighbours
from barcode_pipeline.models.baselines.next_event import NextEvent
from barcode_pipeline.models.baselines.registry import BASELINES, load_baselines
from barcode_pipeline.models.baselines.trees import TreeBaseline
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline_tests.models.journeys_by_hand import journeys_of_steps, random_journeys

every_baseline = pytest.mark.parametrize("baseline", BASELINES, ids=[baseline.name for baseline in BASELINES])
JOURNEYS, TARGETS = random_journeys(0, 400)
USE = np.random.default_rng(1).random(len(JOURNEYS)) < 0.8
UNSEEN, UNSEEN_TARGETS = random_journeys(2, 200)


@cache
def fitted(baseline: type[Baseline]) -> Baseline:
    return baseline(seed=3).fit(JOURNEYS, TARGETS, USE)


def test_every_name_occurs_once() -> None:
    assert len({baseline.name for baseline in BASELINES}) == len(BASELINES) == 6


@every_baseline
def test_five_finite_scores_per_event_that_differ(baseline: type[Baseline]) -> None:
    score = fitted(baseline).score(UNSEEN)
    assert score.shape == (len(UNSEEN), 5)
    assert score.dtype == np.float32
    assert np.isfinite(score).all()
    assert (np.ptp(score, axis=0) > 0).all()


@every_baseline
def test_same_seed_same_score(baseline: type[Baseline]) -> None:
    again = baseline(seed=3).fit(JOURNEYS, TARGETS, USE)
    assert np.array_equal(again.score(UNSEEN), fitted(baseline).score(UNSEEN))


@every_baseline
def test_nothing_is_learnt_from_events_that_are_not_in_use(baseline: type[Baseline]) -> None:
    other = np.where(USE[:, None], TARGETS, ~TARGETS)
    again = baseline(seed=3).fit(JOURNEYS, other, USE)
    assert np.array_equal(again.score(UNSEEN), fitted(baseline).score(UNSEEN))


@every_baseline
@pytest.mark.parametrize("kept", [1, 3, 6])
def test_a_score_depends_on_nothing_later(baseline: type[Baseline], kept: int) -> None:
    lengths = np.minimum(np.diff(UNSEEN.offsets), kept)
    rows = np.flatnonzero(UNSEEN.position() < kept)
    assert 0 < len(rows) < len(UNSEEN)
    cut = JourneyFeatures(UNSEEN.values[rows], np.concatenate([[0], np.cumsum(lengths)]))
    assert np.array_equal(fitted(baseline).score(cut), fitted(baseline).score(UNSEEN)[rows])


@every_baseline
def test_a_score_does_not_depend_on_the_journeys_beside(baseline: type[Baseline]) -> None:
    order = np.random.default_rng(4).permutation(len(UNSEEN.offsets) - 1)[:150]
    rows = np.concatenate([np.arange(UNSEEN.offsets[j], UNSEEN.offsets[j + 1]) for j in order])
    shuffled = JourneyFeatures(UNSEEN.values[rows], np.concatenate([[0], np.cumsum(np.diff(UNSEEN.offsets)[order])]))
    assert np.array_equal(fitted(baseline).score(shuffled), fitted(baseline).score(UNSEEN)[rows])


@every_baseline
def test_a_score_of_no_event_and_of_journeys_without_events(baseline: type[Baseline]) -> None:
    none = JourneyFeatures(UNSEEN.values[:0], np.zeros(1, dtype=np.int64))
    assert fitted(baseline).score(none).shape == (0, 5)
    gaps = JourneyFeatures(UNSEEN.values, np.repeat(UNSEEN.offsets, 2))
    assert np.array_equal(fitted(baseline).score(gaps), fitted(baseline).score(UNSEEN))


@every_baseline
def test_without_an_event_learnt_from_nothing_is_scored_or_saved(baseline: type[Baseline], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{baseline.name} has learnt nothing yet"):
        baseline().score(UNSEEN)
    with pytest.raises(UserError, match="has learnt nothing yet"):
        baseline().save(tmp_path)
    with pytest.raises(UserError, match="no event to learn from"):
        baseline().fit(JOURNEYS, TARGETS, np.zeros_like(USE))


@every_baseline
def test_weights_of_one_are_use_and_weights_count(baseline: type[Baseline]) -> None:
    made = partial(
        baseline,
        seed=3,
        **{NextEvent: {"batches": 50}, NearestNeighbours: {"references": 30, "neighbours": 1}}.get(baseline, {}),
    )
    # Labels that features tell for certain are told by any weights.
    random = np.random.default_rng(5)
    unsure = TARGETS ^ (random.random(TARGETS.shape) < 0.05)
    plain = made().fit(JOURNEYS, unsure, USE).score(UNSEEN)
    assert np.array_equal(plain, made().fit(JOURNEYS, unsure, USE.astype(np.float32)).score(UNSEEN))
    uneven = USE * random.choice([0.25, 1.0, 4.0], len(USE)).astype(np.float32)
    assert not np.array_equal(plain, made().fit(JOURNEYS, unsure, uneven).score(UNSEEN))
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite number of at least 0"):
            baseline().fit(JOURNEYS, TARGETS, np.where(USE, 1.0, wrong))


@every_baseline
def test_every_settings_of_the_grid_can_be_learnt(baseline: type[Baseline]) -> None:
    quick = {"batches": 20} if baseline is NextEvent else {}
    assert baseline.grid[0] == {} and len(baseline.grid) in (3, 4)
    few = JourneyFeatures(JOURNEYS.values[: JOURNEYS.offsets[100]], JOURNEYS.offsets[:101])
    for settings in baseline.grid:
        detector = baseline(**settings, **quick).fit(few, TARGETS[: len(few)], USE[: len(few)])
        assert np.isfinite(detector.score(UNSEEN)).all()


@every_baseline
def test_other_features_and_targets_of_other_events_are_refused(baseline: type[Baseline]) -> None:
    with pytest.raises(ValueError, match="features"):
        fitted(baseline).score(JourneyFeatures(UNSEEN.values[:, :-1], UNSEEN.offsets))
    with pytest.raises(ValueError, match="targets"):
        baseline().fit(JOURNEYS, TARGETS[1:], USE)


@every_baseline
def test_labels_without_positives_or_without_negatives(baseline: type[Baseline]) -> None:
    targets = TARGETS.copy()
    targets[:, 1], targets[:, 3] = False, True
    score = baseline().fit(JOURNEYS, targets, USE).score(UNSEEN)
    assert np.isfinite(score).all()
    if issubclass(baseline, TreeBaseline):
        assert len(np.unique(score[:, 1])) == len(np.unique(score[:, 3])) == 1
        assert score[0, 1] < score[:, 0].max() and score[0, 3] > 0


@every_baseline
@pytest.mark.parametrize("positive", [False, True])
def test_a_single_journey(baseline: type[Baseline], positive: bool) -> None:
    journeys = journeys_of_steps([[(0, 0), (1, 0), (1, 1)]])
    targets = np.zeros((3, 5), dtype=bool)
    targets[1] = positive
    for use in (np.ones(3, dtype=bool), np.array([False, True, False])):
        assert np.isfinite(baseline().fit(journeys, targets, use).score(journeys)).all()


@every_baseline
def test_saved_and_loaded_it_scores_exactly_the_same(baseline: type[Baseline], tmp_path: Path) -> None:
    path = fitted(baseline).save(tmp_path / "models")
    loaded = baseline.load(tmp_path / "models")
    assert [file.name for file in path.parent.iterdir()] == [f"{baseline.name}.npz"]
    assert loaded.seed == 3
    assert np.array_equal(loaded.score(UNSEEN), fitted(baseline).score(UNSEEN))


@every_baseline
def test_same_content_same_file(baseline: type[Baseline], tmp_path: Path) -> None:
    paths = [fitted(baseline).save(tmp_path / name) for name in ("one", "two")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@every_baseline
def test_a_missing_or_damaged_file_is_refused(baseline: type[Baseline], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train the baselines first"):
        baseline.load(tmp_path)
    path = fitted(baseline).save(tmp_path)
    content = path.read_bytes()
    middle = len(content) // 2
    for damaged in (b"", b"not an archive", content[:middle], content[:middle] + b"\0" * 40 + content[middle + 40 :]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="train again to replace"):
            baseline.load(tmp_path)


@every_baseline
def test_a_file_of_another_version_or_detector_is_refused(baseline: type[Baseline], tmp_path: Path) -> None:
    path = fitted(baseline).save(tmp_path)
    with np.load(path) as file:
        arrays = dict(file)
    about = json.loads(str(arrays["about"]))
    changes = ({"feature_version": 0}, {"format_version": 0}, {"name": "other"}, {"parameters": {"depth": 1}})
    for change in changes:
        np.savez(path, allow_pickle=False, **{**arrays, "about": np.array(json.dumps(about | change))})
        with pytest.raises(UserError, match="train again to replace"):
            baseline.load(tmp_path)
    for name in arrays.keys() - {"about"}:
        np.savez(path, allow_pickle=False, **{other: arrays[other] for other in arrays if other != name})
        with pytest.raises(UserError, match="train again to replace"):
            baseline.load(tmp_path)


@every_baseline
def test_a_pickled_object_in_a_file_is_not_opened(baseline: type[Baseline], tmp_path: Path) -> None:
    class Opened:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "opened",)

    path = fitted(baseline).save(tmp_path)
    with np.load(path) as file:
        arrays = dict(file)
    for name in arrays:
        np.savez(path, **{**arrays, name: np.array([Opened()], dtype=object)})
        with pytest.raises(UserError, match="train again to replace"):
            baseline.load(tmp_path)
    assert not (tmp_path / "opened").exists()


def test_the_registry_loads_them_all(tmp_path: Path) -> None:
    detectors = [fitted(baseline) for baseline in BASELINES]
    for detector in detectors:
        detector.save(tmp_path)
    loaded = load_baselines(tmp_path)
    assert [type(detector) for detector in loaded] == list(BASELINES)
    for detector, other in zip(detectors, loaded, strict=True):
        assert detector.seed == 3
        assert np.array_equal(detector.score(UNSEEN), other.score(UNSEEN))


@pytest.mark.parametrize("baseline", [b for b in BASELINES if issubclass(b, TreeBaseline)], ids=lambda b: b.name)
def test_taught_detectors_find_what_a_feature_tells(baseline: type[Baseline]) -> None:
    score = fitted(baseline).score(UNSEEN)
    for label in range(5):
        assert average_precision_score(UNSEEN_TARGETS[:, label], score[:, label]) > 0.95
