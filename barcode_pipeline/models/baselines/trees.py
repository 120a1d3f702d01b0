"""Decision trees as plain arrays, and walking down them. How trees grow is not decided here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.baselines.baseline import Baseline
from barcode_pipeline.models.baselines.distinct_events import (
    DistinctEvents,
    LabelSample,
    distinct_events,
    windows,
)
from barcode_pipeline.models.unique_rows import unique_rows
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures

LEAF = -1
_PIECE = 65_536
_THREADS = 2


class Tree(NamedTuple):
    """Nodes of one tree, the root first, a child after its parent: at most `threshold` goes left.

    feature: `LEAF` at a leaf. left, right: nodes. value: log-odds that a leaf adds. Each (nodes,).
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray


def smoothed_log_odds(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Half an event more on each side keeps the log-odds of pure leaves finite and ordered by their size."""
    return np.log((positive + 0.5) / (negative + 0.5))


@dataclass(kw_only=True, eq=False)
class TreeBaseline(Baseline):
    """Trees per label, whose leaves add up to the label's score, a log-odds."""

    start_: np.ndarray = field(init=False, repr=False)
    root_: np.ndarray = field(init=False, repr=False)
    tree_label_: np.ndarray = field(init=False, repr=False)
    feature_: np.ndarray = field(init=False, repr=False)
    threshold_: np.ndarray = field(init=False, repr=False)
    left_: np.ndarray = field(init=False, repr=False)
    right_: np.ndarray = field(init=False, repr=False)
    value_: np.ndarray = field(init=False, repr=False)

    balance: float = 1.0
    """0: events weigh as they come. 1: a label's positives weigh as much together as all others; a label borne by one
    event in a thousand may not pay for a split otherwise."""
    reach: int = 1
    """Events whose features are looked at: the event's own, and those just before it in the journey."""
    rows: int = 200_000
    """Distinct rows learnt from per label, at most: growing trees costs more per row the more there are."""

    def _grow(self, values: np.ndarray, sample: LabelSample) -> tuple[float, list[Tree]]:
        """The score before any tree, and the trees of one label with and without positives among its events.

        values: (S, reach × F) float32.
        """
        raise NotImplementedError

    def _balanced(self, sample: LabelSample) -> np.ndarray:
        positive = sample.weight[sample.positive].sum()
        return np.where(
            sample.positive,
            sample.weight * ((sample.weight.sum() - positive) / positive) ** self.balance,
            sample.weight,
        )

    def _learn(self, journeys: JourneyFeatures, targets: np.ndarray, weight: np.ndarray) -> None:
        events = distinct_events(journeys, targets, weight, self.reach)
        # Labels side by side, each on one thread: sums of several threads depend on which of them ends first.
        with threadpool_limits(1, user_api="openmp"), ThreadPoolExecutor(_THREADS) as pool:
            grown = list(pool.map(lambda label: self._learn_label(events, label), range(len(LABELS))))
        trees = [(label, tree) for label, (_, some) in enumerate(grown) for tree in some]
        self._keep([start for start, _ in grown], [tree for _, tree in trees], [label for label, _ in trees])

    def _learn_label(self, events: DistinctEvents, label: int) -> tuple[float, list[Tree]]:
        sample = events.of_label(label, self.rows, np.random.default_rng([self.seed, label]))
        if sample.positive.all() or not sample.positive.any():
            # Nothing to tell apart: every event gets what is known of the label, its share.
            positive = sample.weight[sample.positive].sum()
            return float(smoothed_log_odds(positive, sample.weight.sum() - positive)), []
        return self._grow(events.values[sample.row].astype(np.float32), sample)

    def _keep(self, starts: list[float], trees: list[Tree], tree_labels: list[int]) -> None:
        sizes = np.array([len(tree.feature) for tree in trees], dtype=np.int64)
        self.root_ = np.cumsum(sizes) - sizes
        self.start_, self.tree_label_ = np.array(starts), np.array(tree_labels, dtype=np.int32)
        shift = np.repeat(self.root_, sizes)

        def joined(name: str, dtype: type) -> np.ndarray:
            return np.concatenate([np.zeros(0), *(getattr(tree, name) for tree in trees)]).astype(dtype)

        inner = joined("feature", np.int32) != LEAF
        self.feature_ = joined("feature", np.int32)
        self.threshold_, self.value_ = joined("threshold", np.float64), joined("value", np.float64)
        self.left_ = np.where(inner, joined("left", np.int64) + shift, 0)
        self.right_ = np.where(inner, joined("right", np.int64) + shift, 0)

    def _score(self, journeys: JourneyFeatures) -> np.ndarray:
        score = np.empty((len(journeys), len(LABELS)), dtype=np.float32)
        # Piece by piece: as float32 the features of all events would take twice their memory once more.
        for begin in range(0, len(journeys), _PIECE):
            rows = np.arange(begin, min(begin + _PIECE, len(journeys)))
            values = windows(journeys, rows, self.reach)
            first, inverse = unique_rows(values)
            found = _walk(
                values[first].astype(np.float32), self.start_, self.root_, self.tree_label_, self.feature_,
                self.threshold_, self.left_, self.right_, self.value_,
            )  # fmt: skip
            score[rows] = found.astype(np.float32)[inverse]
        return score

    def _verify(self) -> None:
        nodes = len(self.feature_)
        if not len(self.threshold_) == len(self.left_) == len(self.right_) == len(self.value_) == nodes:
            raise ValueError("nodes are not complete")
        if self.start_.shape != (len(LABELS),) or self.root_.shape != self.tree_label_.shape:
            raise ValueError("trees are not complete")
        inner = np.flatnonzero(self.feature_ != LEAF)
        for child in (self.left_[inner], self.right_[inner]):
            # A child after its parent means that every walk ends.
            if not ((child > inner) & (child < nodes)).all():
                raise ValueError("nodes do not form trees")
        for numbers, limit in (
            (self.feature_[inner], self.reach * len(FEATURE_NAMES)),
            (self.root_, nodes),
            (self.tree_label_, len(LABELS)),
        ):
            if not ((numbers >= 0) & (numbers < limit)).all():
                raise ValueError("numbers are out of range")


@compiled
def _walk(
    values: np.ndarray,
    start: np.ndarray,
    root: np.ndarray,
    tree_label: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    value: np.ndarray,
) -> np.ndarray:
    score = np.empty((len(values), len(start)))
    for row in range(len(values)):
        score[row] = start
        for tree in range(len(root)):
            node = root[tree]
            while feature[node] != LEAF:
                node = left[node] if values[row, feature[node]] <= threshold[node] else right[node]
            score[row, tree_label[tree]] += value[node]
    return score
