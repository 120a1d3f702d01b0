"""Champion and challenger: whether a new model may take the place of the one in service.

Both are asked the same questions about the same events. The new one enters unless it is worse beyond the noise: by
more than a margin that matters, and by more than chance explains, lots being drawn again and again for both at once.
Which events are asked about, and what moves the pointer, is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from barcode_pipeline.evaluation.resampling import MINIMUM_POSITIVES, Ranking, interval, lot_weights
from barcode_pipeline.events.formats import LABELS


@dataclass(frozen=True)
class Answers:
    """What one model says of N events. probability: (N, 5) float. alert: (N, 5) bool."""

    probability: np.ndarray
    alert: np.ndarray


@dataclass(frozen=True)
class Questions:
    """Events both models are asked about.

    target: (N, 5) bool, what is truly there. counted: (N,) bool, events that may be judged; aftermath may not. lot:
    (N,) int in 0..L-1.
    """

    target: np.ndarray
    counted: np.ndarray
    lot: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """One figure of both. difference: challenger - champion; low, high: its 95 % interval. better: +1 where more is
    better, -1 where less is."""

    figure: str
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    better: int
    margin: float

    @property
    def worse(self) -> bool:
        """Worse by more than the margin, and beyond the noise."""
        gain = self.better * self.difference
        best_case = self.high if self.better > 0 else -self.low
        return gain < -self.margin and best_case < 0

    def __str__(self) -> str:
        return (
            f"{self.figure} {self.challenger:.3f} against {self.champion:.3f} "
            f"({self.difference:+.3f}, {self.low:+.3f} to {self.high:+.3f})"
        )


MARGINS = {"PR-AUC": (1, 0.005), "recall": (1, 0.02), "false alerts per 10,000": (-1, 1.0)}
"""By figure: whether more is better, and the least difference that matters to a user."""


@dataclass(frozen=True)
class Decision:
    """Whether the challenger enters, why, and the figures that say so."""

    enters: bool
    reason: str
    comparisons: tuple[Comparison, ...]


def decide(champion: Answers, challenger: Answers, questions: Questions, replicates: int, seed: int) -> Decision:
    """Compare two models by macro PR-AUC, macro recall at their own thresholds, and false alerts.

    Macro is over labels with at least 30 positives. Without one such label nothing can be told, and the champion stays.
    """
    lots = int(questions.lot.max()) + 1 if len(questions.lot) else 0
    positives = (questions.target & questions.counted[:, None]).sum(axis=0)
    labels = np.flatnonzero(positives >= MINIMUM_POSITIVES)
    if not len(labels):
        return Decision(
            False,
            f"no label has {MINIMUM_POSITIVES} positives in the window (most: {int(positives.max(initial=0))}), so "
            "that nothing can be told: the model in service stays",
            (),
        )
    weights = lot_weights(lots, replicates, seed)
    first, second = (_figures(answers, questions, labels, weights) for answers in (champion, challenger))
    comparisons = tuple(
        _compare(name, first[name], second[name], better, margin) for name, (better, margin) in MARGINS.items()
    )
    worse = [str(comparison) for comparison in comparisons if comparison.worse]
    about = f"over {', '.join(LABELS[label] for label in labels)}, {lots} lots, {int(positives.sum())} positives"
    if worse:
        return Decision(False, f"worse beyond the noise: {'; '.join(worse)} ({about})", comparisons)
    return Decision(True, f"not worse beyond the noise: {'; '.join(map(str, comparisons))} ({about})", comparisons)


def _figures(answers: Answers, questions: Questions, labels: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each figure under each row of weights, (R,)."""
    lots = weights.shape[1]
    pr_auc, recall = [], []
    for label in labels:
        ranking = Ranking(answers.probability[:, label], questions.lot, lots)
        target = questions.target[:, label]
        pr_auc.append(ranking.average_precision(target, questions.counted, weights))
        here = target & questions.counted
        found = weights @ np.bincount(questions.lot[here & answers.alert[:, label]], minlength=lots)
        recall.append(_ratio(found, weights @ np.bincount(questions.lot[here], minlength=lots)))
    false = answers.alert.any(axis=1) & ~questions.target.any(axis=1) & questions.counted
    alerts = weights @ np.bincount(questions.lot[false], minlength=lots)
    events = weights @ np.bincount(questions.lot[questions.counted], minlength=lots)
    return {
        "PR-AUC": np.nanmean(pr_auc, axis=0),
        "recall": np.nanmean(recall, axis=0),
        "false alerts per 10,000": 10_000 * _ratio(alerts, events),
    }


def _compare(name: str, champion: np.ndarray, challenger: np.ndarray, better: int, margin: float) -> Comparison:
    difference = challenger - champion
    low, high = interval(difference) or (float("nan"), float("nan"))
    return Comparison(name, float(champion[0]), float(challenger[0]), float(difference[0]), low, high, better, margin)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)
