"""The exam of two models on a recent window that neither was trained on: what they are asked, and what they answer.

Real data has no truth, so anomalies are planted upon the journeys of the window, by other draws than any lesson's, and
what investigators said of its events is asked beside. The alerts of both on the window as it is are counted too: a
model that cries wolf there is not let in. Who wins is `challenge`'s business, which events there are its caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from barcode_pipeline.evaluation.challenge import Answers, Decision, Questions, decide
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.places import Reference
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.sequences.features import compute_features
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.teachers.planted import journey_order
from barcode_pipeline.teachers.planting.planter import plant
from barcode_pipeline.teachers.planting.settings import PlantingSettings

_EXAM = 0xE8A3
"""Makes the exam's draws others than those of every lesson."""
_MOST_COPIES = 10


@dataclass(frozen=True)
class Paper:
    """What the exam is made from.

    events: N events, whole lots. rule_labels, judged, holds: (N, 5) bool: what the rules say, which labels have a
    verdict, which of those were confirmed. first_second: of the window; earlier events are its history.
    suspect_probability: from here on, uncalibrated, an event is no example of the ordinary. questions: events to ask
    about, at the least, if need be by planting upon the same journeys again. seed: of all that is drawn.
    """

    events: Events
    rule_labels: np.ndarray
    judged: np.ndarray
    holds: np.ndarray
    first_second: int
    reference: Reference
    rules: RuleSettings
    planting: PlantingSettings
    suspect_probability: float
    questions: int
    seed: int

    @property
    def in_window(self) -> np.ndarray:
        return np.asarray(self.events.time >= self.first_second)


@dataclass(frozen=True)
class _Sheet:
    """Whole journeys, some events of which are asked about.

    target, counted: (N, 5) bool, as in `Questions`. lot: (N,) uint64. row: (N,) int64 of `Paper.events`, -1 where
    inserted.
    """

    journeys: JourneyFeatures
    target: np.ndarray
    counted: np.ndarray
    lot: np.ndarray
    row: np.ndarray

    @property
    def asked(self) -> np.ndarray:
        return np.asarray(self.counted.any(axis=1))


def examine(champion: LstmModel, challenger: LstmModel, paper: Paper, replicates: int) -> Decision:
    """Ask both and decide; without an event in the window nothing can be told."""
    if not paper.in_window.any():
        return Decision(False, "there is no event that neither has learnt from: the model in service stays")
    plain = _as_it_is(paper)
    # What either finds is left out, or a model that finds what the other overlooks would be charged with it.
    suspects = np.array(paper.rule_labels.any(axis=1) | paper.judged.any(axis=1))
    for model in (champion, challenger):
        found = (expit(model.scores(plain.journeys)) >= paper.suspect_probability).any(axis=1)
        suspects[plain.row[found]] = True
    copies = int(np.clip(np.ceil(paper.questions / paper.in_window.sum()), 1, _MOST_COPIES))
    sheets = [_verdicts(plain, paper), *(_planted(paper, suspects, copy) for copy in range(copies))]
    return decide(
        _answers(champion, sheets),
        _answers(challenger, sheets),
        _questions(sheets),
        replicates,
        paper.seed,
        (_answers(champion, [plain]), _answers(challenger, [plain]), _questions([plain])),
    )


def _as_it_is(paper: Paper) -> _Sheet:
    """The window with nothing planted."""
    nothing = np.zeros((len(paper.events), len(LABELS)), dtype=bool)
    counted = np.repeat(paper.in_window[:, None], len(LABELS), axis=1)
    return _sheet(paper, paper.events, np.arange(len(paper.events)), nothing, counted)


def _verdicts(plain: _Sheet, paper: Paper) -> _Sheet:
    """The labels of the window that investigators judged."""
    judged = paper.judged[plain.row] & plain.counted
    return replace(plain, target=paper.holds[plain.row] & judged, counted=judged)


def _planted(paper: Paper, suspects: np.ndarray, copy: int) -> _Sheet:
    """The window with anomalies planted upon EPCs seen in it, but for those under suspicion."""
    events = paper.events
    seen = np.zeros(len(events.codes) + 1, dtype=bool)
    seen[events.epc[paper.in_window]] = True
    elsewhere = np.where(events.epc >= 0, ~seen[events.epc], ~paper.in_window)
    seed = (paper.seed, _EXAM, copy)
    planted = plant(events, suspects | elsewhere, paper.reference, paper.rules.v_max, paper.planting, seed)
    asked = (planted.weight > 0) & (planted.events.time >= paper.first_second)
    counted = np.repeat(asked[:, None], len(LABELS), axis=1)
    return _sheet(paper, planted.events, planted.source, planted.targets, counted)


def _sheet(paper: Paper, events: Events, row: np.ndarray, target: np.ndarray, counted: np.ndarray) -> _Sheet:
    """Lay events out by journey and keep the journeys that are asked about. row, target, counted: by row of them."""
    features = compute_features(events, paper.reference, paper.rules.companies, paper.rules.v_max)
    order, offsets = journey_order(events)
    every = JourneyFeatures(features.values[order], offsets)
    journeys, kept = every.select(every.with_any(counted[order].any(axis=1)))
    rows = order[kept]
    # A code that was made up is of the lot of the event that it was planted upon: they go together when lots are drawn.
    lot_of_event = _lots(paper.events)[np.maximum(row[rows], 0)]
    lot = np.where(row[rows] >= 0, lot_of_event, _lots(events)[rows])
    return _Sheet(journeys, target[rows], counted[rows], lot, row[rows])


def _lots(events: Events) -> np.ndarray:
    """The hash of each event's lot, (N,) uint64; 0 without an EPC."""
    return np.asarray(np.append(lot_hashes(events.codes), np.uint64(0))[events.epc])


def _answers(model: LstmModel, sheets: Sequence[_Sheet]) -> Answers:
    parts = [model.probabilities(sheet.journeys)[sheet.asked] for sheet in sheets]
    probability = np.concatenate(parts)
    return Answers(probability, model.calibration.alerts(probability))


def _questions(sheets: Sequence[_Sheet]) -> Questions:
    lot = np.concatenate([sheet.lot[sheet.asked] for sheet in sheets])
    return Questions(
        np.concatenate([sheet.target[sheet.asked] for sheet in sheets]),
        np.concatenate([sheet.counted[sheet.asked] for sheet in sheets]),
        np.unique(lot, return_inverse=True)[1],
    )
