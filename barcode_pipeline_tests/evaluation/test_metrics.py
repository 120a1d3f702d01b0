"""The table of figures against scikit-learn, by example and by property."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, confusion_matrix, f1_score

from barcode_pipeline.evaluation.headline import find_row
from barcode_pipeline.evaluation.metrics import ROW_COLUMNS, SAMPLES, Detections, EvaluationEvents, Row, evaluate
from barcode_pipeline.evaluation.resampling import FIGURES, NEEDS_POSITIVES
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline_tests.evaluation.fakes import made_up_detector, made_up_events, rules_as_detector


def _row(rows: list[Row], *keys: str) -> Row:
    row = find_row(rows, *keys)
    assert row is not None, keys
    return row


def test_every_combination_has_its_row() -> None:
    events = made_up_events()
    rows = evaluate(events, [rules_as_detector(events), made_up_detector(events, "lstm", 5.0)], 20, 0)
    assert len(rows) == 3 * (1 + 3) * 2 * 7
    assert all(tuple(row) == ROW_COLUMNS for row in rows)
    keys = {(row["model"], row["label"], row["stratum"], row["reference"], row["variants"]) for row in rows}
    assert len(keys) == len(rows)
    without = evaluate(made_up_events(with_truth=False), [made_up_detector(events, "lstm", 5.0)], 20, 0)
    assert {(row["reference"], row["variants"]) for row in without} == {("rules", "all")}


@pytest.mark.parametrize("decimals", [2, 12])
def test_points_agree_with_scikit_learn(decimals: int) -> None:
    """With two decimals most scores are tied."""
    events = made_up_events()
    said = made_up_detector(events, "lstm", 3.0)
    said = Detections("lstm", said.probability.round(decimals), said.alert)
    rows = evaluate(events, [said], 20, 0)
    chosen = events.strata["held_out_lots"]
    for place, label in enumerate(LABELS):
        row = _row(rows, "lstm", label, "held_out_lots", "rules")
        positive, alert = events.rules[chosen, place], said.alert[chosen, place]
        quiet, false, missed, hit = confusion_matrix(positive, alert).ravel()
        assert row["events"] == chosen.sum()
        assert row["positives"] == hit + missed
        assert row["recall"] == pytest.approx(hit / (hit + missed))
        assert row["precision"] == pytest.approx(hit / (hit + false))
        assert row["specificity"] == pytest.approx(quiet / (quiet + false))
        assert row["false_alerts_per_10k"] == pytest.approx(10_000 * false / chosen.sum())
        assert row["f1"] == pytest.approx(f1_score(positive, alert))
        assert row["pr_auc"] == pytest.approx(average_precision_score(positive, said.probability[chosen, place]))
    anything = _row(rows, "lstm", "any", "held_out_lots", "rules")
    highest = said.probability[chosen].max(axis=1)
    assert anything["pr_auc"] == pytest.approx(average_precision_score(events.rules[chosen].any(axis=1), highest))
    macro = _row(rows, "lstm", "macro", "held_out_lots", "rules")
    labels = [_row(rows, "lstm", label, "held_out_lots", "rules") for label in LABELS]
    for figure in FIGURES:
        assert macro[figure] == pytest.approx(np.mean([row[figure] for row in labels]))
    assert macro["note"] is None


def test_aftermath_is_neither_hit_nor_false_alert() -> None:
    events = made_up_events()
    said = made_up_detector(events, "lstm", 4.0)
    assert events.aftermath is not None and events.truth is not None
    loud = said.alert | events.aftermath[:, None]
    rows = evaluate(events, [said, Detections("loud", said.probability, loud)], 20, 0)
    chosen = events.strata["known_lots"] & ~events.aftermath
    for label in (*LABELS, "macro", "any"):
        quiet, noisy = (_row(rows, model, label, "known_lots", "truth") for model in ("lstm", "loud"))
        assert {**quiet, "model": ""} == {**noisy, "model": ""}
        assert quiet["events"] == chosen.sum()
        against_rules = [_row(rows, model, label, "known_lots", "rules") for model in ("lstm", "loud")]
        assert against_rules[0]["false_alerts_per_10k"] < against_rules[1]["false_alerts_per_10k"]


def test_aftermath_that_is_an_anomaly_itself_is_left_out_too() -> None:
    events = made_up_events()
    assert events.truth is not None
    both = EvaluationEvents(
        events.lot, events.strata, events.rules, events.truth, events.visible, np.arange(len(events.lot)) % 2 == 0
    )
    rows = evaluate(both, [made_up_detector(events, "lstm", 4.0)], 20, 0)
    odd = events.strata["known_lots"] & (np.arange(len(events.lot)) % 2 == 1)
    for place, label in enumerate(LABELS):
        row = _row(rows, "lstm", label, "known_lots", "truth")
        assert (row["events"], row["positives"]) == (odd.sum(), events.truth[odd, place].sum())


def test_thirty_positives_are_enough() -> None:
    events = made_up_events()
    rules = np.zeros_like(events.rules)
    rules[np.flatnonzero(events.strata["known_lots"])[:30]] = True
    rows = evaluate(EvaluationEvents(events.lot, events.strata, rules), [made_up_detector(events, "lstm", 4.0)], 20, 0)
    for label in (*LABELS, "macro"):
        assert all(_row(rows, "lstm", label, "known_lots", "rules")[figure] is not None for figure in NEEDS_POSITIVES)


def test_positives_of_the_other_kind_are_left_out() -> None:
    events = made_up_events()
    assert events.truth is not None and events.visible is not None and events.aftermath is not None
    rows = evaluate(events, [rules_as_detector(events)], 20, 0)
    stratum = events.strata["held_out_lots"]
    for variants, kind in (("rule_visible", events.visible), ("rule_invisible", events.truth & ~events.visible)):
        for place, label in enumerate(LABELS):
            row = _row(rows, "rules", label, "held_out_lots", "truth", variants)
            ordinary = stratum & ~events.aftermath & ~events.truth[:, place]
            assert row["positives"] == (kind[:, place] & stratum).sum()
            assert row["events"] == ordinary.sum() + row["positives"]
            false = (events.rules[:, place] & ordinary).sum()
            assert row["false_alerts_per_10k"] == pytest.approx(10_000 * false / row["events"])
    assert _row(rows, "rules", "any", "held_out_lots", "truth", "rule_visible")["recall"] == 1.0
    assert _row(rows, "rules", "macro", "held_out_lots", "truth", "rule_visible")["recall"] == 1.0
    assert _row(rows, "rules", "macro", "held_out_lots", "truth", "rule_invisible")["recall"] < 0.05


def test_too_few_positives_are_null_with_a_note() -> None:
    events = made_up_events()
    rules = events.rules.copy()
    rules[:, 1] = False
    rules[np.flatnonzero(events.strata["held_out_lots"])[:29], 1] = True
    events = EvaluationEvents(events.lot, events.strata, rules)
    rows = evaluate(events, [made_up_detector(events, "lstm", 4.0)], 20, 0)
    row = _row(rows, "lstm", "epcDup", "held_out_lots", "rules")
    assert row["positives"] == 29
    assert all(row[f"{figure}{end}"] is None for figure in NEEDS_POSITIVES for end in ("", "_low", "_high"))
    assert "29 positives, fewer than 30" in row["note"]
    assert 0 < row["specificity"] < 1 and row["false_alerts_per_10k"] > 0
    macro = _row(rows, "lstm", "macro", "held_out_lots", "rules")
    assert "over 4 of 5 labels" in macro["note"] and "epcDup" in macro["note"]
    rest = [_row(rows, "lstm", label, "held_out_lots", "rules")["f1"] for label in LABELS if label != "epcDup"]
    assert macro["f1"] == pytest.approx(np.mean(rest))


def test_macro_without_labels_is_null() -> None:
    events = made_up_events(events=400, base_rate=0.001)
    rows = evaluate(events, [made_up_detector(events, "lstm", 4.0)], 20, 0)
    for row in (row for row in rows if row["label"] == "macro"):
        assert all(row[figure] is None for figure in FIGURES)
        assert "over 0 of 5 labels" in row["note"]


def test_silent_labels_and_single_scores() -> None:
    events = made_up_events()
    partial = made_up_detector(events, "step_ngram", 4.0, silent=(0, 2))
    single = Detections(
        "one_class_svm",
        np.full(events.rules.shape, np.nan),
        np.zeros(events.rules.shape, dtype=bool),
        any_probability=events.rules.any(axis=1) * 0.9,
        any_alert=events.rules.any(axis=1),
    )
    rows = evaluate(events, [partial, single], 20, 0)
    silent = _row(rows, "step_ngram", "epcFake", "known_lots", "rules")
    assert all(silent[figure] is None for figure in FIGURES)
    assert silent["note"] == "the detector does not speak for this label"
    assert silent["positives"] > 30
    assert "over 3 of 5 labels" in _row(rows, "step_ngram", "macro", "known_lots", "rules")["note"]
    assert _row(rows, "one_class_svm", "macro", "known_lots", "rules")["pr_auc"] is None
    assert _row(rows, "one_class_svm", "any", "known_lots", "rules")["pr_auc"] == 1.0


def test_no_alert_is_no_precision() -> None:
    events = made_up_events()
    said = made_up_detector(events, "lstm", 4.0)
    rows = evaluate(events, [Detections("lstm", said.probability, np.zeros_like(said.alert))], 20, 0)
    row = _row(rows, "lstm", "jump", "known_lots", "rules")
    assert (row["precision"], row["recall"], row["f1"]) == (None, 0.0, 0.0)
    assert row["note"] == "no alert, so no precision"


def test_rules_are_marked_as_their_own_reference() -> None:
    events = made_up_events()
    rows = evaluate(events, [rules_as_detector(events)], 20, 0)
    assert _row(rows, "rules", "jump", "known_lots", "rules")["note"].startswith("its own reference here")
    assert _row(rows, "rules", "jump", "known_lots", "truth")["note"] is None


def test_one_lot_has_no_interval_and_an_empty_stratum_no_figure() -> None:
    events = made_up_events(lots=1)
    rows = evaluate(events, [made_up_detector(events, "lstm", 4.0)], 20, 0)
    row = _row(rows, "lstm", "jump", "held_out_lots", "rules")
    assert row["f1"] is not None and row["f1_low"] is None
    assert "no intervals" in row["note"]
    empty = _row(rows, "lstm", "jump", "known_lots", "rules")
    assert empty["events"] == 0 and all(empty[figure] is None for figure in FIGURES)


def test_same_seed_same_rows_and_order_does_not_matter() -> None:
    events = made_up_events()
    said = made_up_detector(events, "lstm", 4.0)
    said = Detections("lstm", said.probability.round(2), said.alert)
    rows = evaluate(events, [said], 30, 5)
    assert rows == evaluate(events, [said], 30, 5)
    assert rows != evaluate(events, [said], 30, 6)
    shuffled = np.random.default_rng(0).permutation(len(events.lot))
    other = EvaluationEvents(
        events.lot[shuffled],
        {name: mask[shuffled] for name, mask in events.strata.items()},
        events.rules[shuffled],
        *(None if part is None else part[shuffled] for part in (events.truth, events.visible, events.aftermath)),
    )
    again = evaluate(other, [Detections("lstm", said.probability[shuffled], said.alert[shuffled])], 30, 5)
    for row, same in zip(rows, again, strict=True):
        assert row == pytest.approx(same)


def test_macro_rows_keep_the_samples_of_their_interval_where_asked() -> None:
    events = made_up_events()
    said = made_up_detector(events, "lstm", 4.0)
    double = Detections("again", said.probability, said.alert)
    rows = evaluate(events, [said, double], 30, 5, keep_samples=True)
    kept = [row for row in rows if SAMPLES in row]
    assert {row["label"] for row in kept} == {"macro"} and len(kept) == sum(row["label"] == "macro" for row in rows)
    for row in kept:
        if row["pr_auc_low"] is not None:
            bounds = np.nanpercentile(row[SAMPLES], [2.5, 97.5])
            assert tuple(bounds) == pytest.approx((row["pr_auc_low"], row["pr_auc_high"]))
    one, other = ([row[SAMPLES] for row in kept if row["model"] == model] for model in ("lstm", "again"))
    np.testing.assert_array_equal(one, other)  # the same lots for all detectors
    assert all(SAMPLES not in row for row in evaluate(events, [said], 30, 5))


def test_wrong_shapes_are_refused() -> None:
    events = made_up_events()
    with pytest.raises(ValueError, match="rules has shape"):
        EvaluationEvents(events.lot, events.strata, events.rules[:, :4])
    with pytest.raises(ValueError, match="visible and aftermath"):
        EvaluationEvents(events.lot, events.strata, events.rules, truth=events.rules)
    holed = np.full((3, 5), 0.5)
    holed[1, 2] = np.nan
    with pytest.raises(ValueError, match="some probabilities"):
        Detections("lstm", holed, holed > 0.5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), lots=st.integers(2, 12), quality=st.floats(0, 6), rate=st.floats(0.001, 0.2))
def test_figures_and_bounds_stay_in_range(seed: int, lots: int, quality: float, rate: float) -> None:
    events = made_up_events(600, lots, seed, rate)
    rows = evaluate(events, [made_up_detector(events, "lstm", quality, seed)], 40, seed)
    for row in rows:
        assert row["positives"] <= row["events"] * (len(LABELS) if row["label"] == "macro" else 1)
        for figure in FIGURES:
            value, low, high = (row[f"{figure}{end}"] for end in ("", "_low", "_high"))
            most = 10_000 if figure == "false_alerts_per_10k" else 1
            assert value is None or 0 <= value <= most
            if value is None:
                assert low is None and high is None and row["note"]
            if low is not None:
                assert 0 <= low <= high <= most


def test_verdicts_are_a_reference_where_enough_labels_were_confirmed() -> None:
    events = made_up_events(6000)
    assert events.truth is not None
    random = np.random.default_rng(3)
    judged = random.random(events.rules.shape) < 0.3
    # Nobody confirmed any of the last label.
    holds = events.truth & judged & (np.arange(5) < 4)
    with_verdicts = replace(events, judged=judged, holds=holds)
    said = made_up_detector(events, "lstm", 3.0)
    rows = evaluate(with_verdicts, [said], 20, 0)
    chosen = events.strata["held_out_lots"]
    row = _row(rows, "lstm", "epcFake", "held_out_lots", "verdicts")
    asked = chosen & judged[:, 0]
    assert (row["events"], row["positives"]) == (asked.sum(), (events.truth[:, 0] & asked).sum())
    assert row["recall"] == pytest.approx((said.alert & holds)[asked, 0].sum() / holds[asked, 0].sum())
    assert _row(rows, "lstm", "jump", "held_out_lots", "verdicts")["f1"] is None
    anything = _row(rows, "lstm", "any", "held_out_lots", "verdicts")
    assert anything["events"] == (judged.all(axis=1) | holds.any(axis=1))[chosen].sum()
    # Other references stay as they are, and a handful of verdicts makes no rows.
    others = [row for row in rows if row["reference"] != "verdicts"]
    assert others == evaluate(events, [said], 20, 0)
    first = (np.arange(6000) < 60)[:, None]
    few = replace(events, judged=judged & first, holds=holds & first)
    assert evaluate(few, [said], 20, 0) == others
    with pytest.raises(ValueError, match="stand beside each other"):
        replace(events, judged=judged)
