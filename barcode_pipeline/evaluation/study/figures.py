"""The headline: figures by name, each the median over seeds with the lowest and the highest, of every model beside.

Reads rows of the study, computes none. Where there are fresh seeds, only they count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from barcode_pipeline.evaluation.metrics import EACH_INVISIBLE, HELD_OUT_LOTS_ALL_DATES, Row
from barcode_pipeline.evaluation.study.asking import FIRST
from barcode_pipeline.evaluation.study.plan import LEFT_OUT, VERDICTS, is_fresh
from barcode_pipeline.simulator.variants import NEVER_PLANTED

Cells = Mapping[str, Mapping[str, Any]]
BySeed = dict[int, float]
SERVICE = "lstm"
UNSEEN = "unseen_variants"
TINY_GAIN = 1e-4
"""What counts as bringing anything at all: rows are kept with four digits."""


@dataclass(frozen=True)
class Target:
    """What the figure should be. at_most: else at least."""

    value: float
    at_most: bool = False

    def met_by(self, value: float) -> bool:
        return value <= self.value if self.at_most else value >= self.value


@dataclass(frozen=True)
class MainFigure:
    """A figure read from one row per seed and model of the main question."""

    name: str
    world: str
    label: str
    variants: str
    figure: str
    target: Target | None = None
    reference: str = "truth"


MAIN_FIGURES = (
    MainFigure("truth_recall_rule_visible", "default", "macro", "rule_visible", "recall", Target(0.98)),
    MainFigure("truth_false_alerts_per_10k", "default", "any", "all", "false_alerts_per_10k", Target(3, at_most=True)),
    MainFigure("truth_recall_missed_10", "missed_10", "macro", "rule_visible", "recall", Target(0.93)),
    MainFigure(
        "truth_false_alerts_missed_10", "missed_10", "any", "all", "false_alerts_per_10k", Target(3, at_most=True)
    ),
    MainFigure("truth_recall_missed_30", "missed_30", "macro", "rule_visible", "recall", Target(0.80)),
    MainFigure(
        "truth_false_alerts_missed_30", "missed_30", "any", "all", "false_alerts_per_10k", Target(10, at_most=True)
    ),
    MainFigure("truth_pr_auc_invisible", "default", "macro", "rule_invisible", "pr_auc", Target(0.92)),
    MainFigure("truth_pr_auc_invisible_missed_10", "missed_10", "macro", "rule_invisible", "pr_auc", Target(0.85)),
    MainFigure("truth_pr_auc_invisible_missed_30", "missed_30", "macro", "rule_invisible", "pr_auc"),
    MainFigure("truth_pr_auc_each_invisible", "default", "macro", EACH_INVISIBLE, "pr_auc"),
    MainFigure("truth_pr_auc_each_invisible_missed_10", "missed_10", "macro", EACH_INVISIBLE, "pr_auc"),
    MainFigure("truth_pr_auc_all", "default", "macro", "all", "pr_auc", Target(0.97)),
    MainFigure("truth_calibration_error", "default", "macro", "all", "calibration_error", Target(0.05, at_most=True)),
    MainFigure("truth_recall_unseen_network", "unseen_network", "macro", "rule_visible", "recall"),
    MainFigure("truth_false_alerts_unseen_network", "unseen_network", "any", "all", "false_alerts_per_10k"),
)

OTHER_TARGETS = {
    "truth_pr_auc_unplanted": Target(0.25),
    "truth_pr_auc_unplanted_1000_verdicts": Target(0.65),
    "review_verdict_ratio": Target(0.2, at_most=True),
    "review_variants_found_500": Target(1.0),
    "truth_recall_loss_unseen_network": Target(0.05, at_most=True),
}


def headline(rows: Sequence[Row], cells: Cells) -> dict[str, Any]:
    """{name: {"value", "low", "high", "seeds", "fresh", "models": {model: the same}}}; null where nothing was measured.

    low, high: of the seeds, not of a bootstrap (each row has that of its own).
    """
    found: dict[str, dict[str, BySeed]] = {}
    main = [row for row in rows if row["question"] == "main" and row["stratum"] == HELD_OUT_LOTS_ALL_DATES]
    for figure in MAIN_FIGURES:
        found[figure.name] = _by_model(main, figure)
    found["lstm_vs_rules_macro_f1"] = {
        "lstm_rule_labels": _by_model(main, MainFigure("", "default", "macro", "all", "f1", reference="rules")).get(
            "lstm_rule_labels", {}
        )
    }
    found["truth_recall_loss_unseen_network"] = _loss(main, "default", "unseen_network", "recall_at_3_false_alerts")
    found["truth_pr_auc_unseen_variants"] = {
        model: variant_figure([row for row in main if row["model"] == model], "main", model, NEVER_PLANTED, UNSEEN)
        for model in dict.fromkeys(row["model"] for row in main)
    }
    found["truth_pr_auc_unplanted"] = {SERVICE: _left_out(rows, "without_{}")}
    found["truth_pr_auc_unplanted_1000_verdicts"] = {SERVICE: _left_out(rows, "without_{}_1000_verdicts")}
    found["review_verdict_ratio"] = {SERVICE: _verdict_ratio(rows)}
    found["review_variants_found_500"] = {SERVICE: _variants_found(cells)}
    return {name: _figure(models, name == "lstm_vs_rules_macro_f1") for name, models in found.items()}


def target_of(name: str) -> Target | None:
    """What the headline figure should be."""
    by_name = {figure.name: figure.target for figure in MAIN_FIGURES} | OTHER_TARGETS
    return by_name.get(name)


def over_seeds(values: BySeed) -> dict[str, Any]:
    """Median, lowest and highest; of the fresh seeds alone where there are any."""
    fresh = {seed: value for seed, value in values.items() if is_fresh(seed)}
    counted = fresh or values
    if not counted:
        return {"value": None, "low": None, "high": None, "seeds": [], "fresh": False}
    some = list(counted.values())
    return {
        "value": median(some),
        "low": min(some),
        "high": max(some),
        "seeds": sorted(counted),
        "fresh": bool(fresh),
    }


def _figure(models: Mapping[str, BySeed], of_rule_labels: bool) -> dict[str, Any]:
    own = models.get("lstm_rule_labels" if of_rule_labels else SERVICE, {})
    return {**over_seeds(own), "models": {model: over_seeds(values) for model, values in models.items()}}


def _by_model(rows: Iterable[Row], figure: MainFigure) -> dict[str, BySeed]:
    wanted = (figure.world, figure.label, figure.variants, figure.reference)
    found: dict[str, BySeed] = {}
    for row in rows:
        if (row["world"], row["label"], row["variants"], row["reference"]) == wanted:
            found.setdefault(row["model"], {})
            if row.get(figure.figure) is not None:
                found[row["model"]][row["seed"]] = row[figure.figure]
    return found


def _loss(rows: Iterable[Row], known: str, unseen: str, figure: str) -> dict[str, BySeed]:
    """How much lower a figure of the rule-visible variants is in another world, by model and seed."""
    rows = list(rows)
    here = _by_model(rows, MainFigure("", known, "macro", "rule_visible", figure))
    there = _by_model(rows, MainFigure("", unseen, "macro", "rule_visible", figure))
    return {
        model: {seed: value - there[model][seed] for seed, value in values.items() if seed in there[model]}
        for model, values in here.items()
        if model in there
    }


def _left_out(rows: Sequence[Row], arm: str) -> BySeed:
    """Per seed, the mean over the left-out groups of families of the PR-AUC of their variants; none where a group is
    missing."""
    by_seed: dict[int, dict[str, float]] = {}
    for name, (_, variants) in LEFT_OUT.items():
        for seed, value in variant_figure(rows, "left_out", arm.format(name), variants).items():
            by_seed.setdefault(seed, {})[name] = value
    return {
        seed: sum(values.values()) / len(values) for seed, values in by_seed.items() if len(values) == len(LEFT_OUT)
    }


def variant_figure(
    rows: Sequence[Row], question: str, arm: str, variants: Sequence[str], world: str = "default"
) -> BySeed:
    """Per seed, the mean over some variants of an arm's PR-AUC in one world; over those that have it."""
    values: dict[int, list[float]] = {}
    for row in rows:
        if (row["question"], row["arm"], row["world"]) != (question, arm, world) or row["variants"] not in variants:
            continue
        if row.get("pr_auc") is not None:
            values.setdefault(row["seed"], []).append(row["pr_auc"])
    return {seed: sum(some) / len(some) for seed, some in values.items()}


UNKNOWN = tuple(variant for _, variants in LEFT_OUT.values() for variant in variants)
"""Variants that the verdict question's model has never been shown."""


def verdict_curve(rows: Sequence[Row], by: str) -> dict[int, BySeed]:
    """By the number of verdicts, 0 for none, the mean PR-AUC of the variants that nobody planted."""
    curve = {0: variant_figure(rows, "verdicts", "none", UNKNOWN)}
    for count in VERDICTS:
        curve[count] = variant_figure(rows, "verdicts", f"{by}_{count}", UNKNOWN)
    return {count: values for count, values in curve.items() if values}


def _verdict_ratio(rows: Sequence[Row]) -> BySeed:
    listed, drawn = verdict_curve(rows, "list"), verdict_curve(rows, "random")
    found = {}
    for seed in sorted(drawn.get(VERDICTS[-1], {})):
        ratio = verdict_ratio(
            {count: values[seed] for count, values in listed.items() if seed in values},
            {count: values[seed] for count, values in drawn.items() if seed in values},
        )
        if ratio is not None:
            found[seed] = ratio
    return found


def verdict_ratio(listed: Mapping[int, float], drawn: Mapping[int, float]) -> float | None:
    """Verdicts that the list needs for the gain that the most random verdicts bring, over how many those are.

    Both curves by number of verdicts, with 0. Between two numbers the gain is held to grow with the logarithm; where
    the list has the gain at its first number already, that number counts. Where random verdicts bring nothing, the
    first number at which the list brings anything. 1, as many at the least, where it does not get there with as many;
    None where fewer were asked for.
    """
    most = max(drawn, default=0)
    if most == 0 or 0 not in drawn or 0 not in listed:
        return None
    wanted = max(drawn[most] - drawn[0], TINY_GAIN)
    counts = sorted(count for count in listed if count > 0)
    before, gain_before = 0, 0.0
    for count in counts:
        gain = listed[count] - listed[0]
        if gain >= wanted:
            if before == 0:
                return count / most
            share = (wanted - gain_before) / (gain - gain_before)
            return math.exp(math.log(before) + share * (math.log(count) - math.log(before))) / most
        before, gain_before = count, gain
    return 1.0 if before >= most else None


def _variants_found(cells: Cells) -> BySeed:
    """Per seed, the share of the invisible variants of which the first questions of the list held some."""
    found = {}
    for about in cells.values():
        if about["question"] != "verdicts" or not str(about["arm"]).startswith("list_"):
            continue
        facts = about.get("facts", {})
        if facts.get("asked", 0) >= FIRST:
            counts = facts[f"found_in_{FIRST}"]
            found[int(about["seed"])] = sum(counts.get(name, 0) > 0 for name in UNKNOWN) / len(UNKNOWN)
    return found
