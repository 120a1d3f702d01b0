"""Figures of single variants against scikit-learn, and who counts as a negative."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from barcode_pipeline.evaluation.metrics import (
    EACH_INVISIBLE,
    EACH_VISIBLE,
    Detections,
    EvaluationEvents,
    Row,
    evaluate_variants,
)
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline_tests.evaluation.fakes import made_up_detector, made_up_events

NAMES = tuple(f"{kind} {label}" for label in LABELS for kind in ("seen", "unseen"))
STRATUM = "held_out_lots"


def variants_of(events: EvaluationEvents) -> np.ndarray:
    """Two variants a label: the one that rules see, and the other."""
    assert events.truth is not None and events.visible is not None
    code = 2 * np.arange(len(LABELS)) + ~events.visible
    return np.where(events.truth, code, -1).astype(np.int16)


def rows_of(events: EvaluationEvents, said: Detections) -> dict[str, Row]:
    rows = evaluate_variants(events, variants_of(events), NAMES, [said], STRATUM, 20, 0)
    assert len({row["variants"] for row in rows}) == len(rows)
    return {row["variants"]: row for row in rows}


def test_each_variant_against_what_is_neither_truth_nor_aftermath() -> None:
    events = made_up_events()
    said = made_up_detector(events, "lstm", 3.0)
    rows = rows_of(events, said)
    assert events.truth is not None and events.visible is not None and events.aftermath is not None
    chosen = events.strata[STRATUM]
    ordinary = chosen & ~events.truth.any(axis=1) & ~events.aftermath
    for place, label in enumerate(LABELS):
        for kind, positive in (("seen", events.visible), ("unseen", events.truth & ~events.visible)):
            row = rows[f"{kind} {label}"]
            hits = chosen & positive[:, place] & ~events.aftermath
            assert (row["label"], row["reference"], row["stratum"]) == (label, "truth", STRATUM)
            assert (row["positives"], row["events"]) == (hits.sum(), hits.sum() + ordinary.sum())
            counted = hits | ordinary
            expected = average_precision_score(hits[counted], said.probability[counted, place])
            assert row["pr_auc"] == pytest.approx(expected)
            assert row["pr_auc_low"] <= row["pr_auc"] <= row["pr_auc_high"]
            assert row["recall"] == pytest.approx(said.alert[hits, place].mean())


def test_the_mean_is_over_variants_with_ten_positives() -> None:
    events = made_up_events()
    assert events.truth is not None
    truth = events.truth.copy()
    rare = np.flatnonzero(truth[:, 0] & events.strata[STRATUM])[9:]
    truth[rare, 0] = False
    made = EvaluationEvents(events.lot, events.strata, events.rules, truth, np.zeros_like(truth), events.aftermath)
    said = made_up_detector(made, "lstm", 3.0)
    rows = rows_of(made, said)
    assert rows["unseen epcFake"]["pr_auc"] is None and "fewer than 10" in rows["unseen epcFake"]["note"]
    others = [rows[f"unseen {label}"] for label in LABELS[1:]]
    assert rows[EACH_INVISIBLE]["pr_auc"] == pytest.approx(np.mean([row["pr_auc"] for row in others]))
    assert rows[EACH_INVISIBLE]["label"] == "macro"
    assert "over 4 of 5 variants" in rows[EACH_INVISIBLE]["note"]
    assert rows[EACH_VISIBLE]["pr_auc"] is None


def test_a_silent_detector_has_no_figures_and_without_truth_there_are_no_rows() -> None:
    events = made_up_events()
    rows = rows_of(events, made_up_detector(events, "quiet", 3.0, silent=(2,)))
    assert rows["unseen locErr"]["pr_auc"] is None and "does not speak" in rows["unseen locErr"]["note"]
    without = made_up_events(with_truth=False)
    assert evaluate_variants(without, np.zeros((len(without.lot), 5)), NAMES, [], STRATUM) == []
