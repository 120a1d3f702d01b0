"""Headline figures, the contest with simple detectors, and the words that the report makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from barcode_pipeline.evaluation.headline import contests, headline, main_stratum
from barcode_pipeline.evaluation.metrics import ROW_COLUMNS, Row
from barcode_pipeline.evaluation.resampling import FIGURES
from barcode_pipeline.evaluation.summary import opening
from barcode_pipeline.evaluation.tables import markdown_table, table_groups
from barcode_pipeline.events.formats import LABELS

HELD_OUT, ALL_DATES = "held_out_lots", "held_out_lots_all_dates"


def _rows(
    model: str,
    value: float,
    stratum: str = HELD_OUT,
    reference: str = "rules",
    variants: str = "all",
    positives: int = 50,
    silent: Sequence[str] = (),
) -> list[Row]:
    """The seven rows of one detector, every figure the same, the interval 0.01 to either side."""
    made = []
    for label in (*LABELS, "macro", "any"):
        row: Row = dict.fromkeys(ROW_COLUMNS)
        row.update(model=model, label=label, stratum=stratum, reference=reference, variants=variants)
        row.update(events=1000, positives=positives)
        if label not in silent:
            for figure in FIGURES:
                row.update({figure: value, f"{figure}_low": value - 0.01, f"{figure}_high": value + 0.01})
        made.append(row)
    return made


def test_headline_reads_the_model_taught_by_rules() -> None:
    rows = _rows("lstm", 0.7)
    assert headline(rows)["lstm_vs_rules_macro_f1"] == {"value": 0.7, "low": 0.69, "high": 0.71}
    rows += _rows("lstm_rule_labels", 0.9)
    assert headline(rows)["lstm_vs_rules_macro_f1"]["value"] == 0.9
    assert list(headline(rows)) == ["lstm_vs_rules_macro_f1"]


def test_headline_falls_back_to_all_dates_when_one_label_is_rare() -> None:
    rows = _rows("lstm", 0.7) + _rows("lstm", 0.8, ALL_DATES)
    assert headline(rows)["lstm_vs_rules_macro_f1"]["value"] == 0.7
    rows[2]["positives"] = 29
    assert main_stratum(rows, "lstm", "rules") == ALL_DATES
    assert headline(rows)["lstm_vs_rules_macro_f1"]["value"] == 0.8
    assert headline(rows[:7])["lstm_vs_rules_macro_f1"]["value"] == 0.7


def test_headline_against_truth() -> None:
    rows = _rows("lstm", 0.7) + [
        row
        for place, variants in enumerate(("all", "rule_visible", "rule_invisible"))
        for row in _rows("lstm", 0.1 + place / 10, ALL_DATES, "truth", variants)
    ]
    found = {name: figure["value"] for name, figure in headline(rows).items()}
    assert found == {
        "lstm_vs_rules_macro_f1": 0.7,
        "truth_recall_rule_visible": 0.2,
        "truth_false_alerts_per_10k": 0.1,
        "truth_pr_auc_all": 0.1,
        "truth_pr_auc_invisible": 0.1 + 2 / 10,
    }
    assert headline([])["lstm_vs_rules_macro_f1"] == {"value": None, "low": None, "high": None}


def test_a_simple_winner_is_named_in_the_opening() -> None:
    rows = _rows("lstm", 0.9) + _rows("decision_tree", 0.91) + _rows("gradient_boosting", 0.95)
    first = contests(rows)[0]
    assert (first.rival, first.rival_wins, first.may_be_chance) == ("gradient_boosting", True, False)
    assert first.also_ahead == ("decision_tree",)
    text = " ".join(opening(rows, headline(rows)))
    assert "A simple detector wins: gradient boosting 0.950 (0.940 to 0.960) against LSTM 0.900" in text
    assert "ahead too decision tree" in text
    assert "macro F1 of 0.900 (0.890 to 0.910) on held-out lots, after the cut" in text


def test_no_simple_winner() -> None:
    rows = _rows("rules", 1.0) + _rows("lstm", 0.95) + _rows("decision_tree", 0.94) + _rows("lstm_one_layer", 0.96)
    text = " ".join(opening(rows, headline(rows)))
    assert "No simple detector wins: LSTM 0.950 (0.940 to 0.960) against decision tree 0.940" in text
    assert "may be chance" in text
    assert "The one-layer LSTM is ahead as well" in text
    assert "rules 1.000" not in text


def test_rules_can_win_against_truth_and_false_alerts_are_told() -> None:
    truth = [row for model, value in (("rules", 0.8), ("lstm", 0.6)) for row in _rows(model, value, reference="truth")]
    rows = _rows("lstm", 0.9) + _rows("decision_tree", 0.5) + truth + _rows("lstm", 0.61, ALL_DATES, "truth")
    text = " ".join(opening(rows, headline(rows)))
    assert "A simple detector wins: rules 0.800" in text
    assert "Elsewhere the LSTM is ahead (macro PR-AUC by rule labels; macro F1 by rule labels)" in text
    assert "false alerts per 10,000 scans" in text


def test_a_detector_for_fewer_labels_is_not_compared_but_starred() -> None:
    rows = _rows("lstm", 0.9) + _rows("step_ngram", 0.99, silent=LABELS[:3])
    assert contests(rows) == []
    assert "No simple detector can be compared" in " ".join(opening(rows, headline(rows)))
    (group,) = table_groups(rows)
    macro = {line.model: line.cells[0][0] for line in group.lines}
    assert (macro["lstm"].text, macro["lstm"].best) == ("0.900", True)
    assert (macro["step_ngram"].text, macro["step_ngram"].best) == ("0.990*", False)
    assert "* over fewer labels" in markdown_table(rows)


def test_what_cannot_be_computed_is_said() -> None:
    rows = _rows("lstm", 0.9, silent=("macro",))
    rows[5]["note"] = "over 0 of 5 labels"
    assert "cannot be said: over 0 of 5 labels" in opening(rows, headline(rows))[0]


def test_markdown_table_has_a_line_per_model() -> None:
    rows = _rows("lstm", 0.9) + _rows("rules", 1.0)
    lines = markdown_table(rows).splitlines()
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|") == 5
    assert lines[2].startswith("| rules | 1.000 (0.990–1.010) |") and lines[3].startswith("| LSTM |")
    rows += _rows("lstm", 0.5, reference="truth") + _rows("rules", 0.5, reference="truth")
    assert "F1 vs truth" in markdown_table(rows).splitlines()[0]
