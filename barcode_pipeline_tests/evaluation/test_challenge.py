"""Who enters: by hand-made answers whose quality is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from barcode_pipeline.evaluation.challenge import (
    ALERTS,
    MARGINS,
    MOST_MORE_ALERTS,
    PRICE,
    Answers,
    Comparison,
    Questions,
    decide,
)

LOTS, PER_LOT = 30, 200


@pytest.fixture
def questions() -> Questions:
    random = np.random.default_rng(1)
    target = random.random((LOTS * PER_LOT, 5)) < 0.03
    return Questions(target, np.ones_like(target), np.repeat(np.arange(LOTS), PER_LOT))


def answers(questions: Questions, skill: float, seed: int, threshold: float = 0.5) -> Answers:
    """The better the higher the skill: log-odds of ±skill around the truth, with noise."""
    noise = np.random.default_rng(seed).normal(size=questions.target.shape)
    probability = 1 / (1 + np.exp(-(skill * (2.0 * questions.target - 1) + noise)))
    return Answers(probability, probability >= threshold)


def test_the_same_model_enters_and_no_figure_differs(questions):
    same = answers(questions, 3, 1)
    decision = decide(same, same, questions, 50, 0)
    assert decision.enters and "not worse" in decision.reason
    assert [comparison.difference for comparison in decision.comparisons] == [0, 0, 0, 0]


@pytest.mark.parametrize(("champion", "challenger", "enters"), [(3, 2, False), (2, 3, True), (3, 2.98, True)])
def test_skill_decides(questions, champion, challenger, enters):
    decision = decide(answers(questions, champion, 1), answers(questions, challenger, 2), questions, 100, 0)
    assert decision.enters is enters
    pr_auc = decision.comparisons[0]
    assert (pr_auc.difference > 0) == (challenger > champion) or abs(pr_auc.difference) < 0.02
    assert pr_auc.low <= pr_auc.difference <= pr_auc.high
    word = "worse beyond" if not enters else "better beyond" if challenger > champion else "not worse"
    assert word in decision.reason


def test_a_model_that_cries_wolf_stays_out(questions):
    champion = answers(questions, 4, 1)
    wolf = Answers(champion.probability, champion.probability >= 0.02)
    decision = decide(champion, wolf, questions, 50, 0)
    assert not decision.enters and "false alerts" in decision.reason
    assert "recall 1.000" in decision.reason, "it finds all, and still it stays out"


def test_a_model_that_no_longer_finds_anything_stays_out(questions):
    champion = answers(questions, 4, 1)
    mute = Answers(champion.probability, np.zeros_like(champion.alert))
    decision = decide(champion, mute, questions, 50, 0)
    assert not decision.enters and "recall 0.000" in decision.reason


def test_more_alerts_on_the_window_as_it_is_than_any_finding_explains(questions):
    same = answers(questions, 4, 1)
    nothing = replace(questions, target=np.zeros_like(questions.target))
    quiet = Answers(same.probability, np.zeros_like(same.alert))

    def alarming(per_10k: float) -> Answers:
        alert = np.zeros_like(same.alert)
        alert[np.linspace(0, len(alert) - 1, round(per_10k * len(alert) / 10_000)).astype(int), 2] = True
        return Answers(same.probability, alert)

    few, many = MOST_MORE_ALERTS * 0.8, MOST_MORE_ALERTS * 3
    assert decide(same, same, questions, 50, 0, (quiet, alarming(few), nothing)).enters
    stopped = decide(same, same, questions, 50, 0, (quiet, alarming(many), nothing))
    assert not stopped.enters and stopped.reason.startswith(f"worse beyond the noise in {ALERTS}: ")


def test_recall_may_be_given_up_for_fewer_false_alerts(questions):
    """And the other way round, at the same price."""
    same = answers(questions, 4, 1)
    target = questions.target.any(axis=1)
    noisy, strict = questions.target.copy(), questions.target.copy()
    noisy[np.flatnonzero(~target)[:: round(1 / 0.002)], 0] = True  # 20 more false alerts per 10,000
    strict[:: round(1 / 0.1)] = False  # 10 points of recall fewer
    first, second = Answers(same.probability, noisy), Answers(same.probability, strict)
    for champion, challenger in ((first, second), (second, first)):
        decision = decide(champion, challenger, questions, 50, 0)
        worth, recall, false = decision.comparisons[1:4]
        assert abs(recall.difference) > 0.05 and abs(false.difference) > 15
        assert worth.difference == pytest.approx(recall.difference - PRICE * false.difference)
        assert decision.enters is (challenger is second)


def test_what_is_not_asked_about_plays_no_part(questions):
    champion, challenger = answers(questions, 3, 1), answers(questions, 3, 1)
    counted = np.ones_like(questions.counted)
    counted[: len(counted) // 2] = False
    some = replace(questions, counted=counted)
    worse = Answers(challenger.probability.copy(), challenger.alert.copy())
    worse.probability[: len(counted) // 2] = 0.5
    worse.alert[: len(counted) // 2] = True
    assert [one.difference for one in decide(champion, worse, some, 20, 0).comparisons] == [0, 0, 0, 0]
    assert not decide(champion, worse, questions, 50, 0).enters
    # Of an event with a verdict on one label the others are not judged.
    one_label = np.ones_like(questions.counted)
    one_label[:, 1:] = False
    alarm = Answers(champion.probability, champion.alert | np.array([False, True, True, True, True]))
    assert decide(champion, alarm, replace(questions, counted=one_label), 20, 0).enters


def test_without_positives_nothing_can_be_told(questions):
    none = replace(questions, target=np.zeros_like(questions.target))
    same = answers(questions, 3, 1)
    decision = decide(same, same, none, 20, 0)
    assert not decision.enters and "nothing can be told" in decision.reason and decision.comparisons == ()
    empty = Questions(none.target[:0], none.counted[:0], none.lot[:0])
    assert not decide(Answers(same.probability[:0], same.alert[:0]), same, empty, 20, 0).enters


def test_a_model_that_answers_with_no_number_stays_out(questions):
    same = answers(questions, 3, 1)
    broken = same.probability.copy()
    broken[0, 0] = np.nan
    decision = decide(same, Answers(broken, same.alert), questions, 20, 0)
    assert not decision.enters and "no number" in decision.reason


def test_only_labels_with_enough_positives_count(questions):
    rare = questions.target.copy()
    rare[:, 4] = False
    rare[:10, 4] = True
    champion, challenger = answers(questions, 4, 1), answers(questions, 4, 1)
    challenger.probability[:, 4] = 0.5
    decision = decide(champion, Answers(challenger.probability, champion.alert), replace(questions, target=rare), 50, 0)
    assert decision.enters and "jump" not in decision.reason


@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_rarely_stops_a_model_of_equal_skill(questions, seed):
    decision = decide(answers(questions, 3, 10 + seed), answers(questions, 3, 20 + seed), questions, 200, seed)
    assert decision.enters


def test_worse_needs_both_the_margin_and_the_noise():
    better, margin = MARGINS["worth of alerts"]

    def comparison(difference: float, low: float, high: float) -> Comparison:
        return Comparison("recall", 0.9, 0.9 + difference, difference, low, high, better, margin)

    assert comparison(-0.05, -0.08, -0.01).worse
    assert not comparison(-0.05, -0.12, 0.02).worse, "within the noise"
    assert not comparison(-0.01, -0.012, -0.008).worse, "too small to matter"
    assert comparison(-0.05, float("nan"), float("nan")).worse, "without an interval the difference decides"
    assert not replace(comparison(-0.05, -0.08, -0.01), tolerated=0.02).worse
    assert comparison(0.05, 0.01, 0.08).improved and not comparison(0.05, -0.01, 0.08).improved
    false = Comparison("false alerts", 2.0, 5.0, 3.0, 1.0, 5.0, -1, 1.0)
    assert false.worse and not false.improved


def test_figures_are_plain_numbers(questions):
    figures = decide(answers(questions, 3, 1), answers(questions, 3, 2), questions, 20, 0).figures()
    assert set(figures) >= {"PR-AUC", "PR-AUC (champion)", "recall (difference)", "false alerts per 10,000 (low)"}
    assert all(value is None or isinstance(value, float) for value in figures.values())
