"""Whether the LSTM is above another detector: PR-AUC over all variants, seed by seed and over all seeds together.

Reads rows of the study, computes none. The samples of lots are the same for all detectors in a world, so that the
difference of two detectors has an interval of its own; samples of different worlds have nothing to do with each
other, so that their means are samples of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from barcode_pipeline.evaluation.metrics import SAMPLES, Row
from barcode_pipeline.evaluation.study.figures import SERVICE
from barcode_pipeline.evaluation.study.judging import is_headline
from barcode_pipeline.evaluation.study.plan import DEFAULT, is_fresh

Bounds = tuple[float, float, float]
"""A figure and the ends of its 95 % interval."""


@dataclass(frozen=True)
class Comparison:
    """model: the other detector. seeds: in which both were judged. own, theirs, difference: means over these.
    apart, above: in how many seeds the intervals, and that of the difference, say that the LSTM is above."""

    model: str
    seeds: int
    own: Bounds
    theirs: Bounds
    difference: Bounds
    apart: int
    above: int


def compare(rows: Sequence[Row]) -> list[Comparison]:
    """The LSTM beside each other detector of the main question, in the order of the rows; of fresh seeds alone where
    there are any. Rows without samples are left out."""
    found = [
        row
        for row in rows
        if row["question"] == "main" and row["world"] == DEFAULT and is_headline(row) and row.get(SAMPLES)
    ]
    if any(is_fresh(row["seed"]) for row in found):
        found = [row for row in found if is_fresh(row["seed"])]
    own = {row["seed"]: row for row in found if row["model"] == SERVICE}
    compared = []
    for model in dict.fromkeys(row["model"] for row in found if row["model"] != SERVICE):
        pairs = [(own[row["seed"]], row) for row in found if row["model"] == model and row["seed"] in own]
        if pairs:
            compared.append(_comparison(model, pairs))
    return compared


def _comparison(model: str, pairs: Sequence[tuple[Row, Row]]) -> Comparison:
    # A sample without enough positives has no figure: null in the file, NaN here.
    mine, theirs = (
        np.array([[row["pr_auc"], *row[SAMPLES]] for row in side], dtype=np.float64)
        for side in zip(*pairs, strict=True)
    )
    each = [_bounds(one) for one in mine - theirs]
    return Comparison(
        model,
        len(pairs),
        _bounds(mine.mean(axis=0)),
        _bounds(theirs.mean(axis=0)),
        _bounds((mine - theirs).mean(axis=0)),
        apart=sum(_bounds(one)[1] > _bounds(other)[2] for one, other in zip(mine, theirs, strict=True)),
        above=sum(low > 0 for _, low, _ in each),
    )


def _bounds(values: np.ndarray) -> Bounds:
    """values: the figure, then its samples."""
    low, high = np.nanpercentile(values[1:], [2.5, 97.5])
    return float(values[0]), float(low), float(high)


def bounds_text(bounds: Bounds, sign: bool = False) -> str:
    """`0.9913 (0.9884 to 0.9931)`; of differences with their sign."""
    value, low, high = (f"{one:{'+' if sign else ''}.4f}" for one in bounds)
    return f"{value} ({low} to {high})"
