"""A one-class support vector machine per label, in a form whose cost grows linearly with the events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDOneClassSVM

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.baselines.baseline import Baseline
from barcode_pipeline.models.baselines.distinct_events import distinct_events
from barcode_pipeline.models.unique_rows import unique_rows
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures

_PIECE = 65_536


@dataclass(kw_only=True, eq=False)
class OneClassSvm(Baseline):
    """Score of a label: how far the event lies outside the training events without that label.

    The radial kernel is approximated by its values at some training rows (Nyström), on which a linear one-class
    machine is learnt by stochastic gradient descent.
    """

    name: ClassVar[str] = "one_class_svm"
    grid: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"outside": 0.001}, {"narrowness": 4.0}, {"narrowness": 0.25})
    component_: np.ndarray = field(init=False, repr=False)
    gamma_: np.ndarray = field(init=False, repr=False)
    weight_: np.ndarray = field(init=False, repr=False)
    outlyingness_: np.ndarray = field(init=False, repr=False)
    share_below_: np.ndarray = field(init=False, repr=False)

    components: int = 256
    """Training rows at which the kernel is taken, at most."""
    outside: float = 0.01
    """Share of the training events that may lie outside (ν)."""
    narrowness: float = 1.0
    """Of the kernel: γ × the summed variance of the features."""
    drawn: int = 20_000
    """Training events drawn for the descent, at most."""
    rows: int = 50_000
    """Distinct training rows looked at, at most."""

    def share_below(self, scores: np.ndarray) -> np.ndarray:
        """The share of training events without the label that score less, of (N, 5) scores: (N, 5) float32, 0 to 1."""
        self._check_fitted()
        share = np.empty(scores.shape, dtype=np.float32)
        for label in range(len(LABELS)):
            share[:, label] = self.share_below_[label][np.searchsorted(self.outlyingness_[label], scores[:, label])]
        return share

    def _learn(self, journeys: JourneyFeatures, targets: np.ndarray, weight: np.ndarray) -> None:
        random = np.random.default_rng(self.seed)
        events = distinct_events(journeys, targets, weight).some(self.rows, random)
        values, total = events.values.astype(np.float64), events.positives[:, 0] + events.negatives[:, 0]
        spread = np.average((values - np.average(values, 0, total)) ** 2, 0, total).sum()
        self.gamma_ = np.array(self.narrowness / spread if spread > 0 else 1.0)
        kernel = Nystroem(
            gamma=float(self.gamma_), n_components=min(self.components, len(values)), random_state=self.seed
        ).fit(values)
        self.component_ = np.ascontiguousarray(kernel.components_)
        self.weight_ = np.zeros((len(LABELS), len(self.component_)))
        for label in range(len(LABELS)):
            if events.negatives[:, label].any():
                self.weight_[label] = self._machine(
                    kernel, values, events.negatives[:, label], np.random.default_rng([self.seed, label])
                )
        self._keep_distribution(events.values, events.negatives)

    def _machine(
        self, kernel: Nystroem, values: np.ndarray, weight: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """Weights of the kernel's values, (components,): their sum is higher deeper inside."""
        # Events are drawn rather than weighted: a row that counts for thousands would make steps of that size.
        drawn = random.choice(len(values), min(self.drawn, int(np.ceil(weight.sum()))), p=weight / weight.sum())
        machine = SGDOneClassSVM(nu=self.outside, random_state=self.seed).fit(kernel.transform(values[drawn]))
        return machine.coef_.ravel() @ kernel.normalization_

    def _keep_distribution(self, values: np.ndarray, without: np.ndarray) -> None:
        found = self._outlyingness(values)
        order = np.argsort(found, axis=0, kind="stable")
        self.outlyingness_ = np.take_along_axis(found, order, 0).T.copy()
        below = np.cumsum(np.take_along_axis(without, order, 0).T, axis=1)
        below = np.concatenate([np.zeros((len(LABELS), 1)), below], axis=1)
        self.share_below_ = (below / np.where(below[:, -1:] > 0, below[:, -1:], 1)).astype(np.float32)

    def _score(self, journeys: JourneyFeatures) -> np.ndarray:
        score = np.empty((len(journeys), len(LABELS)), dtype=np.float32)
        # Piece by piece: as float64 the features of all events would take four times their memory once more.
        for begin in range(0, len(journeys), _PIECE):
            values = np.asarray(journeys.values[begin : begin + _PIECE])
            first, inverse = unique_rows(values)
            score[begin : begin + _PIECE] = self._outlyingness(values[first])[inverse]
        return score

    def _outlyingness(self, values: np.ndarray) -> np.ndarray:
        component = np.ascontiguousarray(self.component_.T)
        return _outlyingness(values.astype(np.float64), component, float(self.gamma_), self.weight_)

    def _verify(self) -> None:
        points = self.outlyingness_.shape[1]
        if (
            self.component_.shape[1:] != (len(FEATURE_NAMES),)
            or self.weight_.shape != (len(LABELS), len(self.component_))
            or self.outlyingness_.shape != (len(LABELS), points)
            or self.share_below_.shape != (len(LABELS), points + 1)
        ):
            raise ValueError("arrays do not fit each other")


@compiled
def _outlyingness(values: np.ndarray, component: np.ndarray, gamma: float, weight: np.ndarray) -> np.ndarray:
    """How far outside each row lies, (U, 5) float32; component: (F, components).

    Row by row: a matrix product's last digits would depend on the rows scored beside, and so would the rank among
    training rows that are the same. Feature by feature over all components, which the processor does many at once.
    """
    found = np.zeros((len(values), len(weight)), dtype=np.float32)
    distance = np.empty(component.shape[1])
    for row in range(len(values)):
        distance[:] = 0.0
        for feature in range(values.shape[1]):
            for point in range(len(distance)):
                difference = values[row, feature] - component[feature, point]
                distance[point] += difference * difference
        for label in range(len(weight)):
            inside = 0.0
            for point in range(len(distance)):
                if label == 0:
                    distance[point] = np.exp(-gamma * distance[point])
                inside += weight[label, point] * distance[point]
            found[row, label] = -inside
    return found
