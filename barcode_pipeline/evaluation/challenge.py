"""Champion and challenger: whether a new model may take the place of the one in service.

Both are asked the same questions about the same events. The new one enters unless it is worse beyond the noise: by
more than a margin that matters, and by more than chance explains, lots being drawn again and again for both at once.
Which events are asked about, and what moves the pointer, is decided elsewhere.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from barcode_pipeline.evaluation.resampling import MINIMUM_POSITIVES, Ranking, lot_weights
from barcode_pipeline.events.formats import LABELS


@dataclass(frozen=True)
class Answers:
    """What one model says of N events. probability: (N, 5) float. alert: (N, 5) bool."""

    probability: np.ndarray
    alert: np.ndarray


@dataclass(frozen=True)
class Questions:
    """Events both models are asked about.

    target: (N, 5) bool, what is truly there. counted: (N, 5) bool, labels that are asked about: of aftermath none, of
    an event with a verdict those that were judged. lot: (N,) int in 0..L-1.
    """

    target: np.ndarray
    counted: np.ndarray
    lot: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """One figure of both. difference: challenger - champion; low, high: its 90 % interval, beyond either end of which
    it lies once in twenty: only one end is ever asked about. better: +1 where more is better, -1 where less
    is. margin: the least difference that matters. tolerated: how much worse is no reason to stay out."""

    figure: str
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    better: int
    margin: float
    tolerated: float = 0.0

    @property
    def worse(self) -> bool:
        """Worse by more than the margin, and, noise taken into account, by more than what is tolerated."""
        gain = self.better * self.difference
        best_case = self.high if self.better > 0 else -self.low
        # Where no interval could be made, the difference itself decides.
        return gain < -self.margin and not best_case >= -self.tolerated

    @property
    def improved(self) -> bool:
        """Better by more than the margin, and beyond the noise."""
        gain = self.better * self.difference
        worst_case = self.low if self.better > 0 else -self.high
        return gain > self.margin and worst_case > 0

    def __str__(self) -> str:
        return (
            f"{self.figure} {self.challenger:.3f} against {self.champion:.3f} "
            f"({self.difference:+.3f}, {self.low:+.3f} to {self.high:+.3f})"
        )


PRICE = 0.01
"""Recall that one false alert per 10,000 events is held to cost: thresholds trade one for the other, and a model that
gives up some recall to keep to its budget of false alerts is no worse."""
MARGINS = {
    "PR-AUC": (1, 0.005),
    "worth of alerts": (1, 0.02),
    "recall": (1, np.inf),
    "false alerts per 10,000": (-1, np.inf),
}
"""By figure: whether more is better, and the least difference that matters to a user. The last two make up the worth
of alerts (recall less the price of false alerts), and are shown beside."""
ALERTS = "alerts per 10,000"
MOST_MORE_ALERTS = 50.0
"""More alerts per 10,000 events than this on a window as it is are too many: whoever finds more finds some more of them
rightly, so the margin is wide."""


@dataclass(frozen=True)
class Decision:
    """Whether the challenger enters, why, and the figures that say so."""

    enters: bool
    reason: str
    comparisons: tuple[Comparison, ...] = ()

    def figures(self) -> dict[str, float | None]:
        """The comparisons as plain numbers by name; what could not be computed is None."""
        named: dict[str, float] = {}
        for one in self.comparisons:
            named |= {
                one.figure: one.challenger,
                f"{one.figure} (champion)": one.champion,
                f"{one.figure} (difference)": one.difference,
                f"{one.figure} (low)": one.low,
                f"{one.figure} (high)": one.high,
            }
        return {name: value if np.isfinite(value) else None for name, value in named.items()}


def decide(
    champion: Answers,
    challenger: Answers,
    questions: Questions,
    replicates: int,
    seed: int,
    as_it_is: tuple[Answers, Answers, Questions] | None = None,
) -> Decision:
    """Compare two models by macro PR-AUC and by what their alerts are worth at their own thresholds; as_it_is: by
    their alerts on events as they are, too, where nobody knows what is truly there.

    Macro is over labels with at least 30 positives. Without one such label nothing can be told, and the champion stays.
    """
    if not np.isfinite(challenger.probability).all():
        return Decision(False, "it answers with what is no number: the model in service stays")
    lots = int(questions.lot.max()) + 1 if len(questions.lot) else 0
    positives = (questions.target & questions.counted).sum(axis=0)
    labels = np.flatnonzero(positives >= MINIMUM_POSITIVES)
    if not len(labels):
        return Decision(
            False,
            f"no label has {MINIMUM_POSITIVES} positives in the window (most: {int(positives.max(initial=0))}), so "
            "that nothing can be told: the model in service stays",
        )
    weights = lot_weights(lots, replicates, seed)
    first, second = (_figures(answers, questions, labels, weights) for answers in (champion, challenger))
    comparisons = tuple(
        _compare(name, first[name], second[name], better, margin) for name, (better, margin) in MARGINS.items()
    )
    if as_it_is is not None:
        comparisons += (_compare_alerts(*as_it_is, replicates, seed),)
    shown = "; ".join(str(comparison) for comparison in comparisons)
    worse = [comparison.figure for comparison in comparisons if comparison.worse]
    about = f"over {', '.join(LABELS[label] for label in labels)}, {lots} lots, {int(positives.sum())} positives"
    improved = [comparison.figure for comparison in comparisons if comparison.improved]
    if worse:
        word = f"worse beyond the noise in {', '.join(worse)}"
    elif improved:
        word = f"better beyond the noise in {', '.join(improved)}"
    else:
        word = "not worse beyond the noise"
    return Decision(not worse, f"{word}: {shown} ({about})", comparisons)


def _figures(answers: Answers, questions: Questions, labels: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each figure under each row of weights, (R,)."""
    lots = weights.shape[1]
    pr_auc, recall = [], []
    for label in labels:
        ranking = Ranking(answers.probability[:, label], questions.lot, lots)
        target, counted = questions.target[:, label], questions.counted[:, label]
        pr_auc.append(ranking.average_precision(target, counted, weights))
        here = target & counted
        found = weights @ np.bincount(questions.lot[here & answers.alert[:, label]], minlength=lots)
        recall.append(_ratio(found, weights @ np.bincount(questions.lot[here], minlength=lots)))
    with warnings.catch_warnings():
        # A sample may hold no positive of any label: its figure is then missing, as it should be.
        warnings.simplefilter("ignore", RuntimeWarning)
        macro_pr_auc, macro_recall = np.nanmean(pr_auc, axis=0), np.nanmean(recall, axis=0)
    false_alerts = _alerts(answers, questions, weights)
    return {
        "PR-AUC": macro_pr_auc,
        "worth of alerts": macro_recall - PRICE * false_alerts,
        "recall": macro_recall,
        "false alerts per 10,000": false_alerts,
    }


def _alerts(answers: Answers, questions: Questions, weights: np.ndarray) -> np.ndarray:
    """Alerts on events without any target, per 10,000 events, under each row of weights, (R,)."""
    lots = weights.shape[1]
    false = (answers.alert & questions.counted).any(axis=1) & ~questions.target.any(axis=1)
    alerts = weights @ np.bincount(questions.lot[false], minlength=lots)
    events = weights @ np.bincount(questions.lot[questions.counted.any(axis=1)], minlength=lots)
    return 10_000 * _ratio(alerts, events)


def _compare_alerts(
    champion: Answers, challenger: Answers, questions: Questions, replicates: int, seed: int
) -> Comparison:
    weights = lot_weights(int(questions.lot.max()) + 1, replicates, seed)
    first, second = (_alerts(answers, questions, weights) for answers in (champion, challenger))
    # What more is found may be right: only what is surely too much is held against it.
    return replace(_compare(ALERTS, first, second, -1, MOST_MORE_ALERTS), tolerated=MOST_MORE_ALERTS)


def _compare(name: str, champion: np.ndarray, challenger: np.ndarray, better: int, margin: float) -> Comparison:
    difference = challenger - champion
    low, high = _interval(difference)
    return Comparison(name, float(champion[0]), float(challenger[0]), float(difference[0]), low, high, better, margin)


def _interval(values: np.ndarray) -> tuple[float, float]:
    """Percentiles 5 and 95 of the samples, NaN where fewer than half of them have the figure."""
    samples = values[1:][~np.isnan(values[1:])]
    if np.isnan(values[0]) or len(samples) * 2 < len(values) - 1 or not len(samples):
        return float("nan"), float("nan")
    low, high = np.percentile(samples, [5, 95])
    return float(low), float(high)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)
