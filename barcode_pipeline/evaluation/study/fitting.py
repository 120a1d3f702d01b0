"""From a `Fit` and a world to a detector that has learnt, kept in a folder so that a killed study goes on from there.

Peers, and LSTMs of other shapes, are given the same lesson: its suspects come from the teaching's own searches.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from barcode_pipeline.corruption import learn_corruptions, with_second_opinion
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.study.arms import Fit, Lstm, Peer, Teaching, fingerprint
from barcode_pipeline.evaluation.study.asking import verdicts_asked_for
from barcode_pipeline.evaluation.study.worlds import OpenWorld
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.baselines.baseline import Baseline
from barcode_pipeline.models.baselines.registry import BASELINES
from barcode_pipeline.models.baselines.search import search
from barcode_pipeline.models.calibration import Calibration, calibrate
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import LstmModel, load_lstm, save_lstm, train_lstm
from barcode_pipeline.models.network import Architecture
from barcode_pipeline.sequences.features import FEATURE_NAMES, FEATURE_VERSION
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.shipments import SHIPMENT_FEATURES
from barcode_pipeline.sequences.split import TRAIN, VALIDATION
from barcode_pipeline.teachers.planting.families import FAMILY_NAMES
from barcode_pipeline.teachers.registry import teachers_named
from barcode_pipeline.teachers.teacher import Lesson, Material, Teacher, teach
from barcode_pipeline.teachers.verdicts import Judged, Verdicts

Say = Callable[[str], None]

FITTING_VERSION = 6
"""Raised when a change of code changes what the same fit comes to: models kept by an older one are not used."""

_SHIPMENT_COLUMNS = np.array([FEATURE_NAMES.index(words[0]) for words in SHIPMENT_FEATURES])


Scorer = Callable[[JourneyFeatures], np.ndarray]
"""Five numbers per event, (N, 5), higher where it is more suspicious."""
Heard = Callable[[JourneyFeatures, Calibration], np.ndarray]
"""Probabilities per event, (N, 5) float32."""
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""scores, targets, weights and real of a `Fitted`."""


@dataclass(frozen=True)
class Fitted:
    """A detector that has learnt. scores, targets, weights: of the validation events of its lesson, (V, 5), (V, 5)
    and (V,), for calibration and thresholds. real: (M, 5), scores of the real events of validation lots, none of
    them where nothing is planted. seconds: of learning. facts: for the write-up. heard: probabilities
    with the second opinion beside it, None where there is none. log_odds: whether scores are log-odds."""

    score: Scorer
    scores: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    real: np.ndarray
    seconds: float
    facts: dict[str, Any]
    heard: Heard | None = None
    log_odds: bool = False

    def calibration(self) -> Calibration:
        """By what validation and real events say; never by truth."""
        real = self.real if len(self.real) else None
        return calibrate(self.scores, self.targets, self.weights, real, self.log_odds)

    def probabilities(self, journeys: JourneyFeatures, calibration: Calibration) -> np.ndarray:
        """(N, 5) float32, as the model in service has them."""
        if self.heard is not None:
            return self.heard(journeys, calibration)
        return calibration.probabilities(self.score(journeys))


def fit_fingerprint(fit: Fit, world: str, seed: int) -> str:
    """What decides a fitted detector. world: fingerprint of the world that it learns in."""
    defaults = peer_parameters(fit.detector) if isinstance(fit.detector, Peer) else {}
    families = FAMILY_NAMES if "planted" in fit.teaching.teachers else ()
    return fingerprint(FITTING_VERSION, FEATURE_VERSION, fit, defaults, families, world, seed)


def peer_parameters(peer: Peer) -> dict[str, Any]:
    """All parameters of a peer but the seed, its defaults and the arm's own; and its grid where it is searched."""
    kind = _peer_class(peer.name)
    made = kind(**dict(peer.settings))
    parameters = {item.name: getattr(made, item.name) for item in fields(made) if item.init and item.name != "seed"}
    return {**parameters, "grid": [dict(one) for one in kind.grid]} if peer.searched else parameters


@dataclass
class Fitter:
    """Fits in one world. folder: where detectors are kept. The last lesson is held: arms that share it come in turn."""

    world: OpenWorld
    world_fingerprint: str
    folder: Path
    compute: Compute
    say: Say = print

    def __post_init__(self) -> None:
        self._lesson: tuple[str, Lesson] | None = None

    def fitted(self, fit: Fit) -> Fitted:
        """The detector, learnt now or earlier."""
        place = self.folder / fit_fingerprint(fit, self.world_fingerprint, self.world.seed)
        if (kept := self._kept(fit, place)) is not None:
            return kept
        lesson, facts = self._lesson_of(fit)
        lesson = replace(lesson, journeys=_seen(fit, lesson.journeys))
        started = time.perf_counter()
        detector, more = self._learn(fit, lesson, place)
        seconds, facts = time.perf_counter() - started, {**facts, **more}
        validated, rows = lesson.journeys.select(lesson.journeys.with_any(lesson.validation > 0))
        chosen = lesson.validation[rows] > 0
        scores = _scorer(detector)(validated)[chosen]
        real = np.zeros((0, len(LABELS)), dtype=np.float32)
        if "planted" in fit.teaching.teachers:
            journeys, of_use = self.world.material.real_validation()
            real = _scorer(detector)(_seen(fit, journeys))[of_use]
        arrays = scores, lesson.targets[rows][chosen], lesson.validation[rows][chosen], real
        return self._keep(fit, place, detector, arrays, seconds, facts)

    def _learn(self, fit: Fit, lesson: Lesson, place: Path) -> tuple[LstmModel | Baseline, dict[str, Any]]:
        """The detector, and facts about how it was learnt."""
        spec, seed = fit.detector, self.world.seed
        if isinstance(spec, Lstm):
            self.say(f"learning {spec.layers} × {spec.width}, L = {spec.longest}")
            shape = Architecture(len(FEATURE_NAMES), spec.layers, spec.width, spec.dropout, spec.longest)
            settings = replace(spec.training, seed=seed)
            model = train_lstm(
                lesson.journeys,
                lesson.targets,
                lesson.train,
                lesson.validation,
                shape,
                settings,
                self.compute,
                {},
                place.with_suffix(".checkpoint.pt"),
                self.say,
            )
            if "planted" in fit.teaching.teachers and fit.teaching.corruption_epochs:
                epochs, material = fit.teaching.corruption_epochs, self._material(fit)
                learnt = learn_corruptions(material, shape, settings, epochs, self.compute, self.say)
                journeys, of_use = material.real_validation()
                model = with_second_opinion(model, *learnt, _seen(fit, journeys), of_use)
            return model, {"epochs": len(model.about["history"])}
        self.say(f"learning {spec.name}")
        kind = _peer_class(spec.name)
        make: Callable[..., Any] = partial(kind, seed=seed)
        if not spec.searched:
            return make(**dict(spec.settings)).fit(lesson.journeys, lesson.targets, lesson.train), {}
        found = search(make, kind.grid, lesson, seed=seed)
        return found.detector, {"search": found.record()}

    # --- what is learnt from -----------------------------------------------------------------------------------

    def _lesson_of(self, fit: Fit) -> tuple[Lesson, dict[str, Any]]:
        if fit.asked is None:
            return self._taught(fit), {}
        base = replace(fit, asked=None)
        found = self.fitted(base)
        judged, facts = verdicts_asked_for(self.world, found.probabilities, found.calibration(), fit.asked)
        verdicts = Verdicts(judged) if fit.asked.weight is None else Verdicts(judged, weight=fit.asked.weight)
        material = self._material(fit)
        known = judged.confirmed() if material.suspects is None else material.suspects | judged.confirmed()
        return teach((*self._teachers(fit.teaching), verdicts), material.with_suspects(known)), facts

    def _taught(self, fit: Fit) -> Lesson:
        key = fingerprint(fit.teaching, fit.without_shipment)
        if self._lesson is None or self._lesson[0] != key:
            self._lesson = None
            material = self._material(fit)
            self._lesson = key, teach(self._teachers(fit.teaching), material)
        return self._lesson[1]

    def _teachers(self, teaching: Teaching) -> tuple[Teacher, ...]:
        return teachers_named(teaching.teachers, _no_verdicts)

    def _material(self, fit: Fit) -> Material:
        """With the suspects of the passes before the last one."""
        teaching, own = fit.teaching, self.world.material
        material = replace(own, planting=teaching.planting, read_events=lambda: own.events)
        if teaching.passes <= 1 or "planted" not in teaching.teachers:
            return material
        first = self.fitted(Fit(teaching.searcher, teaching.searching(), fit.without_shipment))
        part = np.asarray(self.world.training_set.part)
        taught = (part == TRAIN) | (part == VALIDATION)
        journeys, rows = material.journeys.select(material.journeys.with_any(taught))
        suspects = np.zeros(len(part), dtype=bool)
        suspects[rows] = (expit(first.score(journeys)) >= teaching.suspect_probability).any(axis=1)
        return material.with_suspects(suspects & taught)

    # --- on disk -----------------------------------------------------------------------------------------------

    def _keep(
        self,
        fit: Fit,
        place: Path,
        detector: LstmModel | Baseline,
        arrays: Arrays,
        seconds: float,
        facts: dict[str, Any],
    ) -> Fitted:
        beside = place.with_suffix(".part")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        if isinstance(detector, LstmModel):
            save_lstm(detector, beside / "lstm.pt")
        else:
            detector.save(beside)
        scores, targets, weights, real = arrays
        np.savez(beside / "validation.npz", scores=scores, targets=targets, weights=weights, real=real)
        (beside / "about.json").write_text(json.dumps({"seconds": seconds, "facts": facts}) + "\n")
        shutil.rmtree(place, ignore_errors=True)
        beside.rename(place)
        return _fitted(fit, detector, arrays, seconds, facts)

    def _kept(self, fit: Fit, place: Path) -> Fitted | None:
        if not (place / "about.json").exists():
            return None
        try:
            about = json.loads((place / "about.json").read_text())
            with np.load(place / "validation.npz", allow_pickle=False) as arrays:
                scores, targets, weights, real = (arrays[name] for name in ("scores", "targets", "weights", "real"))
            detector: LstmModel | Baseline
            if isinstance(fit.detector, Lstm):
                detector = load_lstm(place / "lstm.pt", self.compute)
            else:
                detector = _peer_class(fit.detector.name).load(place)
        except (UserError, ValueError, KeyError, OSError):
            return None  # it is learnt again
        return _fitted(fit, detector, (scores, targets, weights, real), about["seconds"], about["facts"])


def _fitted(fit: Fit, detector: LstmModel | Baseline, arrays: Arrays, seconds: float, facts: dict[str, Any]) -> Fitted:
    scorer, heard = _seeing(fit, _scorer(detector)), _heard(fit, detector)
    return Fitted(scorer, *arrays, seconds, facts, heard, log_odds=isinstance(detector, LstmModel))


def _scorer(detector: LstmModel | Baseline) -> Scorer:
    return detector.scores if isinstance(detector, LstmModel) else detector.score


def _heard(fit: Fit, detector: LstmModel | Baseline) -> Heard | None:
    if not isinstance(detector, LstmModel) or detector.second is None:
        return None
    return lambda journeys, calibration: replace(detector, calibration=calibration).probabilities(_seen(fit, journeys))


def _seeing(fit: Fit, score: Scorer) -> Scorer:
    """The scorer, given the features that the fit may see."""
    return lambda journeys: score(_seen(fit, journeys))


def _seen(fit: Fit, journeys: JourneyFeatures) -> JourneyFeatures:
    if not fit.without_shipment:
        return journeys
    values = np.array(journeys.values)
    values[:, _SHIPMENT_COLUMNS] = 0
    return JourneyFeatures(values, journeys.offsets)


def _peer_class(name: str) -> type[Baseline]:
    for made in BASELINES:
        if made.name == name:
            return made
    raise UserError(f"There is no peer {name!r}; it is one of: {', '.join(made.name for made in BASELINES)}.")


def _no_verdicts() -> Judged:
    raise ValueError("Verdicts of the study are asked for by the arm (`Asked`), not read.")
