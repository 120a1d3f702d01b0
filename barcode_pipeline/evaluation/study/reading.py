"""Looking up rows of the study: a figure of an arm in a world, over seeds, as numbers and as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from barcode_pipeline.configuration import Configuration
from barcode_pipeline.evaluation.metrics import HELD_OUT_LOTS_ALL_DATES, Row
from barcode_pipeline.evaluation.study.figures import BySeed, over_seeds
from barcode_pipeline.evaluation.study.plan import WORLDS, questions

NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """One figure to show: which row holds it, and how it is called. digits: behind the point."""

    title: str
    label: str
    variants: str
    figure: str
    reference: str = "truth"
    digits: int = 3


PR_AUC_ALL = Column("PR-AUC, all", "macro", "all", "pr_auc")
PR_AUC_INVISIBLE = Column("PR-AUC, rules cannot see", "macro", "rule_invisible", "pr_auc")
RECALL_VISIBLE = Column("recall, rules can see", "macro", "rule_visible", "recall")
FALSE_ALERTS = Column("false alerts per 10,000", "any", "all", "false_alerts_per_10k", digits=1)
RECALL_AT_3 = Column("recall at 3 false alerts", "macro", "rule_visible", "recall_at_3_false_alerts")
CALIBRATION = Column("calibration error", "macro", "all", "calibration_error")
F1_RULES = Column("F1 against rule labels", "macro", "all", "f1", reference="rules")
SECONDS = Column("seconds of learning", "any", "all", "seconds", digits=0)


class StudyRows:
    """Rows by question, arm and world, for one stratum."""

    def __init__(self, rows: Sequence[Row], stratum: str = HELD_OUT_LOTS_ALL_DATES) -> None:
        self._by_key: dict[tuple[Any, ...], list[Row]] = {}
        self._order: dict[tuple[str, str], dict[str, None]] = {}
        for row in rows:
            if row["stratum"] != stratum:
                continue
            key = (row["question"], row["arm"], row["world"], row["label"], row["variants"], row["reference"])
            self._by_key.setdefault(key, []).append(row)
            self._order.setdefault(("arms", row["question"]), {})[row["arm"]] = None
            self._order.setdefault(("worlds", row["question"]), {})[row["world"]] = None
        self.rows = [row for row in rows if row["stratum"] == stratum]

    def arms(self, question: str) -> list[str]:
        """Arms that have rows, in the order of the plan; others after them."""
        planned = {one.name: [arm.name for arm in one.arms] for one in questions(Configuration())}
        return _in_order(self._order.get(("arms", question), {}), planned.get(question, []))

    def worlds(self, question: str) -> list[str]:
        """Worlds that have rows, in the order of the plan."""
        return _in_order(self._order.get(("worlds", question), {}), WORLDS)

    def seeds(self, question: str) -> list[int]:
        """Seeds that have rows."""
        return sorted({row["seed"] for row in self.rows if row["question"] == question})

    def values(self, question: str, arm: str, world: str, column: Column) -> BySeed:
        """The figure by seed, of the seeds that have it."""
        key = (question, arm, world, column.label, column.variants, column.reference)
        return {
            row["seed"]: row[column.figure] for row in self._by_key.get(key, []) if row.get(column.figure) is not None
        }

    def text(self, question: str, arm: str, world: str, column: Column) -> str:
        return as_text(over_seeds(self.values(question, arm, world, column)), column.digits)

    def variant(self, question: str, arm: str, world: str, label: str, variant: str, figure: str = "pr_auc") -> BySeed:
        return self.values(question, arm, world, Column("", label, variant, figure))

    def variants(self, question: str, world: str) -> list[tuple[str, str]]:
        """(label, variant) of all single variants that have rows."""
        summaries = ("all", "rule_visible", "rule_invisible")
        found = {
            (row["label"], row["variants"]): None
            for row in self.rows
            if row["question"] == question and row["world"] == world
            and row["label"] not in ("macro", "any") and row["variants"] not in summaries
        }  # fmt: skip
        return list(found)


def _in_order(names: Iterable[str], order: Sequence[str]) -> list[str]:
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def as_text(figure: dict[str, Any], digits: int = 3) -> str:
    """`0.962 (0.955–0.970)`: the median, and the range where there are several seeds."""
    if figure["value"] is None:
        return NOTHING
    text = f"{figure['value']:,.{digits}f}"
    if len(figure["seeds"]) < 2:
        return text
    return f"{text} ({figure['low']:,.{digits}f}–{figure['high']:,.{digits}f})"
