"""Made-up cells and rows: what a study looks like without anything being learnt."""

from __future__ import annotations

from typing import Any

from barcode_pipeline.evaluation.metrics import HELD_OUT_LOTS_ALL_DATES, Row
from barcode_pipeline.evaluation.study.arms import Arm
from barcode_pipeline.evaluation.study.cells import Cell
from barcode_pipeline.evaluation.study.judging import Detail
from barcode_pipeline.evaluation.study.worlds import WorldKey


def cell(question: str = "main", arm: str = "rules", world: str = "default", seed: int = 1) -> Cell:
    key = WorldKey(world, seed, 1000)
    return Cell(question, Arm(arm), key, key, Detail())


def row(
    question: str = "main",
    arm: str = "lstm",
    world: str = "default",
    seed: int = 1,
    label: str = "macro",
    variants: str = "all",
    reference: str = "truth",
    model: str | None = None,
    **figures: Any,
) -> Row:
    return {
        "question": question,
        "arm": arm,
        "world": world,
        "seed": seed,
        "model": model or arm,
        "label": label,
        "stratum": HELD_OUT_LOTS_ALL_DATES,
        "reference": reference,
        "variants": variants,
        "events": 100,
        "positives": 40,
        **figures,
        "seconds": 1.0,
    }
