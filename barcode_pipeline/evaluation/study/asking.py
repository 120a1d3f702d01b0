"""Verdicts for the study: events of training lots are asked about, and an investigator who knows the truth answers.

Here alone truth reaches a lesson, as it would from a person who looked: of the events asked about, and of no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from barcode_pipeline.alerts.rarity import lot_rarity
from barcode_pipeline.alerts.review import near_copies, review_list
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.study.arms import LIST, Asked
from barcode_pipeline.evaluation.study.worlds import OpenWorld
from barcode_pipeline.evaluation.truth import TruthOfEvents
from barcode_pipeline.models.calibration import Calibration
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import TRAIN, VALIDATION
from barcode_pipeline.teachers.verdicts import Judged

Probabilities = Callable[[JourneyFeatures, Calibration], np.ndarray]

FIRST = 500
"""So many of the first questions are counted by variant: how soon a list finds some of each."""


def verdicts_asked_for(
    world: OpenWorld, probabilities: Probabilities, calibration: Calibration, asked: Asked
) -> tuple[Judged, dict[str, Any]]:
    """(what was said, by row of the training set; what was found).

    probabilities: of the model that the questions are asked with. A question is an event of a training or validation
    lot before the cut; the answer tells all five of its labels.
    """
    truth = world.truth
    if truth is None:
        raise UserError("Verdicts can only be asked for where truth lies beside the data: leave these cells out.")
    part = np.asarray(world.training_set.part)
    allowed = np.flatnonzero((part == TRAIN) | (part == VALIDATION))
    rows = (
        _listed(world, probabilities, calibration, asked, allowed)
        if asked.by == LIST
        else _drawn(world, asked, allowed)
    )
    judged = np.zeros((len(part), truth.truth.shape[1]), dtype=bool)
    judged[rows] = True
    return Judged(judged, judged & truth.truth), found_by(rows, truth)


def found_by(rows: np.ndarray, truth: TruthOfEvents) -> dict[str, Any]:
    """How many events of each variant are among the questions, and among the first `FIRST`; asked: all questions."""
    return {
        "asked": len(rows),
        "found": _counts(rows, truth),
        f"found_in_{FIRST}": _counts(rows[:FIRST], truth),
    }


def _counts(rows: np.ndarray, truth: TruthOfEvents) -> dict[str, int]:
    codes = truth.variant[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(truth.variants))
    return {name: int(count) for name, count in zip(truth.variants, counts, strict=True)}


def _drawn(world: OpenWorld, asked: Asked, allowed: np.ndarray) -> np.ndarray:
    order = np.random.default_rng([world.seed, 71]).permutation(allowed)
    return order[: asked.count]


def _listed(
    world: OpenWorld, probabilities: Probabilities, calibration: Calibration, asked: Asked, allowed: np.ndarray
) -> np.ndarray:
    """The first of the review list, as the report makes it."""
    journeys = world.material.journeys
    wanted = np.zeros(len(journeys), dtype=bool)
    wanted[allowed] = True
    some, rows = journeys.select(journeys.with_any(wanted))
    features, lot = some.values, np.asarray(world.training_set.lot)[rows]
    place, serial_beyond = world.material.events.place[rows], features[:, FEATURE_NAMES.index("serial_beyond")]
    listed = review_list(
        probabilities(some, calibration),
        calibration.threshold,
        np.asarray(world.training_set.rule_labels)[rows],
        lot_rarity(features, lot),
        lot,
        near_copies(lot, np.asarray(world.training_set.time)[rows], place, serial_beyond),
        np.zeros((len(rows), 5), dtype=bool),
        asked.count,
        world.seed,
        candidates=wanted[rows],
    )
    return rows[listed.row]
