"""Two detectors on the same samples of lots."""

from __future__ import annotations

import json

import numpy as np
import pytest

from barcode_pipeline.evaluation.metrics import Row
from barcode_pipeline.evaluation.study.comparing import compare
from barcode_pipeline.evaluation.study.results import Results, as_text
from barcode_pipeline_tests.evaluation.study.made_up import row

SHARED = np.random.default_rng(3).normal(0, 0.01, (2, 200))
"""What the samples of lots of two seeds do to every detector alike."""


def judged(arm: str, value: float, seed: int, own: float = 0.0) -> Row:
    """own: how far the detector's samples go their own way."""
    noise = np.random.default_rng([seed, len(arm)]).normal(0, own, 200) if own else 0
    return row(arm=arm, seed=seed, pr_auc=value, pr_auc_samples=[*(value + SHARED[seed - 1] + noise)])


def test_a_difference_shows_where_the_intervals_overlap() -> None:
    rows = [judged(arm, value, seed) for seed in (1, 2) for arm, value in (("lstm", 0.95), ("decision_tree", 0.94))]
    (found,) = compare(rows)
    assert (found.model, found.seeds, found.apart, found.above) == ("decision_tree", 2, 0, 2)
    assert found.difference == pytest.approx((0.01, 0.01, 0.01))
    assert found.own[1] < found.theirs[2]


def test_what_is_no_difference_is_not_called_one() -> None:
    rows = [judged(arm, 0.95, seed, 0.01) for seed in (1, 2) for arm in ("lstm", "decision_tree")]
    (found,) = compare(rows)
    assert (found.apart, found.above) == (0, 0)
    assert found.difference[1] < 0 < found.difference[2]


def test_the_mean_over_seeds_has_a_narrower_interval() -> None:
    rows = [judged("lstm", 0.95, seed) for seed in (1, 2)] + [judged("rules", 0.5, seed) for seed in (1, 2)]
    (both,), (one,) = compare(rows), compare([made for made in rows if made["seed"] == 1])
    assert both.own[2] - both.own[1] < 0.85 * (one.own[2] - one.own[1])
    assert (both.apart, one.apart) == (2, 1)


def test_only_seeds_that_both_have_count_and_fresh_ones_before_others() -> None:
    fresh = [{**judged(arm, 0.9, 1), "seed": 101} for arm in ("lstm", "rules")]
    assert compare([judged("lstm", 0.95, 1), judged("rules", 0.5, 2)]) == []
    (found,) = compare([judged("lstm", 0.95, 1), judged("rules", 0.5, 1), *fresh])
    assert found.seeds == 1 and found.difference[0] == 0


def test_other_worlds_and_rows_without_samples_are_left_out() -> None:
    rows = [judged("lstm", 0.95, 1), row(arm="rules", seed=1, pr_auc=0.5)]
    rows += [{**judged("decision_tree", 0.9, 1), "world": "missed_10"}]
    assert compare(rows) == []


def test_a_sample_without_a_figure_comes_back_from_the_file_as_none() -> None:
    rows = [judged("lstm", 0.95, 1), judged("rules", 0.5, 1)]
    rows[1]["pr_auc_samples"][7] = float("nan")
    read = Results(**json.loads(as_text(Results(rows=rows))))
    (found,) = compare(read.rows)
    assert found.theirs[0] == 0.5 and found.theirs[1] > 0.4
