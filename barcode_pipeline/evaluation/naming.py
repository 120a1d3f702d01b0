"""How models, labels, strata and references are called and coloured wherever a person reads them."""

from __future__ import annotations

from barcode_pipeline.events.formats import LABELS

MODEL_NAMES = {
    "rules": "rules",
    "lstm": "LSTM",
    "lstm_challenger": "LSTM, challenger",
    "lstm_rule_labels": "LSTM taught by rules",
    "lstm_one_layer": "one-layer LSTM",
    "decision_tree": "decision tree",
    "gradient_boosting": "gradient boosting",
    "step_ngram": "n-gram of steps",
    "nearest_neighbours": "nearest neighbours",
    "one_class_svm": "one-class SVM",
    "next_event": "next event (DeepLog)",
}

MODEL_COLOURS = {
    "rules": "#444444",
    "lstm": "#0b5fa5",
    "lstm_challenger": "#7a3fa0",
    "lstm_rule_labels": "#3fa7d6",
    "lstm_one_layer": "#58b4a7",
    "decision_tree": "#c98a1b",
    "gradient_boosting": "#c8402f",
    "step_ngram": "#6f8f2f",
    "nearest_neighbours": "#d97ba6",
    "one_class_svm": "#8c6d4f",
    "next_event": "#2f8f8f",
}
_OTHER_COLOURS = ("#1b9e77", "#e6ab02", "#7570b3", "#a6761d", "#66a61e")

LABEL_MEANINGS = {
    "epcFake": "impossible code",
    "epcDup": "one code at several places at once",
    "locErr": "impossible place",
    "evtOrderErr": "out of order within a place",
    "jump": "travel no truck can make",
    "macro": "mean over labels",
    "any": "any of the labels",
}

LABEL_COLOURS = dict(zip(LABELS, ("#0b5fa5", "#c8402f", "#2f8f5b", "#c98a1b", "#7a3fa0"), strict=True))

STRATUM_NAMES = {
    "held_out_lots": "held-out lots, after the cut",
    "known_lots": "known lots, after the cut",
    "held_out_lots_all_dates": "held-out lots, all dates",
}

REFERENCE_NAMES = {"rules": "rule labels", "truth": "injected truth", "verdicts": "verdicts of investigators"}

VARIANT_NAMES = {
    "all": "all variants",
    "rule_visible": "variants that rules are built to see",
    "rule_invisible": "variants that rules cannot see",
}

FIGURE_NAMES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "specificity": "specificity",
    "pr_auc": "PR-AUC",
    "false_alerts_per_10k": "false alerts per 10,000 scans",
    "calibration_error": "calibration error",
}


def model_name(model: str) -> str:
    """What a detector is called in running text."""
    return MODEL_NAMES.get(model, model.replace("_", " "))


def model_colour(model: str) -> str:
    """A detector's colour, the same in every plot."""
    return MODEL_COLOURS.get(model) or _OTHER_COLOURS[sum(map(ord, model)) % len(_OTHER_COLOURS)]
