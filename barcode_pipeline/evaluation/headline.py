"""What the rows come to: the headline figures, and who is ahead. Reads rows of `metrics.evaluate`, computes none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from barcode_pipeline.evaluation.metrics import HELD_OUT_LOTS, HELD_OUT_LOTS_ALL_DATES, Row
from barcode_pipeline.evaluation.resampling import MINIMUM_POSITIVES
from barcode_pipeline.events.formats import LABELS

SIMPLE_MODELS = (
    "rules",
    "decision_tree",
    "gradient_boosting",
    "step_ngram",
    "nearest_neighbours",
    "one_class_svm",
)
"""Detectors that are no neural network and may beat the LSTM. Against rule labels the rules do not count."""

ONE_LAYER = ("lstm_one_layer",)

Figure = dict[str, float | None]


def find_row(
    rows: Sequence[Row], model: str, label: str, stratum: str, reference: str, variants: str = "all"
) -> Row | None:
    """The one row of these keys, None where it was not evaluated."""
    wanted = (model, label, stratum, reference, variants)
    keys = ("model", "label", "stratum", "reference", "variants")
    return next((row for row in rows if tuple(row[key] for key in keys) == wanted), None)


def has_truth(rows: Sequence[Row]) -> bool:
    """Whether anything was judged against injected truth."""
    return any(row["reference"] == "truth" for row in rows)


def main_stratum(rows: Sequence[Row], model: str, reference: str) -> str:
    """Held-out lots after the cut; over all dates where those have fewer than 30 positives of some label."""
    found = [find_row(rows, model, label, HELD_OUT_LOTS, reference) for label in LABELS]
    enough = all(row is not None and row["positives"] >= MINIMUM_POSITIVES for row in found)
    has_all_dates = any(row["stratum"] == HELD_OUT_LOTS_ALL_DATES for row in rows)
    return HELD_OUT_LOTS if enough or not has_all_dates else HELD_OUT_LOTS_ALL_DATES


def model_taught_by_rules(rows: Sequence[Row]) -> str:
    """The LSTM taught by rule labels: the one in service unless that has another teacher."""
    return "lstm_rule_labels" if any(row["model"] == "lstm_rule_labels" for row in rows) else "lstm"


def headline(rows: Sequence[Row]) -> dict[str, Figure]:
    """Figures by name, each {"value", "low", "high"}, None where it cannot be computed.

    `lstm_vs_rules_macro_f1`: the LSTM taught by rule labels, in `main_stratum`. With truth, of the model in service
    on held-out lots of all dates: `truth_recall_rule_visible`, `truth_pr_auc_all` and `truth_pr_auc_invisible` are
    macro, `truth_false_alerts_per_10k` counts events with any alert and no truth.
    """
    taught = model_taught_by_rules(rows)
    stratum = main_stratum(rows, taught, "rules")
    figures = {"lstm_vs_rules_macro_f1": _figure(find_row(rows, taught, "macro", stratum, "rules"), "f1")}
    if not has_truth(rows):
        return figures
    for name, label, variants, figure in (
        ("truth_recall_rule_visible", "macro", "rule_visible", "recall"),
        ("truth_false_alerts_per_10k", "any", "all", "false_alerts_per_10k"),
        ("truth_pr_auc_all", "macro", "all", "pr_auc"),
        ("truth_pr_auc_invisible", "macro", "rule_invisible", "pr_auc"),
    ):
        figures[name] = _figure(find_row(rows, "lstm", label, HELD_OUT_LOTS_ALL_DATES, "truth", variants), figure)
    return figures


@dataclass(frozen=True)
class Contest:
    """The LSTM and the best of its rivals by one macro figure, in one stratum against one reference.

    also_ahead: further rivals with a higher value than the LSTM, best first.
    """

    figure: str
    reference: str
    stratum: str
    lstm: str
    lstm_figure: Figure
    rival: str
    rival_figure: Figure
    also_ahead: tuple[str, ...] = ()

    @property
    def rival_wins(self) -> bool:
        """Whether the rival's value is the higher one."""
        return (self.rival_figure["value"] or 0.0) > (self.lstm_figure["value"] or 0.0)

    @property
    def may_be_chance(self) -> bool:
        """Whether the intervals overlap, or one is missing."""
        pair = (self.lstm_figure, self.rival_figure)
        behind, ahead = pair if self.rival_wins else pair[::-1]
        low, high = ahead["low"], behind["high"]
        return low is None or high is None or low <= high


def contests(rows: Sequence[Row], rivals: Sequence[str] = SIMPLE_MODELS) -> list[Contest]:
    """For each reference, by macro PR-AUC and by macro F1, the LSTM and the best rival beside it.

    Against truth it is the model in service, against rule labels the one taught by them. Only detectors that have the
    figure for the same labels are compared: a macro over easier labels is another figure.
    """
    found = []
    for reference in ("truth", "rules") if has_truth(rows) else ("rules",):
        lstm = "lstm" if reference == "truth" else model_taught_by_rules(rows)
        stratum = main_stratum(rows, lstm, reference)
        keys = (stratum, reference, "all")
        judged = [row for row in rows if (row["stratum"], row["reference"], row["variants"]) == keys]
        for name in ("pr_auc", "f1"):
            contest = _contest(judged, name, reference, stratum, lstm, rivals)
            if contest is not None:
                found.append(contest)
    return found


def _contest(
    judged: Sequence[Row], name: str, reference: str, stratum: str, lstm: str, rivals: Sequence[str]
) -> Contest | None:
    def figure(model: str) -> Figure:
        return _figure(find_row(judged, model, "macro", stratum, reference), name)

    own = figure(lstm)
    needed = _labels_with(judged, lstm, name)
    values = {
        model: value
        for model in rivals
        if model != reference and _labels_with(judged, model, name) == needed and (value := figure(model)["value"])
    }
    if own["value"] is None or not values:
        return None
    best, *others = sorted(values, key=lambda model: -values[model])
    ahead = tuple(model for model in others if values[model] > own["value"])
    return Contest(name, reference, stratum, lstm, own, best, figure(best), ahead)


def _labels_with(rows: Sequence[Row], model: str, figure: str) -> set[str]:
    return {
        row["label"] for row in rows if row["model"] == model and row["label"] in LABELS and row[figure] is not None
    }


def _figure(row: dict[str, Any] | None, figure: str) -> Figure:
    if row is None:
        return {"value": None, "low": None, "high": None}
    return {"value": row[figure], "low": row[f"{figure}_low"], "high": row[f"{figure}_high"]}
