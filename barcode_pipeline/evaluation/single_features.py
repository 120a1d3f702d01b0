"""Which single feature decides a label on its own: a check on what detectors could have learnt the easy way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from barcode_pipeline.evaluation.resampling import MINIMUM_POSITIVES
from barcode_pipeline.events.formats import LABELS

MAXIMUM_EVENTS = 20_000

_COLUMNS = ("label", "rank", "feature", "direction", "average_precision", "base_rate", "positives", "note")


def single_feature_power(
    features: np.ndarray,
    names: Sequence[str],
    targets: np.ndarray,
    weight: np.ndarray | None = None,
    top: int = 3,
) -> pd.DataFrame:
    """The features that rank positives of each label best on their own, by average precision in the better direction.

    features: (N, F) float, a missing value (NaN) is never suspicious. targets: (N, 5) bool. weight: (N,) float, how
    much each event counts, all alike without it. Of more than 20,000 events all that carry a label and a fixed sample
    of the others are looked at, the sample weighted up. Columns: label, rank (1 is best), feature, direction ("high"
    or "low" values are suspicious), average_precision, base_rate (what a useless feature reaches), positives, note.
    A label with fewer than 30 positives has one row without a feature, and the note says why.
    """
    targets = np.asarray(targets, dtype=bool)
    weight = np.ones(len(targets)) if weight is None else np.asarray(weight, dtype=float)
    positives = np.count_nonzero(targets & (weight > 0)[:, None], axis=0)
    base_rate = weight @ targets / max(weight.sum(), 1e-12)
    chosen, weight = _sample(targets, weight)
    targets = targets[chosen]
    power = np.stack([_power(features[chosen, place], targets, weight) for place in range(len(names))])
    best = power.max(axis=1)
    rows: list[tuple[object, ...]] = []
    for label, name in enumerate(LABELS):
        if positives[label] < MINIMUM_POSITIVES:
            note = f"{positives[label]} positives, fewer than {MINIMUM_POSITIVES}"
            rows.append((name, 1, None, None, np.nan, base_rate[label], int(positives[label]), note))
            continue
        for rank, place in enumerate(np.argsort(-best[:, label], kind="stable")[:top], start=1):
            direction = "high" if power[place, 0, label] >= power[place, 1, label] else "low"
            value = best[place, label]
            rows.append((name, rank, names[place], direction, value, base_rate[label], int(positives[label]), None))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _sample(targets: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and weights of the events to look at: those of no weight left out, the ordinary ones sampled."""
    labelled = np.flatnonzero(targets.any(axis=1) & (weight > 0))
    ordinary = np.flatnonzero(~targets.any(axis=1) & (weight > 0))
    wanted = max(MAXIMUM_EVENTS - len(labelled), MAXIMUM_EVENTS // 5)
    if len(labelled) + len(ordinary) > MAXIMUM_EVENTS and len(ordinary) > wanted:
        kept = np.sort(np.random.default_rng(0).choice(ordinary, wanted, replace=False))
        scale = weight[ordinary].sum() / weight[kept].sum()
    else:
        kept, scale = ordinary, 1.0
    return np.concatenate([labelled, kept]), np.concatenate([weight[labelled], weight[kept] * scale])


def _power(feature: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(2, 5) average precision of one feature for each label, high values first and low values first."""
    feature = np.asarray(feature, dtype=float)
    missing = np.isnan(feature)
    found = []
    for sign in (-1.0, 1.0):
        key = np.where(missing, np.inf, sign * feature)
        order = np.argsort(key)
        last = np.flatnonzero(np.append(key[order][1:] != key[order][:-1], True)) if len(key) else order
        hits = np.cumsum(targets[order] * weight[order, None], axis=0)[last]
        seen = np.cumsum(weight[order])[last, None]
        gained = np.diff(hits, axis=0, prepend=0.0)
        total = np.maximum(hits[-1:], 1e-12) if len(hits) else np.ones((1, targets.shape[1]))
        found.append((gained * hits / np.maximum(seen, 1e-12)).sum(axis=0) / total[0])
    return np.stack(found)
