"""The report's first paragraph: what the figures say, in plain sentences. Reads rows, computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from barcode_pipeline.evaluation.headline import (
    ONE_LAYER,
    Contest,
    Figure,
    contests,
    find_row,
    main_stratum,
    model_taught_by_rules,
)
from barcode_pipeline.evaluation.metrics import HELD_OUT_LOTS_ALL_DATES, Row
from barcode_pipeline.evaluation.naming import (
    FIGURE_NAMES,
    REFERENCE_NAMES,
    STRATUM_NAMES,
    model_name,
)


def opening(rows: Sequence[Row], figures: Mapping[str, Figure]) -> list[str]:
    """Sentences: how well the rules are reproduced, who is ahead, and how right the model in service is."""
    sentences = [_reproduction(rows, figures), _winner(rows)]
    one_layer = [contest for contest in contests(rows, ONE_LAYER) if contest.rival_wins]
    if one_layer:
        sentences.append(f"The one-layer LSTM is ahead as well: {'; '.join(map(_score, one_layer))}.")
    if "truth_pr_auc_all" in figures:
        sentences.extend(_against_truth(figures))
    return sentences


def figure_text(figure: Figure, digits: int = 3) -> str:
    """A value and its interval: `0.962 (0.955 to 0.970)`."""
    if figure["value"] is None:
        return "–"
    text = f"{figure['value']:.{digits}f}"
    if figure["low"] is None or figure["high"] is None:
        return text
    return f"{text} ({figure['low']:.{digits}f} to {figure['high']:.{digits}f})"


def _reproduction(rows: Sequence[Row], figures: Mapping[str, Figure]) -> str:
    model = model_taught_by_rules(rows)
    stratum = main_stratum(rows, model, "rules")
    row = find_row(rows, model, "macro", stratum, "rules")
    figure = figures["lstm_vs_rules_macro_f1"]
    note = row["note"] if row is not None else "it was not evaluated"
    if figure["value"] is None:
        return f"How well the {model_name(model)} reproduces the rules cannot be said: {note}."
    bracket = f" ({note})" if note else ""
    return (
        f"The {model_name(model)} reproduces the rules with a macro F1 of {figure_text(figure)} "
        f"on {STRATUM_NAMES.get(stratum, stratum)}{bracket}."
    )


def _winner(rows: Sequence[Row]) -> str:
    found = contests(rows)
    won = [contest for contest in found if contest.rival_wins]
    if won:
        text = f"A simple detector wins: {'; '.join(map(_score, won))}."
        held = [
            f"macro {FIGURE_NAMES[contest.figure]} by {REFERENCE_NAMES[contest.reference]}"
            for contest in found
            if not contest.rival_wins
        ]
        return f"{text} Elsewhere the LSTM is ahead ({'; '.join(held)})." if held else text
    if found:
        best = [contest for contest in found if contest.figure == "pr_auc"] or found
        return f"No simple detector wins: {'; '.join(map(_score, best))}."
    return "No simple detector can be compared with the LSTM: none has a macro figure over the same labels."


def _score(contest: Contest) -> str:
    """`gradient boosting 0.930 (0.910 to 0.950) against LSTM 0.900 (…) by macro PR-AUC, judged by … on …`."""
    sides = [
        f"{model_name(contest.rival)} {figure_text(contest.rival_figure)}",
        f"{model_name(contest.lstm)} {figure_text(contest.lstm_figure)}",
    ]
    text = (
        f"{' against '.join(sides if contest.rival_wins else sides[::-1])} by macro {FIGURE_NAMES[contest.figure]}, "
        f"judged by {REFERENCE_NAMES[contest.reference]} on {STRATUM_NAMES.get(contest.stratum, contest.stratum)}"
    )
    if contest.may_be_chance:
        text += " (the intervals overlap, the lead may be chance)"
    if contest.also_ahead:
        text += f", and ahead too {', '.join(map(model_name, contest.also_ahead))}"
    return text


def _against_truth(figures: Mapping[str, Figure]) -> list[str]:
    where = STRATUM_NAMES[HELD_OUT_LOTS_ALL_DATES]
    recall, false_alerts = figures["truth_recall_rule_visible"], figures["truth_false_alerts_per_10k"]
    unseen = figures["truth_pr_auc_invisible"]
    return [
        f"Judged by the injected truth on {where}, the LSTM in service finds a share of {figure_text(recall)} "
        f"of the anomalies that rules are built to see, at {figure_text(false_alerts, 1)} false alerts per "
        f"10,000 scans; on the variants that rules cannot see its macro PR-AUC is {figure_text(unseen)}."
    ]
