"""The table of figures: every detector, label, stratum and reference, with 95 % intervals by bootstrap over lots.

What a row means is decided here; how a figure and its samples are computed is `resampling`'s, curves are `curves`'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from barcode_pipeline.evaluation.resampling import (
    FIGURES,
    MINIMUM_CALIBRATION_EVENTS,
    MINIMUM_POSITIVES,
    MINIMUM_VARIANT_POSITIVES,
    NEEDS_POSITIVES,
    Ranking,
    interval,
    label_figures,
    lot_weights,
)
from barcode_pipeline.events.formats import LABELS

Row = dict[str, Any]

HELD_OUT_LOTS = "held_out_lots"
KNOWN_LOTS = "known_lots"
HELD_OUT_LOTS_ALL_DATES = "held_out_lots_all_dates"

ROW_COLUMNS = (
    "model",
    "label",
    "stratum",
    "reference",
    "variants",
    "events",
    "positives",
    *(f"{figure}{end}" for figure in FIGURES for end in ("", "_low", "_high")),
    "note",
)
"""Keys of a row, in the order of the log's columns."""

_ANY = len(LABELS)


@dataclass(frozen=True)
class EvaluationEvents:
    """What was evaluated, one row per event.

    lot: (N,) int, code of the event's lot. strata: by name, (N,) bool. rules: (N, 5) bool, labels of the rules.
    truth: (N, 5) bool, injected anomalies, None on real data. visible: (N, 5) bool, where `truth` is set, whether
    rules are built to see that variant. aftermath: (N,) bool, mere consequences of an anomaly. judged, holds: (N, 5)
    bool, labels that investigators have judged, and those that they confirmed; None without verdicts.
    """

    lot: np.ndarray
    strata: dict[str, np.ndarray]
    rules: np.ndarray
    truth: np.ndarray | None = None
    visible: np.ndarray | None = None
    aftermath: np.ndarray | None = None
    judged: np.ndarray | None = None
    holds: np.ndarray | None = None

    def __post_init__(self) -> None:
        events = len(self.lot)
        _check_shape("rules", self.rules, (events, len(LABELS)))
        for name, mask in self.strata.items():
            _check_shape(f"stratum {name}", mask, (events,))
        if (self.judged is None) != (self.holds is None):
            raise ValueError("judged and holds stand beside each other")
        if self.judged is not None and self.holds is not None:
            _check_shape("judged", self.judged, (events, len(LABELS)))
            _check_shape("holds", self.holds, (events, len(LABELS)))
        if self.truth is None:
            return
        _check_shape("truth", self.truth, (events, len(LABELS)))
        if self.visible is None or self.aftermath is None:
            raise ValueError("truth needs visible and aftermath beside it")
        _check_shape("visible", self.visible, (events, len(LABELS)))
        _check_shape("aftermath", self.aftermath, (events,))


@dataclass(frozen=True)
class Detections:
    """What one detector said of the same events.

    probability: (N, 5) float in 0..1, a column of NaN where the detector does not speak for that label.
    alert: (N, 5) bool. Of a detector with one score for all, `any_probability` (N,) and `any_alert` (N,) are that
    score; otherwise any label is judged by the highest probability and by any alert.
    """

    model: str
    probability: np.ndarray
    alert: np.ndarray
    any_probability: np.ndarray | None = None
    any_alert: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_shape("alert", self.alert, self.probability.shape)
        missing = np.isnan(self.probability)
        if not np.array_equal(missing.any(axis=0), missing.all(axis=0)) and len(missing):
            raise ValueError(f"{self.model}: some probabilities of a label are NaN, others are not")

    def column(self, label: int, events: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Probability and alert of one label, or of any (5), for some events; None where it does not speak."""
        if label < _ANY:
            probability = self.probability[events, label]
            return None if np.isnan(probability).any() else (probability, self.alert[events, label])
        if self.any_probability is not None and self.any_alert is not None:
            return self.any_probability[events], self.any_alert[events]
        spoken = ~np.isnan(self.probability[:1]).any(axis=0)
        if not spoken.any():
            return None
        return self.probability[np.ix_(events, spoken)].max(axis=1), self.alert[np.ix_(events, spoken)].any(axis=1)


@dataclass(frozen=True)
class View:
    """One way to read the events of a stratum. positive, counted: (n, 6) bool, for the five labels and for any."""

    reference: str
    variants: str
    positive: np.ndarray
    counted: np.ndarray


def views(events: EvaluationEvents, chosen: np.ndarray) -> Iterator[View]:
    """The references and kinds of variants that these events (their positions) can be judged by.

    By verdicts, where at least one label has enough confirmed ones, only judged labels count: figures then are those of
    the events that were asked about, not of all. Against truth, aftermath counts neither as a hit nor as a false alert,
    so it is left out; of one kind of variants, events that are positive only by the other kind are left out too, all
    negatives stay.
    """
    rules = _with_any(events.rules[chosen])
    yield View("rules", "all", rules, np.ones_like(rules))
    if events.judged is not None and events.holds is not None:
        judged = events.judged[chosen]
        holds = _with_any(events.holds[chosen] & judged)
        if (np.count_nonzero(holds, axis=0) >= MINIMUM_POSITIVES).any():
            # Of any label an event is free only where all five have been judged.
            yield View("verdicts", "all", holds, np.column_stack([judged, judged.all(axis=1) | holds[:, -1]]))
    if events.truth is None or events.visible is None or events.aftermath is None:
        return
    truth, visible = events.truth[chosen], events.visible[chosen]
    anomalous = _with_any(truth)
    ordinary = ~events.aftermath[chosen][:, None] & ~anomalous
    kinds = {"all": truth, "rule_visible": truth & visible, "rule_invisible": truth & ~visible}
    for variants, kind in kinds.items():
        positive = _with_any(kind) & ~events.aftermath[chosen][:, None]
        yield View("truth", variants, positive, ordinary | positive)


SAMPLES = "pr_auc_samples"
"""Key of a macro row that keeps its PR-AUC on each sample of lots, the same lots for all detectors: their differences
have narrower intervals than the figures themselves."""


def evaluate(
    events: EvaluationEvents,
    detections: Sequence[Detections],
    replicates: int = 200,
    seed: int = 0,
    keep_samples: bool = False,
) -> list[Row]:
    """Rows of `ROW_COLUMNS` for every stratum, reference, kind of variants, detector and label (five, macro, any).

    A figure that cannot be computed is None and the row's note says why. A false alert of a label is its alert on an
    event without that label; of any, an event with any alert and no label. Macro is the mean over labels with at
    least 30 positives. All detectors see the same samples of lots; the same seed gives the same rows. keep_samples:
    macro rows have `SAMPLES` beside `ROW_COLUMNS`.
    """
    rows: list[Row] = []
    for stratum, mask in events.strata.items():
        chosen = np.flatnonzero(mask)
        known, lot = np.unique(events.lot[chosen], return_inverse=True)
        weights = lot_weights(max(len(known), 1), replicates, seed)
        if len(known) < 2:
            weights = weights[:1]
        stratum_views = list(views(events, chosen))
        for detector in detections:
            values = _detector_values(detector, chosen, lot, stratum_views, weights)
            for place, view in enumerate(stratum_views):
                head: Row = {
                    "model": detector.model,
                    "label": "",
                    "stratum": stratum,
                    "reference": view.reference,
                    "variants": view.variants,
                }
                made = _rows(head, view, values[place], len(known), keep_samples)
                if detector.model == view.reference:
                    for row in made:
                        row["note"] = "; ".join(filter(None, ["its own reference here", row["note"]]))
                rows.extend(made)
    return rows


EACH_VISIBLE, EACH_INVISIBLE = "each_rule_visible", "each_rule_invisible"
"""`variants` of the rows that are the mean over single variants."""


def evaluate_variants(
    events: EvaluationEvents,
    variant: np.ndarray,
    names: Sequence[str],
    detections: Sequence[Detections],
    stratum: str,
    replicates: int = 200,
    seed: int = 0,
) -> list[Row]:
    """Rows against truth of every variant by itself, then their mean (`EACH_VISIBLE`, `EACH_INVISIBLE`, label macro).

    variant: (N, 5) int into `names`, -1 where a label does not hold. A row's `label` is its variant's, `variants` the
    variant's name. Positives are the variant's events; whatever else bears truth, and aftermath, is left out; all
    other events are negatives, judged by that label alone. A variant with fewer than 10 positives has no figures
    that need them and no part in the mean.
    """
    if events.truth is None or events.visible is None or events.aftermath is None:
        return []
    chosen = np.flatnonzero(events.strata[stratum])
    known, lot = np.unique(events.lot[chosen], return_inverse=True)
    weights = lot_weights(max(len(known), 1), replicates if len(known) > 1 else 0, seed)
    aftermath = events.aftermath[chosen]
    ordinary = ~aftermath & ~events.truth[chosen].any(axis=1)
    rows: list[Row] = []
    for detector in detections:
        made: dict[str, list[tuple[Row, np.ndarray | None]]] = {EACH_VISIBLE: [], EACH_INVISIBLE: []}
        head: Row = {"model": detector.model, "label": "macro", "stratum": stratum, "reference": "truth"}
        for label in range(_ANY):
            column = detector.column(label, chosen)
            ranking = None if column is None else Ranking(column[0], lot, weights.shape[1])
            of_label = variant[chosen, label]
            for code in np.unique(of_label[of_label >= 0]):
                positive = (of_label == code) & ~aftermath
                counted, positives = ordinary | positive, int(positive.sum())
                values = None
                if column is not None and ranking is not None:
                    values = label_figures(
                        ranking, column[1], positive, counted, lot, weights, MINIMUM_VARIANT_POSITIVES
                    )
                notes = _notes(values, positives, len(known), MINIMUM_VARIANT_POSITIVES)
                own = {**head, "label": LABELS[label], "variants": names[code]}
                kind = EACH_VISIBLE if events.visible[chosen[of_label == code], label].all() else EACH_INVISIBLE
                made[kind].append((_row(own, int(counted.sum()), positives, values, notes), values))
        for kind, single in made.items():
            rows.extend(row for row, _ in single)
            rows.append(_mean_of_variants({**head, "variants": kind}, single))
    return rows


def _mean_of_variants(head: Row, single: list[tuple[Row, np.ndarray | None]]) -> Row:
    few = [row["variants"] for row, _ in single if row["positives"] < MINIMUM_VARIANT_POSITIVES]
    silent = [row["variants"] for row, values in single if values is None]
    values = [found for row, found in single if found is not None and row["positives"] >= MINIMUM_VARIANT_POSITIVES]
    notes = [f"over {len(values)} of {len(single)} variants"] if len(values) < len(single) else []
    if few:
        notes.append(f"fewer than {MINIMUM_VARIANT_POSITIVES} positives: {', '.join(few)}")
    if silent:
        notes.append(f"the detector does not speak for {', '.join(silent)}")
    events = max((row["events"] for row, _ in single), default=0)
    return _row(head, events, sum(row["positives"] for row, _ in single), _mean(values), notes)


def _detector_values(
    detector: Detections, chosen: np.ndarray, lot: np.ndarray, stratum_views: list[View], weights: np.ndarray
) -> list[list[np.ndarray | None]]:
    """For each view, for each label and any, the (7, R) values; None where the detector does not speak."""
    values: list[list[np.ndarray | None]] = [[] for _ in stratum_views]
    for label in range(_ANY + 1):
        column = detector.column(label, chosen)
        ranking = None if column is None else Ranking(column[0], lot, weights.shape[1])
        for place, view in enumerate(stratum_views):
            if column is None or ranking is None:
                values[place].append(None)
                continue
            positive, counted = view.positive[:, label], view.counted[:, label]
            values[place].append(label_figures(ranking, column[1], positive, counted, lot, weights))
    return values


def _rows(head: Row, view: View, values: list[np.ndarray | None], lots: int, keep_samples: bool) -> list[Row]:
    positives = np.count_nonzero(view.positive & view.counted, axis=0)
    counted = np.count_nonzero(view.counted, axis=0)
    rows = [
        _row(
            {**head, "label": (*LABELS, "any")[label]},
            int(counted[label]),
            int(positives[label]),
            values[label],
            _notes(values[label], int(positives[label]), lots, MINIMUM_POSITIVES),
        )
        for label in range(_ANY + 1)
    ]
    in_macro = [label for label in range(_ANY) if values[label] is not None and positives[label] >= MINIMUM_POSITIVES]
    macro = _mean([found for label in in_macro if (found := values[label]) is not None])
    notes = _macro_notes(values, positives, in_macro, lots)
    macro_events = int(counted[in_macro].max()) if in_macro else int(counted[:_ANY].max(initial=0))
    row = _row({**head, "label": "macro"}, macro_events, int(positives[in_macro].sum()), macro, notes)
    if keep_samples and macro is not None:
        row[SAMPLES] = macro[FIGURES.index("pr_auc"), 1:].tolist()
    return [*rows[:_ANY], row, rows[_ANY]]


def _row(head: Row, events: int, positives: int, values: np.ndarray | None, notes: list[str]) -> Row:
    row = dict.fromkeys(ROW_COLUMNS)
    row.update(head, events=events, positives=positives, note="; ".join(notes) or None)
    for place, figure in enumerate(FIGURES):
        if values is None or np.isnan(values[place, 0]):
            continue
        row[figure] = float(values[place, 0])
        bounds = interval(values[place]) if values.shape[1] > 1 else None
        if bounds is not None:
            row[f"{figure}_low"], row[f"{figure}_high"] = bounds
    return row


def _notes(values: np.ndarray | None, positives: int, lots: int, fewest: int) -> list[str]:
    if values is None:
        return ["the detector does not speak for this label"]
    notes = []
    if positives < fewest:
        notes.append(f"{positives} positives, fewer than {fewest}: no {', '.join(NEEDS_POSITIVES[:-1])} or pr_auc")
    elif np.isnan(values[FIGURES.index("precision"), 0]):
        notes.append("no alert, so no precision")
    if np.isnan(values[FIGURES.index("calibration_error"), 0]):
        notes.append(
            f"fewer than {MINIMUM_CALIBRATION_EVENTS} events of probability 0.05 or more, so no calibration_error"
        )
    if lots < 2:
        notes.append("fewer than two lots, so no intervals")
    return notes


def _macro_notes(values: list[np.ndarray | None], positives: np.ndarray, in_macro: list[int], lots: int) -> list[str]:
    silent = [LABELS[label] for label in range(_ANY) if values[label] is None]
    few = [LABELS[label] for label in range(_ANY) if values[label] is not None and positives[label] < MINIMUM_POSITIVES]
    notes = [f"over {len(in_macro)} of {_ANY} labels"] if len(in_macro) < _ANY else []
    if few:
        notes.append(f"fewer than {MINIMUM_POSITIVES} positives: {', '.join(few)}")
    if silent:
        notes.append(f"the detector does not speak for {', '.join(silent)}")
    for figure in ("precision", "calibration_error"):
        place = FIGURES.index(figure)
        without = [
            LABELS[label] for label in in_macro if (found := values[label]) is not None and np.isnan(found[place, 0])
        ]
        if without:
            notes.append(f"{figure} without {', '.join(without)}")
    if lots < 2:
        notes.append("fewer than two lots, so no intervals")
    return notes


def _mean(values: list[np.ndarray]) -> np.ndarray | None:
    """Mean over labels of each figure, over the labels that have it; a sample in which one lacks it has none."""
    if not values:
        return None
    stacked = np.stack(values)
    has = ~np.isnan(stacked[:, :, :1])
    count = has.sum(axis=0)
    total = np.where(has, stacked, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _with_any(labels: np.ndarray) -> np.ndarray:
    """(n, 6): the five labels, then whether any of them."""
    labels = np.asarray(labels, dtype=bool)
    return np.concatenate([labels, labels.any(axis=1, keepdims=True)], axis=1)


def _check_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, not {shape}")
