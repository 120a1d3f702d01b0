"""A decision tree per label on the features of the event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from barcode_pipeline.models.baselines.distinct_events import LabelSample
from barcode_pipeline.models.baselines.trees import LEAF, Tree, TreeBaseline, smoothed_log_odds


@dataclass(kw_only=True, eq=False)
class DecisionTree(TreeBaseline):
    """Score: the smoothed log-odds of the training events in the event's leaf."""

    name: ClassVar[str] = "decision_tree"
    grid: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"leaves": 256}, {"balance": 0.0}, {"reach": 2})

    leaves: int = 64
    """At most so many per label."""

    def _grow(self, values: np.ndarray, sample: LabelSample) -> tuple[float, list[Tree]]:
        grown = DecisionTreeClassifier(max_leaf_nodes=max(self.leaves, 2), random_state=self.seed).fit(
            values, sample.positive, sample_weight=self._balanced(sample)
        )
        tree, leaf = grown.tree_, grown.apply(values)
        in_leaf = np.bincount(leaf, sample.weight, minlength=tree.node_count)
        positive = np.bincount(leaf, sample.weight * sample.positive, minlength=tree.node_count)
        feature = np.where(tree.children_left < 0, LEAF, tree.feature)
        value = smoothed_log_odds(positive, in_leaf - positive)
        return 0.0, [Tree(feature, tree.threshold, tree.children_left, tree.children_right, value)]
