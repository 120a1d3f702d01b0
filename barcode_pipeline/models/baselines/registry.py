"""All simple detectors: the one list that training, evaluation and serving go by."""

from __future__ import annotations

from pathlib import Path

from barcode_pipeline.models.baselines.baseline import Baseline
from barcode_pipeline.models.baselines.decision_tree import DecisionTree
from barcode_pipeline.models.baselines.gradient_boosting import GradientBoosting
from barcode_pipeline.models.baselines.nearest_neighbours import NearestNeighbours
from barcode_pipeline.models.baselines.next_event import NextEvent
from barcode_pipeline.models.baselines.one_class_svm import OneClassSvm
from barcode_pipeline.models.baselines.step_ngram import StepNgram

BASELINES: tuple[type[Baseline], ...] = (
    DecisionTree,
    GradientBoosting,
    StepNgram,
    NearestNeighbours,
    OneClassSvm,
    NextEvent,
)


def load_baselines(folder: Path) -> tuple[Baseline, ...]:
    """Every detector of `BASELINES`, each from the file that its `save` wrote into the folder."""
    return tuple(baseline.load(folder) for baseline in BASELINES)
