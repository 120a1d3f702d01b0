"""How likely the next step is after the steps before it: a transition never seen is the least likely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from barcode_pipeline.models.baselines.baseline import Baseline, for_every_label, ordinary
from barcode_pipeline.models.steps import STEPS, read_steps
from barcode_pipeline.sequences.journey_features import JourneyFeatures

_START = STEPS + 1
"""Stands before a journey's first step; steps count from 1, so that 0 means that an n-gram is shorter."""
_BASE = STEPS + 2


@dataclass(kw_only=True, eq=False)
class StepNgram(Baseline):
    """Score: -log of the probability of the event's step after those before it, the same for every label.

    Learnt from ordinary journeys. A probability after a long context leans on
    that after a shorter one, down to all steps being alike (D. MacKay & L. Peto, "A hierarchical Dirichlet
    language model", 1995).
    """

    name: ClassVar[str] = "step_ngram"
    grid: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {},
        {"longest": 2},
        {"longest": 5},
        {"longest": 5, "leaning": 10.0},
    )
    gram_: np.ndarray = field(init=False, repr=False)
    gram_count_: np.ndarray = field(init=False, repr=False)
    context_: np.ndarray = field(init=False, repr=False)
    context_count_: np.ndarray = field(init=False, repr=False)

    longest: int = 3
    """Steps of the longest n-gram, 1 to 10, the event's own among them."""
    leaning: float = 1.0
    """Events that the shorter context counts for."""

    def _learn(self, journeys: JourneyFeatures, targets: np.ndarray, weight: np.ndarray) -> None:
        learnt = ordinary(journeys, targets, weight)
        learning = learnt > 0
        grams = np.concatenate([gram[learning] for gram in self._grams(journeys)])
        self.gram_, of_event = np.unique(grams, return_inverse=True)
        counts = np.tile(learnt[learning], self.longest)
        self.gram_count_ = np.bincount(of_event, counts, minlength=len(self.gram_))
        self.context_, of_gram = np.unique(self.gram_ // _BASE, return_inverse=True)
        self.context_count_ = np.bincount(of_gram, self.gram_count_, minlength=len(self.context_))

    def _grams(self, journeys: JourneyFeatures) -> list[np.ndarray]:
        """The n-grams that end at each event, by length, each (N,) int64: a number whose last digit is the step."""
        if not 1 <= self.longest <= 10:
            raise ValueError(f"An n-gram has 1 to 10 steps, not {self.longest}.")
        step, position = read_steps(journeys.values).number() + 1, journeys.position()
        grams, place = [step], 1
        for back in range(1, self.longest):
            place *= _BASE
            before = np.full(len(step), _START)
            before[back:] = np.where(position[back:] >= back, step[:-back], _START)
            grams.append(grams[-1] + before * place)
        return grams

    def _score(self, journeys: JourneyFeatures) -> np.ndarray:
        probability = np.full(len(journeys), 1 / STEPS)
        for gram in self._grams(journeys):
            seen = _counts(self.gram_, self.gram_count_, gram)
            # The context of a single step is 0, borne by no n-gram of another length.
            context = _counts(self.context_, self.context_count_, gram // _BASE)
            probability = (seen + self.leaning * probability) / (context + self.leaning)
        return for_every_label(-np.log(probability))

    def _verify(self) -> None:
        if self.gram_.shape != self.gram_count_.shape or self.context_.shape != self.context_count_.shape:
            raise ValueError("counts are not complete")


def _counts(keys: np.ndarray, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How often each wanted key was counted. keys: ascending."""
    if not len(keys):
        return np.zeros(len(wanted))
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, counts[place], 0)
