"""Which events are most worth an investigator's verdict: a mix per label and reason, spread over lots.

A list by the model's doubts misses what the model is blind to, a list by rarity misses what is not rare, and random
events hardly ever hold an anomaly: so each reason has its turn. Pure columns in, rows out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from barcode_pipeline.events.formats import LABELS

REASONS = ("unsure", "disagree", "suspected", "rare", "rare_group")
"""The model is near its threshold; rules and model disagree; of what is far from being an alert it is suspected
most, and there the second opinion is heard most; rare for its lot in what the label is about; items that travel
together are."""
UNSURE, DISAGREE, SUSPECTED, RARE, RARE_GROUP = range(len(REASONS))
TURNS = (UNSURE, SUSPECTED, DISAGREE, SUSPECTED, RARE, SUSPECTED, RARE_GROUP)
"""What is asked for in turn. Most of what nobody knows is found by the second opinion."""
FAR_FROM_ALERT = 0.3
"""Up to this probability what may be wrong is far from being an alert: of those the most suspect are "suspected"."""
GROUP = 5
"""Items that travel together and are judged by their mean rarity, from this many on: chance has no part in a mean,
so a group stands out that is no rarer, item by item, than many others."""
PER_LOT = 3
"""Questions per lot, as long as other lots have any left; then twice as many, and so on."""


@dataclass(frozen=True)
class ReviewList:
    """What to ask, the most valuable first. row: (K,) int64. label, reason: (K,) int8 into `LABELS`, `REASONS`."""

    row: np.ndarray
    label: np.ndarray
    reason: np.ndarray

    def __len__(self) -> int:
        return len(self.row)


def review_list(
    probabilities: np.ndarray,
    thresholds: np.ndarray,
    rule_labels: np.ndarray,
    rarity: np.ndarray,
    lot: np.ndarray,
    copies: np.ndarray,
    asked: np.ndarray,
    count: int,
    seed: int,
    candidates: np.ndarray | None = None,
) -> ReviewList:
    """At most `count` questions, label by label and reason by reason in turn.

    probabilities, rule_labels, asked: (N, 5); asked: labels that have a verdict. thresholds: (5,). rarity: (N, 5) or
    (N,), `rarity.lot_rarity`. lot: (N,) int. copies: (N,) int, equal for near copies (`near_copies`), of which one is
    asked about. candidates: (N,) bool, all by default. Of equal events the seed decides.
    """
    groups = _Groups(copies, np.random.default_rng(seed).permutation(len(lot)))
    free = ~asked if candidates is None else ~asked & candidates[:, None]
    # A near copy of what has a verdict is answered.
    free &= ~groups.any(asked)
    rare = np.broadcast_to(rarity if rarity.ndim == 2 else rarity[:, None], probabilities.shape)
    scores = _scores(probabilities, thresholds, rule_labels, rare, groups.mean_of_large(rare))
    best = {
        (reason, label): groups.best(np.where(free[:, label], score[:, label], -np.inf))
        for reason, score in scores.items()
        for label in range(len(LABELS))
    }
    queues = [(label, reason, best[reason, label]) for reason in TURNS for label in range(len(LABELS))]
    picked = _in_turn(queues, lot, groups.group, count)
    row, label, reason = (np.array([pick[place] for pick in picked], dtype=np.int64) for place in range(3))
    return ReviewList(row, label.astype(np.int8), reason.astype(np.int8))


def near_copies(*alike: np.ndarray) -> np.ndarray:
    """A number per group of events that agree in all these columns, (N,) int64. Items of one lot that are scanned in
    one second at one place travel together: what is true of one is true of the others, unless their codes differ."""
    # pandas groups by no float16.
    columns = (column.astype(np.float32) if column.dtype == np.float16 else column for column in alike)
    table = pd.DataFrame(dict(enumerate(columns)))
    return table.groupby(list(table.columns), sort=False, dropna=False).ngroup().to_numpy()


def _scores(
    probabilities: np.ndarray,
    thresholds: np.ndarray,
    rule_labels: np.ndarray,
    rarity: np.ndarray,
    rarity_of_group: np.ndarray,
) -> dict[int, np.ndarray]:
    """How much each reason speaks for asking, (N, 5) by reason; -inf where it does not at all."""
    probability = np.asarray(probabilities, dtype=np.float64)
    bounded = np.clip(probability, 1e-7, 1 - 1e-7)
    unsure = -np.abs(logit(bounded) - logit(np.clip(thresholds, 1e-7, 1 - 1e-7)))
    disagree = np.abs(probability - rule_labels)
    alerts = probability >= thresholds
    disagree[alerts == rule_labels] = -np.inf
    # What rules or model have found already is no longer unheard of.
    unheard = ~alerts & ~rule_labels
    return {
        UNSURE: unsure,
        DISAGREE: disagree,
        SUSPECTED: np.where(unheard & (probability <= FAR_FROM_ALERT), probability, -np.inf),
        RARE: np.where(unheard & (rarity > 0), rarity, -np.inf),
        RARE_GROUP: np.where(unheard & (rarity_of_group > 0), rarity_of_group, -np.inf),
    }


class _Groups:
    """Near copies side by side. Linear work per question, but for one sort."""

    def __init__(self, copies: np.ndarray, tie: np.ndarray) -> None:
        self.group = np.unique(copies, return_inverse=True)[1]
        self.order = np.lexsort((tie, self.group))
        self.start = np.flatnonzero(np.diff(self.group[self.order], prepend=-1))
        self.tie = tie[self.order][self.start]

    def any(self, events: np.ndarray) -> np.ndarray:
        """Whether any near copy of each event is among `events`, (N, 5) bool."""
        if not len(self.order):
            return events
        return np.logical_or.reduceat(events[self.order], self.start, axis=0)[self.group]

    def mean_of_large(self, values: np.ndarray) -> np.ndarray:
        """The mean over the near copies of each event, (N, 5); 0 in groups of fewer than `GROUP`."""
        if not len(self.order):
            return values
        size = np.diff(np.append(self.start, len(self.order)))
        mean = np.add.reduceat(values[self.order], self.start, axis=0, dtype=np.float64) / size[:, None]
        return np.where(size[:, None] >= GROUP, mean, 0.0)[self.group]

    def best(self, score: np.ndarray) -> np.ndarray:
        """The event of highest score of each group, the best group first; groups at -inf are left out."""
        if not len(self.order):
            return self.order
        ordered = score[self.order]
        highest = np.maximum.reduceat(ordered, self.start)
        is_highest = np.flatnonzero(ordered == highest[self.group[self.order]])
        first = is_highest[np.flatnonzero(np.diff(self.group[self.order[is_highest]], prepend=-1))]
        there = np.flatnonzero(highest > -np.inf)
        ranking = there[np.lexsort((self.tie[there], -highest[there]))]
        return self.order[first[ranking]]


def _in_turn(
    queues: list[tuple[int, int, np.ndarray]], lot: np.ndarray, group: np.ndarray, count: int
) -> list[tuple[int, int, int]]:
    """(row, label, reason): one of each queue in turn, no event twice, of near copies one per label.

    The loop goes over questions, not over events.
    """
    picked: list[tuple[int, int, int]] = []
    rows: set[int] = set()
    groups: set[tuple[int, int]] = set()
    of_lot: dict[int, int] = {}
    cap = PER_LOT
    while len(picked) < count and any(len(rows_of_queue) for _, _, rows_of_queue in queues):
        found = len(picked)
        skipped = False
        places = [0] * len(queues)
        while len(picked) < count and any(place < len(queue[2]) for place, queue in zip(places, queues, strict=True)):
            for number, (label, reason, queue) in enumerate(queues):
                while places[number] < len(queue) and len(picked) < count:
                    row = int(queue[places[number]])
                    places[number] += 1
                    key = (int(group[row]), label)
                    if row in rows or key in groups:
                        continue
                    if of_lot.get(int(lot[row]), 0) >= cap:
                        skipped = True
                        continue
                    rows.add(row)
                    groups.add(key)
                    of_lot[int(lot[row])] = of_lot.get(int(lot[row]), 0) + 1
                    picked.append((row, label, reason))
                    break
        if not skipped and len(picked) == found:
            break
        cap *= 2
    return picked
