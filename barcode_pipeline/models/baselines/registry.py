"""All simple detectors: the one list that training, evaluation and serving go by."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from barcode_pipeline.models.baselines.baseline import Baseline
from barcode_pipeline.models.baselines.decision_tree import DecisionTree
from barcode_pipeline.models.baselines.gradient_boosting import GradientBoosting
from barcode_pipeline.models.baselines.nearest_neighbours import NearestNeighbours
from barcode_pipeline.models.baselines.one_class_svm import OneClassSvm
from barcode_pipeline.models.baselines.step_ngram import StepNgram
from barcode_pipeline.models.detector import JourneyFeatures

BASELINES: tuple[type[Baseline], ...] = (DecisionTree, GradientBoosting, StepNgram, NearestNeighbours, OneClassSvm)


def fit_baselines(journeys: JourneyFeatures, targets: np.ndarray, use: np.ndarray, seed: int) -> tuple[Baseline, ...]:
    """Every detector with its default parameters, learnt from the events in use (`Baseline.fit`)."""
    return tuple(baseline(seed=seed).fit(journeys, targets, use) for baseline in BASELINES)


def save_baselines(baselines: tuple[Baseline, ...], folder: Path) -> None:
    """One file each, named by the detector."""
    for baseline in baselines:
        baseline.save(folder)


def load_baselines(folder: Path) -> tuple[Baseline, ...]:
    """Every detector of `BASELINES` as `save_baselines` wrote it."""
    return tuple(baseline.load(folder) for baseline in BASELINES)
