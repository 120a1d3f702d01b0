"""A cell of the study: one question's arm, learnt in one world and judged in one, under one seed."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from barcode_pipeline.evaluation.study.arms import Arm, fingerprint
from barcode_pipeline.evaluation.study.fitting import fit_fingerprint
from barcode_pipeline.evaluation.study.judging import Detail
from barcode_pipeline.evaluation.study.worlds import WorldKey

JUDGING_VERSION = 4
"""Raised when a change of code changes what the same arm comes to in the same world: cells are then answered again."""


@dataclass(frozen=True)
class Cell:
    """question: its name. taught_in, judged_in: worlds of one seed."""

    question: str
    arm: Arm
    taught_in: WorldKey
    judged_in: WorldKey
    detail: Detail

    @property
    def seed(self) -> int:
        return self.judged_in.seed

    @property
    def key(self) -> str:
        """Its name in `docs/study.json`."""
        return f"{self.question}/{self.arm.name}/{self.judged_in.name}/{self.seed}"

    @property
    def worlds(self) -> set[WorldKey]:
        """The worlds that have to be there to answer it."""
        return {self.judged_in} | ({self.taught_in} if self.arm.fits else set())


def cell_fingerprint(cell: Cell, taught_in: str, judged_in: str) -> str:
    """What decides a cell's rows: the arm, and the fingerprints of its worlds."""
    fits = [fit_fingerprint(fit, taught_in, cell.seed) for fit in cell.arm.fits]
    return fingerprint(JUDGING_VERSION, fits, cell.arm.decide, cell.arm.row_model, judged_in, cell.detail)


def chosen(cells: Sequence[Cell], patterns: Sequence[str]) -> list[Cell]:
    """The cells whose key matches any pattern (`main/*`, `*/lstm/default/*`) or whose question is named; all
    without one."""
    if not patterns:
        return list(cells)
    return [cell for cell in cells if any(_matches(cell, pattern) for pattern in patterns)]


def _matches(cell: Cell, pattern: str) -> bool:
    return cell.question == pattern or fnmatch.fnmatchcase(cell.key, pattern)
