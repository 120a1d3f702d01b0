"""Whether a feature that has one value on all or nearly all events of a night can have come about by chance.

Columns in, chances out. What is looked at when, and what becomes of it, is `constant_features`'s to say.

Events of one lot and step move together, so these are what a night draws, and of what the lot's own code decides the
lots: of a night of one lot nothing can be told, however many events it has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

NEARLY_ALL = 0.99
"""Share of events from which on a value is that of all: some rows a stuck column does not reach, those without a code,
say."""
VALUES = 8
"""Most frequent values of a feature and step whose share is kept. A rarer one is as frequent as the last of them, at
most."""
_DEVIATIONS = 2.0
"""A share is known from so many lots and no better: what is taken for it lies so many standard deviations higher."""


@dataclass(frozen=True)
class Usual:
    """How often each feature has which value at each of S - 1 steps, and last at all steps together.

    values: (S, F, 8) uint16, bits of the most frequent ones, by share. shares: (S, F, 8) float32, of lots on a day.
    lots: (S,), their number; without any, nothing is known.
    """

    values: np.ndarray
    shares: np.ndarray
    lots: np.ndarray


@dataclass(frozen=True)
class Constant:
    """A feature that has one value on nearly all events. events: that have it. lots: that were drawn, or places.
    chance: of that, at most."""

    feature: int
    value: float
    events: int
    lots: int
    chance: float


def learn_usual(
    values: np.ndarray, step: np.ndarray, lot: np.ndarray, day: np.ndarray, steps: int, times: np.ndarray | None = None
) -> Usual:
    """values: (N, F) float16, a row per shipment. step: (N,) below `steps`. lot, day: (N,). times: (N,), for how many
    rows each stands, 1 where not given. Each day of a lot weighs the same: a night is drawn from these."""
    times = np.ones(len(step)) if times is None else times
    bits = _bits(values)
    shape = (steps + 1, bits.shape[1], VALUES)
    frequent, shares = np.zeros(shape, np.uint16), np.zeros(shape, np.float32)
    lots = np.zeros(steps + 1, np.int64)
    of_lot, of_day = (np.unique(each, return_inverse=True)[1] for each in (lot, day))
    lot_day = of_lot * (of_day.max(initial=0) + 1) + of_day
    for place in (*np.unique(step), steps):
        chosen = step == place if place < steps else np.ones(len(step), dtype=bool)
        lot_days, of_row = np.unique(lot_day[chosen], return_inverse=True)
        lots[place] = len(np.unique(of_lot[chosen]))
        counts = np.bincount(of_row, times[chosen], len(lot_days))
        weight = times[chosen] / counts[of_row] / max(len(lot_days), 1)
        for feature, column in enumerate(bits[chosen].T):
            distinct, at = np.unique(column, return_inverse=True)
            share = np.bincount(at, weights=weight)
            first = np.argsort(-share, kind="stable")[:VALUES]
            frequent[place, feature, : len(first)] = distinct[first]
            shares[place, feature, : len(first)] = share[first]
    return Usual(frequent, shares, lots)


def nearly_constant(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(features that have one value on nearly all events, ascending, the bits of those values). values: (N, F) float16,
    N > 0."""
    bits = _bits(values)
    found = []
    for feature, column in enumerate(bits.T):
        # What nearly all have, the middle one has.
        middle = np.partition(column, len(column) // 2)[len(column) // 2]
        if (column == middle).mean() >= NEARLY_ALL:
            found.append((feature, middle))
    features, middles = zip(*found, strict=True) if found else ((), ())
    return np.array(features, dtype=np.int64), np.array(middles, dtype=np.uint16)


def chances_of_constants(
    usual: Usual, values: np.ndarray, step: np.ndarray, lot: np.ndarray, of_lot: np.ndarray
) -> list[Constant]:
    """The features that have one value on nearly all events, with the chance of that at most, the least likely first.

    values: (N, F) float16, N > 0. step, lot: (N,). of_lot: (F,) bool, what is decided by the lot and is as good as the
    same at all its steps: the step at which the value is rarest speaks for the lot.
    """
    features, bits = nearly_constant(values)
    steps, every = len(usual.lots) - 1, _bits(values)[:, features]
    lots, of_row = np.unique(lot, return_inverse=True)
    cells, of_row = np.unique(of_row * steps + step, return_inverse=True)
    cell_lot, cell_step = np.divmod(cells, steps)
    order = np.argsort(of_row, kind="stable")
    other = np.logical_or.reduceat((every != bits)[order], _starts(of_row[order]), axis=0).T
    share = np.log(highest_share(usual, features, bits)[:, cell_step])
    first = _starts(cell_lot)
    chance = np.where(
        of_lot[features],
        _chance(np.minimum.reduceat(share, first, axis=1), np.logical_or.reduceat(other, first, axis=1).sum(axis=1)),
        _chance(share, other.sum(axis=1)),
    )
    found = [
        Constant(int(feature), float(value), int(events), len(lots), float(its_chance))
        for feature, value, events, its_chance in zip(
            features, bits.view(np.float16), (every == bits).sum(axis=0), chance, strict=True
        )
    ]
    return sorted(found, key=lambda one: one.chance)


def _chance(share: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of all but so many of what is drawn having a value, at most, (C,): whichever these are, and were they those that
    have it least. share: (C, n) log. others: (C,)."""
    drawn = share.shape[1]
    sums = np.concatenate([np.zeros((len(share), 1)), np.cumsum(-np.sort(-share, axis=1), axis=1)], axis=1)
    ways = gammaln(drawn + 1) - gammaln(others + 1) - gammaln(drawn - others + 1)
    return np.exp(np.clip(sums[np.arange(len(share)), drawn - others] + ways, -700, 0))


def _starts(ascending: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.append(True, np.diff(ascending) != 0))


def highest_share(usual: Usual, features: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """The share of a value of each of some features, by step, as high as it can reasonably be, (C, S); 1 where nothing
    is known. features, bits: (C,)."""
    same = usual.values[:, features] == bits[:, None]
    shares = usual.shares[:, features]
    known = np.where(same & (shares > 0), shares, 0).max(axis=2)
    # Of what is none of the frequent values the share is no higher than that of the last of them.
    share = np.where((same & (shares > 0)).any(axis=2), known, shares[:, :, -1]).T.astype(np.float64)
    lots = np.maximum(usual.lots, 1)
    spread = _DEVIATIONS**2 / lots
    highest = (share + spread / 2 + np.sqrt(spread * (share * (1 - share) + spread / 4))) / (1 + spread)
    return np.where(usual.lots > 0, np.minimum(highest, 1), 1.0)


def _bits(values: np.ndarray) -> np.ndarray:
    """Equal for equal values: a missing number equals itself, zero has no sign."""
    return (np.asarray(values, dtype=np.float16) + np.float16(0)).view(np.uint16)
