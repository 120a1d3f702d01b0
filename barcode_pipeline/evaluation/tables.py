"""The rows as tables to read: groups for the report, a compact one in Markdown for the page and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from barcode_pipeline.evaluation.headline import find_row, has_truth, main_stratum
from barcode_pipeline.evaluation.metrics import Row
from barcode_pipeline.evaluation.naming import (
    FIGURE_NAMES,
    MODEL_NAMES,
    REFERENCE_NAMES,
    STRATUM_NAMES,
    VARIANT_NAMES,
    model_name,
)
from barcode_pipeline.evaluation.resampling import FIGURES
from barcode_pipeline.events.formats import LABELS

NOTHING = "–"
COLUMN_LABELS = ("macro", "any", *LABELS)
CELL_FIGURES = ("f1", "pr_auc", "false_alerts_per_10k")


@dataclass(frozen=True)
class Cell:
    """One figure to read: its text, what a tooltip adds, whether it is the column's best."""

    text: str
    tooltip: str
    best: bool


@dataclass(frozen=True)
class Line:
    """One detector's line: cells for each of `COLUMN_LABELS` and, within, each of `CELL_FIGURES`."""

    model: str
    name: str
    cells: list[list[Cell]]


@dataclass(frozen=True)
class Group:
    """One reference, stratum and kind of variants. positives: by label of `COLUMN_LABELS`."""

    title: str
    is_main: bool
    events: int
    positives: list[int]
    lines: list[Line]


def model_order(rows: Sequence[Row]) -> list[str]:
    """Models of the rows: the LSTMs and their peers in the house's order, others as they come."""
    known = list(MODEL_NAMES)
    found = dict.fromkeys(row["model"] for row in rows)
    return sorted(found, key=lambda model: known.index(model) if model in known else len(known))


def table_groups(rows: Sequence[Row]) -> list[Group]:
    """The big table, one group per reference, kind of variants and stratum, in the order of the rows."""
    keys = dict.fromkeys((row["reference"], row["variants"], row["stratum"]) for row in rows)
    references, variants = list(REFERENCE_NAMES), list(VARIANT_NAMES)
    ordered = sorted(keys, key=lambda key: (references.index(key[0]), variants.index(key[1])))
    main = {reference: main_stratum(rows, "lstm", reference) for reference in REFERENCE_NAMES}
    groups = []
    for reference, kind, stratum in ordered:
        chosen = [
            row for row in rows if (row["reference"], row["variants"], row["stratum"]) == (reference, kind, stratum)
        ]
        title = f"{REFERENCE_NAMES[reference]} · {STRATUM_NAMES.get(stratum, stratum)}"
        if reference == "truth":
            title += f" · {VARIANT_NAMES[kind]}"
        groups.append(_group(title, kind == "all" and stratum == main[reference], chosen))
    return groups


def _group(title: str, is_main: bool, rows: Sequence[Row]) -> Group:
    by_key = {(row["model"], row["label"]): row for row in rows}
    models = model_order(rows)
    partial = models_with_fewer_labels(rows)
    rivals = [model for model in models if model != rows[0]["reference"]]

    def best(label: str, figure: str) -> float | None:
        if figure == "false_alerts_per_10k":
            return None  # a detector that never speaks would be the best
        values = [by_key[model, label][figure] for model in rivals if label != "macro" or model not in partial]
        return max((value for value in values if value is not None), default=None)

    def cell(model: str, label: str, figure: str) -> Cell:
        row = by_key[model, label]
        return _cell(row, figure, best(label, figure), starred=label == "macro" and model in partial)

    lines = [
        Line(model, model_name(model), [[cell(model, label, name) for name in CELL_FIGURES] for label in COLUMN_LABELS])
        for model in models
    ]
    widest = [
        max((by_key[model, label] for model in models), key=lambda row: row["positives"]) for label in COLUMN_LABELS
    ]
    return Group(title, is_main, widest[0]["events"], [row["positives"] for row in widest], lines)


def models_with_fewer_labels(rows: Sequence[Row]) -> set[str]:
    """Models whose macro, in one group of rows, is over fewer labels than others': not the same figure."""
    count = dict.fromkeys((row["model"] for row in rows), 0)
    for row in rows:
        count[row["model"]] += row["label"] in LABELS and row["f1"] is not None
    return {model for model, labels in count.items() if 0 < labels < max(count.values())}


def _cell(row: Row, figure: str, best: float | None, starred: bool) -> Cell:
    value = row[figure]
    if value is None:
        return Cell(NOTHING, row["note"] or "", False)
    parts = [f"{FIGURE_NAMES[name]} {with_interval(row, name)}" for name in FIGURES if row[name] is not None]
    tooltip = "\n".join([*parts, *([row["note"]] if row["note"] else [])])
    is_best = best is not None and value >= best and row["model"] != row["reference"] and not starred
    return Cell(number(value, figure) + ("*" if starred else ""), tooltip, is_best)


def number(value: float | None, figure: str) -> str:
    """A figure as text: three digits, alerts per 10,000 one."""
    if value is None:
        return NOTHING
    return f"{value:,.1f}" if figure == "false_alerts_per_10k" else f"{value:.3f}"


def with_interval(row: Row | None, figure: str) -> str:
    """`0.962 (0.955–0.970)`; a dash where there is none."""
    if row is None or row[figure] is None:
        return NOTHING
    text = number(row[figure], figure)
    low, high = row[f"{figure}_low"], row[f"{figure}_high"]
    return text if low is None or high is None else f"{text} ({number(low, figure)}–{number(high, figure)})"


def markdown_table(rows: Sequence[Row]) -> str:
    """One line per model: macro F1, macro PR-AUC and false alerts of any label, against rule labels and truth."""
    references = ("rules", "truth") if has_truth(rows) else ("rules",)
    strata = {reference: main_stratum(rows, "lstm", reference) for reference in references}
    columns = ["model"]
    for reference in references:
        columns += [f"F1 vs {reference}", f"PR-AUC vs {reference}", f"false alerts / 10k vs {reference}"]
    lines = [f"| {' | '.join(columns)} |", f"|---{'|---:' * (len(columns) - 1)}|"]
    partial = {
        reference: models_with_fewer_labels(
            [row for row in rows if (row["stratum"], row["reference"], row["variants"]) == (stratum, reference, "all")]
        )
        for reference, stratum in strata.items()
    }
    for model in model_order(rows):
        cells = [model_name(model)]
        for reference in references:
            macro = find_row(rows, model, "macro", strata[reference], reference)
            anything = find_row(rows, model, "any", strata[reference], reference)
            star = "*" if model in partial[reference] else ""
            cells += [with_interval(macro, "f1") + star, with_interval(macro, "pr_auc") + star]
            cells.append(with_interval(anything, "false_alerts_per_10k"))
        lines.append(f"| {' | '.join(cells)} |")
    where = "; ".join(
        f"{REFERENCE_NAMES[reference]}: {STRATUM_NAMES.get(stratum, stratum)}" for reference, stratum in strata.items()
    )
    note = "F1 and PR-AUC are macro, false alerts those of any label; 95 % intervals by bootstrap over lots"
    star = " * over fewer labels than the others." if any(partial.values()) else ""
    return "\n".join([*lines, "", f"{note}. {where}.{star}"])
