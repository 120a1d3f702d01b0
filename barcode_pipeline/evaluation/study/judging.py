"""One arm in one world: what it says of the evaluated events, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit

from barcode_pipeline.evaluation.metrics import (
    HELD_OUT_LOTS_ALL_DATES,
    SAMPLES,
    Detections,
    EvaluationEvents,
    Row,
    evaluate,
    evaluate_variants,
)
from barcode_pipeline.evaluation.resampling import MINIMUM_POSITIVES
from barcode_pipeline.evaluation.study.arms import Arm, Decide
from barcode_pipeline.evaluation.study.fitting import Fitted
from barcode_pipeline.evaluation.study.worlds import OpenWorld
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.calibration import Calibration

FALSE_ALERTS = (1.0, 3.0, 10.0)
"""False alerts per 10,000 scans at which recall is told as well: columns `recall_at_1_false_alerts` …"""
INTERVALS = ("pr_auc", "recall", "f1", "false_alerts_per_10k")
"""Figures whose bootstrap intervals are kept."""
_BOUND = 1e-7


@dataclass(frozen=True)
class Detail:
    """Which rows are kept. strata: whether other strata than held-out lots of all dates have their macro and any.
    labels: whether every label has rows, else macro and any alone. visible: whether variants that rules see have rows
    of their own (the others always have), and PR-AUC over all variants keeps its samples (`SAMPLES`), to compare arms
    by. replicates: of the bootstrap."""

    strata: bool = False
    labels: bool = False
    visible: bool = False
    replicates: int = 200


@dataclass(frozen=True)
class Said:
    """probability: (n, 5). threshold: (n, 5) or (5,), from where on it is an alert. alert: (n, 5) bool."""

    probability: np.ndarray
    threshold: np.ndarray
    alert: np.ndarray


def judge(arm: Arm, fitted: Sequence[Fitted], world: OpenWorld, detail: Detail) -> list[Row]:
    """Rows of one arm in a world, in the form of `metrics` and with recall at fixed false alerts."""
    strata = world.strata if detail.strata else {HELD_OUT_LOTS_ALL_DATES: world.strata[HELD_OUT_LOTS_ALL_DATES]}
    evaluated = np.flatnonzero(np.logical_or.reduce(list(strata.values())))
    said = says(arm, fitted, world, evaluated)
    detections = [Detections(arm.row_model, said.probability, said.alert)]
    events = _evaluation_events(world, strata, evaluated)
    all_rows = evaluate(events, detections, detail.replicates, world.seed, detail.visible)
    rows = [row for row in all_rows if _kept(row, detail)]
    if world.truth is not None:
        variant = world.truth.variant[evaluated]
        made = evaluate_variants(
            events, variant, world.truth.variants, detections, HELD_OUT_LOTS_ALL_DATES, detail.replicates, world.seed
        )
        visible = {name for name in world.truth.variants if _is_visible(world, name)}
        rows += [row for row in made if detail.visible or row["variants"] not in visible]
        recalls = recall_at_false_alerts(events, said)
        for row in rows:
            if row["label"] == "macro" and row["variants"] == "rule_visible":
                row.update(recalls)
    return [compact(row) for row in rows]


def says(arm: Arm, fitted: Sequence[Fitted], world: OpenWorld, evaluated: np.ndarray) -> Said:
    """What the arm says of some events (rows of the training set)."""
    rules = np.asarray(world.training_set.rule_labels)[evaluated]
    of_rules = _said_by_rules(world, evaluated, rules)
    if not fitted:
        return of_rules
    journeys = world.material.journeys
    wanted = np.zeros(len(journeys), dtype=bool)
    wanted[evaluated] = True
    some, rows = journeys.select(journeys.with_any(wanted))
    keep = wanted[rows]
    calibrations = [calibration_of(one, arm.decide) for one in fitted]
    each = [one.probabilities(some, calibration)[keep] for one, calibration in zip(fitted, calibrations, strict=True)]
    if len(fitted) == 1:
        probability, threshold = each[0], calibrations[0].threshold.astype(np.float32)
    else:
        probability = expit(np.mean([_log_odds(one) for one in each], axis=0)).astype(np.float32)
        threshold = expit(np.mean([_log_odds(one.threshold) for one in calibrations], axis=0)).astype(np.float32)
    said = Said(probability, np.broadcast_to(threshold, probability.shape), probability >= threshold)
    if arm.decide.rules_beside:
        sees = rules & (of_rules.probability > said.probability)
        said = _where(sees, of_rules, replace(said, alert=said.alert | rules))
    if arm.decide.rules_first:
        early = some.position()[keep] < arm.decide.rules_first
        said = _where(np.repeat(early[:, None], len(LABELS), axis=1), of_rules, said)
    return said


def calibration_of(fitted: Fitted, decide: Decide) -> Calibration:
    """Slopes, offsets and thresholds from the validation events of the lesson; never from truth."""
    found = fitted.calibration().at_budget(decide.budget)
    if decide.calibrated:
        return found
    # The order of events is the same, so the thresholds are those of the same alerts.
    scores = found.scores_at(found.threshold)
    return replace(found, slope=np.ones(len(LABELS)), offset=np.zeros(len(LABELS)), threshold=expit(scores))


def recall_at_false_alerts(events: EvaluationEvents, said: Said) -> dict[str, float | None]:
    """Macro recall of what rules are built to see, all thresholds moved together until false alerts come to a number.

    To compare detectors, and worlds, at the same false alerts: the move is chosen with the truth, so it is no figure
    of a detector in service. None without a label of 30 such events.
    """
    names = {count: f"recall_at_{count:g}_false_alerts" for count in FALSE_ALERTS}
    nothing: dict[str, float | None] = dict.fromkeys(names.values())
    if events.truth is None or events.visible is None or events.aftermath is None:
        return nothing
    chosen = events.strata[HELD_OUT_LOTS_ALL_DATES] & ~events.aftermath
    margin = _log_odds(said.probability) - _log_odds(said.threshold)
    visible = (events.truth & events.visible)[chosen]
    ordinary = chosen & ~events.truth.any(axis=1)
    labels = [label for label in range(len(LABELS)) if visible[:, label].sum() >= MINIMUM_POSITIVES]
    if not labels or not ordinary.any():
        return nothing
    highest = np.sort(margin[ordinary].max(axis=1))[::-1]
    of_visible = [margin[chosen, label][visible[:, label]] for label in labels]
    found = nothing
    for count, name in names.items():
        allowed = int(count * chosen.sum() // 10_000)
        above = highest[min(allowed, len(highest) - 1)]  # so many ordinary events at most lie higher
        found[name] = float(np.mean([np.mean(of_label > above) for of_label in of_visible]))
    return found


def compact(row: Row) -> Row:
    """A row as the study keeps it, small enough for git: four digits, no empty note, and the intervals that are read:
    of recall, F1, PR-AUC and false alerts of summaries over held-out lots of all dates, of PR-AUC elsewhere there."""
    with_interval: tuple[str, ...] = INTERVALS if row["label"] in ("macro", "any") else INTERVALS[:1]
    if row["stratum"] != HELD_OUT_LOTS_ALL_DATES:
        with_interval = ()
    kept: dict[str, Any] = {}
    for name, value in row.items():
        end = next((end for end in ("_low", "_high") if name.endswith(end)), "")
        if end and (value is None or name.removesuffix(end) not in with_interval):
            continue
        if name == "note" and value is None:
            continue
        if name == SAMPLES:
            if is_headline(row):
                kept[name] = [round(one, 4) for one in value]
            continue
        kept[name] = round(value, 4) if isinstance(value, float) else value
    return kept


def is_headline(row: Row) -> bool:
    """Whether the row holds PR-AUC over all variants against truth, over held-out lots of all dates."""
    keys = ("label", "variants", "reference", "stratum")
    return tuple(row[key] for key in keys) == ("macro", "all", "truth", HELD_OUT_LOTS_ALL_DATES)


def _kept(row: Row, detail: Detail) -> bool:
    summary = row["label"] in ("macro", "any")
    if row["stratum"] != HELD_OUT_LOTS_ALL_DATES:
        return summary and row["variants"] == "all"
    if row["reference"] == "rules" or row["variants"] == "rule_invisible":
        return summary
    return summary or detail.labels


def _said_by_rules(world: OpenWorld, evaluated: np.ndarray, rules: np.ndarray) -> Said:
    scores = world.rule_scores[evaluated]
    thresholds = np.array(world.workspace.configuration.rules.settings().thresholds) / 100
    return Said(scores.astype(np.float32) / 100, np.broadcast_to(thresholds, scores.shape), rules)


def _where(some: np.ndarray, first: Said, other: Said) -> Said:
    """(n, 5): `first` where it holds, `other` elsewhere."""
    return Said(
        np.where(some, first.probability, other.probability),
        np.where(some, first.threshold, other.threshold),
        np.where(some, first.alert, other.alert),
    )


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return logit(np.clip(np.asarray(probability, dtype=np.float64), _BOUND, 1 - _BOUND))


def _evaluation_events(world: OpenWorld, strata: dict[str, np.ndarray], evaluated: np.ndarray) -> EvaluationEvents:
    lot = np.unique(np.asarray(world.training_set.lot)[evaluated], return_inverse=True)[1]
    chosen = {name: mask[evaluated] for name, mask in strata.items()}
    rules = np.asarray(world.training_set.rule_labels)[evaluated]
    if world.truth is None:
        return EvaluationEvents(lot, chosen, rules)
    truth = world.truth
    return EvaluationEvents(
        lot, chosen, rules, truth.truth[evaluated], truth.visible[evaluated], truth.aftermath[evaluated]
    )


def _is_visible(world: OpenWorld, variant: str) -> bool:
    truth = world.truth
    assert truth is not None
    return bool(truth.visible[truth.variant == truth.variants.index(variant)].any())
