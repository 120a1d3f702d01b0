"""The page of the study, made of its results alone: tables, what they come to, and the pictures beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from barcode_pipeline.configuration import Configuration
from barcode_pipeline.evaluation.metrics import Row
from barcode_pipeline.evaluation.naming import model_name
from barcode_pipeline.evaluation.study import pictures, reading
from barcode_pipeline.evaluation.study.comparing import bounds_text, compare
from barcode_pipeline.evaluation.study.figures import SERVICE, over_seeds, target_of, verdict_curve
from barcode_pipeline.evaluation.study.plan import LEFT_OUT, is_fresh, questions
from barcode_pipeline.evaluation.study.reading import NOTHING, StudyRows, as_text
from barcode_pipeline.evaluation.study.results import Results
from barcode_pipeline.events.files import written_beside

BY_WORLD = (
    reading.PR_AUC_ALL,
    reading.RECALL_VISIBLE,
    reading.FALSE_ALERTS,
    reading.RECALL_AT_3,
    reading.PR_AUC_INVISIBLE,
    reading.CALIBRATION,
    reading.F1_RULES,
)
BY_ARM = (
    reading.PR_AUC_ALL,
    reading.PR_AUC_INVISIBLE,
    reading.RECALL_VISIBLE,
    reading.FALSE_ALERTS,
    reading.CALIBRATION,
    reading.SECONDS,
)
_TOLD_APART = ("main", "left_out", "left_out_visible", "verdicts", "retrained")
_DIGITS = {"truth_false_alerts": 1}


def write_study_page(path: Path, results: Results) -> None:
    """Write the page and its pictures."""
    drawn = pictures.write_pictures(path.parent / "pictures", results)
    with written_beside(path) as beside:
        beside.write_text(study_page(results, drawn), encoding="utf-8")


def study_page(results: Results, drawn: Sequence[pictures.Picture] = ()) -> str:
    """The page as Markdown."""
    rows = StudyRows(results.rows)
    asks = {question.name: question.asks for question in questions(Configuration())}
    parts = [_opening(results), _headline(results), _main(rows), _variants(rows)]
    parts += [_left_out(rows), _verdicts(results), _retrained(rows)]
    parts += [_question(rows, name) for name in _other_questions(results.rows)]
    parts += [_searched(results), _commands(results)]
    text = "\n".join(part for part in parts if part)
    if not_reached := results.notes.get("not_reached"):
        text = text.replace("<not reached>", f"### Where a target is not reached\n\n{not_reached}\n")
    for name, sentence in asks.items():
        note = results.notes.get(name)
        told = sentence if not note else f"{sentence}\n\n{note}"
        text = text.replace(f"<{name}>", told)
    for picture in drawn:
        shown = f"![{picture.title}](pictures/{picture.file})\n\nMade by `{picture.command}`."
        text = text.replace(f"<picture {picture.name}>", shown)
    return "\n".join(line for line in text.split("\n") if not line.startswith(("<picture ", "<not reached>"))) + "\n"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right; nothing without lines."""
    body = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([f"| {' | '.join(head)} |", f"|---{'|---:' * (len(head) - 1)}|", *body, ""]) if body else ""


def _opening(results: Results) -> str:
    seeds = sorted({row["seed"] for row in results.rows if row["question"] == "main"})
    fresh = [seed for seed in seeds if is_fresh(seed)]
    if fresh:
        which = f"The headline is of the fresh seeds {_list(fresh)}, which nobody looked at while working."
    else:
        which = (
            f"No fresh seed was run yet: all figures are of seeds that were looked at while working ({_list(seeds)})."
        )
    return (
        "# The study\n\n"
        "Which detector is right how often, in which world, measured on simulated files with known truth, on lots "
        "that no model was taught on, over all dates. Written by `make study` from `study.json` alone; change the "
        "plan (`barcode_pipeline/evaluation/study/plan.py`), not this page.\n\n"
        f"{which} Figures are the median over seeds, with the lowest and the highest in brackets. A false alert is an "
        "alert of any label on an event that is neither an anomaly nor the aftermath of one. Thresholds are chosen on "
        "validation lots as the model's teachers have them, never by truth.\n"
    )


def _headline(results: Results) -> str:
    lines = []
    for name, figure in results.headline.items():
        digits = next((count for start, count in _DIGITS.items() if name.startswith(start)), 3)
        target, models = target_of(name), figure["models"]
        asked = NOTHING if target is None else f"{'≤' if target.at_most else '≥'} {target.value:g}"
        met = NOTHING
        if target is not None and figure["value"] is not None:
            met = "yes" if target.met_by(figure["value"]) else "no"
        rules = as_text(models["rules"], digits) if "rules" in models else NOTHING
        lines.append([f"`{name}`", asked, as_text(figure, digits), met, rules, _best_peer(name, models, digits)])
    if not lines:
        return ""
    head = ("figure", "asked for", "LSTM", "met", "rules", "best peer")
    return f"## Headline\n\n{table(head, lines)}\n{_compared(results.rows)}<not reached>\n<picture worlds>\n"


def _best_peer(name: str, models: dict[str, dict[str, Any]], digits: int) -> str:
    """The peer with the best value; of false alerts and losses none is best by itself."""
    if "false_alerts" in name or "loss" in name or "calibration" in name:
        return NOTHING
    peers = {
        model: figure
        for model, figure in models.items()
        if model not in (SERVICE, "rules", "lstm_rule_labels") and figure["value"] is not None
    }
    if not peers:
        return NOTHING
    best = max(peers, key=lambda model: peers[model]["value"])
    return f"{model_name(best)} {as_text(peers[best], digits)}"


def _compared(rows: Sequence[Row]) -> str:
    """The LSTM's PR-AUC beside that of each other detector, by bootstrap over lots."""
    found = compare(rows)
    if not found:
        return ""
    lines = [
        [
            model_name(one.model),
            bounds_text(one.own),
            bounds_text(one.theirs),
            f"{one.apart} of {one.seeds}",
            bounds_text(one.difference, sign=True),
            f"{one.above} of {one.seeds}",
        ]
        for one in found
    ]
    head = ("detector", "LSTM", "detector's own", "apart in", "difference", "above 0 in")
    return (
        "PR-AUC over all variants, the mean over seeds, with 95 % intervals by bootstrap over lots. *Apart in*: seeds "
        "in which the LSTM's own interval lies wholly above the detector's. *Difference*: the LSTM's minus the "
        "detector's on the same samples of lots; *above 0 in*: seeds in which its interval lies above 0.\n\n"
        f"{table(head, lines)}\n"
    )


def _main(rows: StudyRows) -> str:
    worlds, arms = rows.worlds("main"), rows.arms("main")
    if not arms:
        return ""
    text = "## In every world\n\n<main>\n\n"
    for column in BY_WORLD:
        lines = [[model_name(arm), *(rows.text("main", arm, world, column) for world in worlds)] for arm in arms]
        text += f"### {column.title[0].upper()}{column.title[1:]}\n\n{table(('', *worlds), lines)}\n"
    return text


def _variants(rows: StudyRows) -> str:
    arms = rows.arms("main")
    text = ""
    for world in ("default", "unseen_variants"):
        lines = []
        for label, variant in rows.variants("main", world):
            cells = [as_text(over_seeds(rows.variant("main", arm, world, label, variant)), 2) for arm in arms]
            lines.append([f"{label}: `{variant}`", *cells])
        if lines:
            head = ("variant", *(model_name(arm) for arm in arms))
            text += f"### PR-AUC by variant, world {world}\n\n{table(head, lines)}\n"
    return f"{text}<picture variants>\n" if text else ""


def _left_out(rows: StudyRows) -> str:
    lines = []
    for name, (families, variants) in LEFT_OUT.items():
        for variant in variants:
            cells = []
            labels = [label for label, found in rows.variants("left_out", "default") if found == variant]
            arms = (("main", SERVICE), ("left_out", f"without_{name}"), ("left_out", f"without_{name}_1000_verdicts"))
            for question, arm in arms:
                values = rows.variant(question, arm, "default", labels[0], variant) if labels else {}
                cells.append(as_text(over_seeds(values)))
            if any(cell != NOTHING for cell in cells):
                lines.append([f"`{variant}`", ", ".join(families), *cells])
    if not lines:
        return ""
    head = ("variant", "families left out", "planted", "left out", "left out, 1,000 verdicts")
    return f"## Families that are not planted\n\n<left_out>\n\n{table(head, lines)}\n"


def _verdicts(results: Results) -> str:
    curves = {by: verdict_curve(results.rows, by) for by in ("list", "random")}
    counts = sorted({count for curve in curves.values() for count in curve})
    lines = [
        [f"chosen by {'the review list' if by == 'list' else 'chance'}"]
        + [as_text(over_seeds(curve.get(count, {}))) for count in counts]
        for by, curve in curves.items()
        if len(curve) > 1
    ]
    if not lines:
        return ""
    text = "## Verdicts\n\n<verdicts>\n\nPR-AUC of those variants by number of verdicts:\n\n"
    text += table(("", *(f"{count:,}" for count in counts)), lines)
    ratio = results.headline.get("review_verdict_ratio", {"value": None})
    if ratio["value"] is not None:
        text += (
            f"\nFor the gain that {counts[-1]:,} random verdicts bring, the list needs {as_text(ratio)} of that "
            "number.\n"
        )
    found = [about for about in results.cells.values() if about["question"] == "verdicts" and "found" in about["facts"]]
    names = sorted({name for about in found for name in about["facts"]["found"]})
    unknown = [name for name in names if any(name in variants for _, variants in LEFT_OUT.values())]
    lines = [
        [about["arm"], str(about["seed"]), *(str(about["facts"]["found"].get(name, 0)) for name in unknown)]
        for about in sorted(
            found, key=lambda about: (about["arm"].split("_")[0], about["facts"]["asked"], about["seed"])
        )
    ]
    return f"{text}\n<picture verdicts>\n\nHow many of each were among the events asked about:\n\n" + table(
        ("asked", "seed", *(f"`{name}`" for name in unknown)), lines
    )


def _retrained(rows: StudyRows) -> str:
    columns = (reading.PR_AUC_ALL, reading.RECALL_VISIBLE, reading.FALSE_ALERTS, reading.PR_AUC_INVISIBLE)
    lines = []
    for world in rows.worlds("retrained"):
        for title, question in (("unchanged", "main"), ("taught in it", "retrained")):
            lines.append([f"{world}, {title}", *(rows.text(question, SERVICE, world, column) for column in columns)])
    if not lines:
        return ""
    return f"## Taught anew per world\n\n<retrained>\n\n{table(('', *(one.title for one in columns)), lines)}\n"


def _other_questions(rows: Sequence[Row]) -> list[str]:
    asked = {row["question"] for row in rows} - set(_TOLD_APART)
    known = [question.name for question in questions(Configuration())]
    return sorted(asked, key=lambda name: (known.index(name) if name in known else len(known), name))


def _question(rows: StudyRows, name: str) -> str:
    text = f"## {name.replace('_', ' ').capitalize()}\n\n<{name}> Seeds {_list(rows.seeds(name))}.\n\n"
    for world in rows.worlds(name):
        lines = [
            [arm.replace("_", " "), *(rows.text(name, arm, world, column) for column in BY_ARM)]
            for arm in rows.arms(name)
        ]
        text += f"World {world}:\n\n{table(('', *(column.title for column in BY_ARM)), lines)}\n"
    return text


def _searched(results: Results) -> str:
    lines = [
        [model_name(about["arm"]), about["world"], str(about["seed"]), _settings(about["facts"]["search"])]
        for about in results.cells.values()
        if about["question"] == "main" and about["world"] == "default" and "search" in about.get("facts", {})
    ]
    if not lines:
        return ""
    return "## Settings of the peers, found on validation\n\n" + table(("", "world", "seed", "settings"), lines)


def _settings(record: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in record["settings"].items()) or "the defaults"


def _commands(results: Results) -> str:
    seeds = " ".join(str(seed) for seed in sorted({about["seed"] for about in results.cells.values()}))
    return (
        "## How to make it again\n\n"
        f'`make study SEEDS="{seeds}"` answers what is not answered yet and writes this page; '
        "`make study CELLS=verdicts` one question; `barcode-pipeline study --write-up` the page and all its pictures "
        "from `study.json`; `make study QUICK=1` a tiny study in minutes, into `reports/study_quick/`.\n"
    )


def _list(seeds: Sequence[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)
