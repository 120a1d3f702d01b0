"""A one-class support vector machine per label, in a form whose cost grows linearly with the events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDOneClassSVM

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.baselines.baseline import Baseline
from barcode_pipeline.models.baselines.distinct_events import DistinctEvents, distinct_events
from barcode_pipeline.models.detector import JourneyFeatures
from barcode_pipeline.models.unique_rows import unique_rows
from barcode_pipeline.sequences.features import FEATURE_NAMES


@dataclass(kw_only=True, eq=False)
class OneClassSvm(Baseline):
    """Score of a label, 0 to 1: the share of training events without the label that lie deeper inside than the event.

    The radial kernel is approximated by its values at some training rows (Nyström), on which a linear one-class
    machine is learnt by stochastic gradient descent.
    """

    name: ClassVar[str] = "one_class_svm"
    component_: np.ndarray = field(init=False, repr=False)
    gamma_: np.ndarray = field(init=False, repr=False)
    weight_: np.ndarray = field(init=False, repr=False)
    outlyingness_: np.ndarray = field(init=False, repr=False)
    share_below_: np.ndarray = field(init=False, repr=False)

    components: int = 256
    """Training rows at which the kernel is taken, at most."""
    outside: float = 0.01
    """Share of the training events that may lie outside (ν)."""
    drawn: int = 20_000
    """Training events drawn for the descent, at most."""

    def _learn(self, journeys: JourneyFeatures, targets: np.ndarray, use: np.ndarray) -> None:
        events = distinct_events(journeys, targets, use)
        values = events.values.astype(np.float64)
        spread = np.average((values - np.average(values, 0, events.weight)) ** 2, 0, events.weight).sum()
        self.gamma_ = np.array(1 / spread if spread > 0 else 1.0)
        kernel = Nystroem(
            gamma=float(self.gamma_), n_components=min(self.components, len(values)), random_state=self.seed
        ).fit(values)
        self.component_ = np.ascontiguousarray(kernel.components_)
        self.weight_ = np.zeros((len(LABELS), len(self.component_)))
        for label in range(len(LABELS)):
            without = events.weight - events.positives[:, label]
            if without.any():
                self.weight_[label] = self._machine(kernel, values, without, np.random.default_rng([self.seed, label]))
        self._keep_distribution(events, values)

    def _machine(
        self, kernel: Nystroem, values: np.ndarray, weight: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """Weights of the kernel's values, (components,): their sum is higher deeper inside."""
        # Events are drawn rather than weighted: a row that counts for thousands would make steps of that size.
        drawn = random.choice(len(values), min(self.drawn, int(weight.sum())), p=weight / weight.sum())
        machine = SGDOneClassSVM(nu=self.outside, random_state=self.seed).fit(kernel.transform(values[drawn]))
        return machine.coef_.ravel() @ kernel.normalization_

    def _keep_distribution(self, events: DistinctEvents, values: np.ndarray) -> None:
        found = _outlyingness(values, self.component_, float(self.gamma_), self.weight_)
        order = np.argsort(found, axis=0, kind="stable")
        self.outlyingness_ = np.take_along_axis(found, order, 0).T.copy()
        without = np.take_along_axis(events.weight[:, None] - events.positives, order, 0).T
        below = np.concatenate([np.zeros((len(LABELS), 1)), np.cumsum(without, axis=1)], axis=1)
        self.share_below_ = below / np.maximum(below[:, -1:], 1)

    def _score(self, journeys: JourneyFeatures) -> np.ndarray:
        first, inverse = unique_rows(journeys.values)
        values = np.asarray(journeys.values[first]).astype(np.float64)
        found = _outlyingness(values, self.component_, float(self.gamma_), self.weight_)
        score = np.empty(found.shape, dtype=np.float32)
        for label in range(len(LABELS)):
            score[:, label] = self.share_below_[label][np.searchsorted(self.outlyingness_[label], found[:, label])]
        return score[inverse]

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
    """How far outside each row lies, (U, 5) float32. Row by row: a matrix product's last digits would depend on
    the rows scored beside, and so would the rank among training rows that are the same."""
    found = np.zeros((len(values), len(weight)), dtype=np.float32)
    for row in range(len(values)):
        inside = np.zeros(len(weight))
        for point in range(len(component)):
            distance = 0.0
            for feature in range(values.shape[1]):
                difference = values[row, feature] - component[point, feature]
                distance += difference * difference
            similarity = np.exp(-gamma * distance)
            for label in range(len(weight)):
                inside[label] += weight[label, point] * similarity
        for label in range(len(weight)):
            found[row, label] = -inside[label]
    return found
