"""Small made-up evaluations: events of a few lots, and detectors of known quality."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.evaluation.metrics import Detections, EvaluationEvents
from barcode_pipeline.events.formats import LABELS


def made_up_events(
    events: int = 4000, lots: int = 10, seed: int = 0, base_rate: float = 0.1, with_truth: bool = True
) -> EvaluationEvents:
    """Events in three strata; rules see six anomalies in ten and are wrong now and then."""
    random = np.random.default_rng(seed)
    lot = random.integers(0, lots, events).astype(np.int32)
    truth = random.random((events, len(LABELS))) < base_rate
    visible = truth & (random.random(truth.shape) < 0.6)
    rules = visible | (random.random(truth.shape) < 0.002)
    aftermath = (random.random(events) < 0.02) & ~truth.any(axis=1)
    held_out, late = lot % 2 == 0, np.arange(events) > events // 5
    strata = {
        "held_out_lots": held_out & late,
        "known_lots": ~held_out & late,
        "held_out_lots_all_dates": held_out,
    }
    if not with_truth:
        return EvaluationEvents(lot, strata, rules)
    return EvaluationEvents(lot, strata, rules, truth, visible, aftermath)


def made_up_detector(
    events: EvaluationEvents, model: str, quality: float, seed: int = 1, silent: tuple[int, ...] = ()
) -> Detections:
    """A detector that separates the rules' labels by `quality` standard deviations of its noise."""
    random = np.random.default_rng(seed)
    logit = random.normal(size=events.rules.shape) - 3 + quality * events.rules
    probability = 1 / (1 + np.exp(-logit))
    probability[:, list(silent)] = np.nan
    return Detections(model, probability, np.nan_to_num(probability) > 0.5)


def rules_as_detector(events: EvaluationEvents) -> Detections:
    """The rules, judged like any detector."""
    return Detections("rules", events.rules.astype(float), events.rules)
