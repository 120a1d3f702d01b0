"""The teacher that plants anomalies: from events of training and validation lots to a lesson of its own journeys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from barcode_pipeline.events.journeys import Events, find_journeys
from barcode_pipeline.sequences.features import compute_features
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import TRAIN, VALIDATION
from barcode_pipeline.teachers.planting.board import some_events
from barcode_pipeline.teachers.planting.families import FAMILIES, Family, labels_of
from barcode_pipeline.teachers.planting.planter import Planted, plant
from barcode_pipeline.teachers.teacher import NO_ROW, Lesson, Material, added


@dataclass(frozen=True)
class PlantedAnomalies:
    """Journeys of training lots with planted anomalies and dropped reads; of validation lots, the same for
    validation. EPCs that the rules, or a first model, find something on are no example of what is ordinary."""

    name: str = "planted"
    families: tuple[Family, ...] = FAMILIES

    def lesson(self, material: Material, before: Lesson | None = None) -> Lesson:
        for part in (TRAIN, VALIDATION):
            rows = np.flatnonzero(np.asarray(material.training_set.part) == part)
            if not len(rows):
                continue
            events, suspects = some_events(material.events, rows), suspicious(material)[rows]
            for copy in range(material.planting.copies):
                seed = (material.seed, part, copy)
                planted = plant(
                    events,
                    suspects,
                    material.reference,
                    material.rules.v_max,
                    material.planting,
                    seed,
                    self.families,
                )
                before = added(before, _lesson(planted, rows, part, material, self.families))
        if before is None:
            before = _empty(material, self.families)
        return before


def suspicious(material: Material) -> np.ndarray:
    """(N,) bool by row of the training set, what is no example of the ordinary: any rule's label, or a suspect."""
    by_rules = np.asarray(material.training_set.rule_labels).any(axis=1)
    return np.asarray(by_rules if material.suspects is None else by_rules | material.suspects)


def _lesson(planted: Planted, rows: np.ndarray, part: int, material: Material, families: Sequence[Family]) -> Lesson:
    """rows: the training set's row of each event that was planted upon."""
    features = compute_features(planted.events, material.reference, material.rules.companies, material.rules.v_max)
    order, offsets = journey_order(planted.events)
    none = np.zeros(len(order), dtype=np.float32)
    weight, family = planted.weight[order], planted.family[order]
    source = planted.source[order]
    return Lesson(
        JourneyFeatures(features.values[order], offsets),
        planted.targets[order],
        weight if part == TRAIN else none,
        at_base_rate(weight, family, material.planting.base_rate, labels_of(families)) if part == VALIDATION else none,
        np.where(source >= 0, rows[source], NO_ROW),
        family,
        tuple(one.name for one in families),
    )


def at_base_rate(weight: np.ndarray, family: np.ndarray, rate: float, label: np.ndarray) -> np.ndarray:
    """Weights under which the planted events of each label make `rate` of all, each family of it an equal share.
    family: (N,) int, -1 for none. label: (families,), that of each family.

    Planted anomalies are far more frequent than real ones: probabilities and thresholds chosen on them as they are
    would alert on far too much.
    """
    ordinary = float(weight[family < 0].sum())
    counts = np.bincount(family[family >= 0], minlength=len(label))
    present = np.bincount(label[counts > 0], minlength=5)[label]
    of_family = rate * ordinary / np.maximum(present * counts, 1)
    return np.where(family >= 0, of_family[np.maximum(family, 0)], weight).astype(np.float32)


def journey_order(events: Events) -> tuple[np.ndarray, np.ndarray]:
    """(order (N,), offsets (J + 1,)): events journey by journey in the order of travel, no journey empty; an event
    without an EPC is one of its own."""
    journeys = find_journeys(events)
    lengths = np.diff(journeys.offsets)
    alone = len(events) - int(journeys.offsets[-1])
    lengths = np.concatenate([lengths[lengths > 0], np.ones(alone, dtype=lengths.dtype)])
    return journeys.order, np.concatenate([[0], np.cumsum(lengths)])


def _empty(material: Material, families: Sequence[Family]) -> Lesson:
    none = np.zeros(0, dtype=np.float32)
    return Lesson(
        JourneyFeatures(np.asarray(material.training_set.features[:0]), np.zeros(1, dtype=np.int64)),
        np.zeros((0, 5), dtype=bool),
        none,
        none,
        np.zeros(0, dtype=np.int64),
        np.zeros(0, dtype=np.int16),
        tuple(one.name for one in families),
    )
