"""Which lots a night looks at: a sample of bounded size, however long the history. Nothing is read here.

Lots are looked at whole, since features look at the shipment. *Live* lots were seen lately: they are what is new, and
those of them that were seen in the newest days are what models are judged on. *Replayed* lots are older: what was
learnt from them is not to be forgotten. Both are drawn by a hash of lot and night, so that the same night draws the
same lots, and other nights others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from barcode_pipeline.events.lot_index import LotDates
from barcode_pipeline.sequences.split import is_held_out, is_validation


@dataclass(frozen=True)
class NightSample:
    """live_events, replay_events: how many events the lots of each kind hold, about: the lot with which it is reached
    is the last. replay_days: how far back lots are looked at. held_out_lots, validation_lots: as the split has them."""

    live_events: int
    replay_events: int
    replay_days: int
    held_out_lots: int
    validation_lots: int


@dataclass(frozen=True)
class NightLots:
    """live, replayed: (n,) uint64 hashes of lots, ascending. first_day: earlier dates are not looked at."""

    live: np.ndarray
    replayed: np.ndarray
    first_day: int

    @property
    def every(self) -> np.ndarray:
        return np.union1d(self.live, self.replayed)


def choose_lots(index: LotDates, newest: int, live_from: int, sample: NightSample) -> NightLots:
    """The lots of the night of a day. newest: that day. live_from: lots with a row from this day on are live.

    Of live lots held-out ones are drawn first, until they fill a third: they are few, and headline figures are theirs.
    Of older lots none is held out, nothing being learnt from those; half are validation's: thresholds need many lots.
    """
    first_day = newest - sample.replay_days + 1
    near = (index.day >= first_day) & (index.day <= newest)
    lots, place = np.unique(index.lot[near], return_inverse=True)
    events = np.bincount(place, index.rows[near], len(lots)).astype(np.int64)
    live = np.zeros(len(lots), dtype=bool)
    live[place[index.day[near] >= live_from]] = True
    bucket = np.zeros(len(lots), dtype=np.uint32)
    bucket[place] = index.bucket[near]
    held_out = is_held_out(bucket, sample.held_out_lots)
    validation = is_validation(bucket, sample.held_out_lots, sample.validation_lots)
    drawn = np.argsort(_mixed(lots ^ _mixed(np.array([newest], dtype=np.uint64))), kind="stable")
    chosen_live = _with_some_first(drawn[live[drawn]], held_out, events, sample.live_events, sample.live_events // 3)
    older = drawn[~live[drawn] & ~held_out[drawn]]
    replayed = _with_some_first(older, validation, events, sample.replay_events, sample.replay_events // 2)
    return NightLots(np.sort(lots[chosen_live]), np.sort(lots[replayed]), first_day)


def _with_some_first(lots: np.ndarray, some: np.ndarray, events: np.ndarray, budget: int, of_some: int) -> np.ndarray:
    """Lots that hold `budget` events, about: of those in `some` (bool by lot) up to `of_some`, then of the others."""
    first = _until(lots[some[lots]], events, of_some)
    return np.concatenate([first, _until(lots[~some[lots]], events, budget - int(events[first].sum()))])


def _until(lots: np.ndarray, events: np.ndarray, budget: int) -> np.ndarray:
    """The first of some lots, up to the one with which they hold `budget` events."""
    before = np.cumsum(events[lots]) - events[lots]
    return lots[before < budget]


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64: every bit of the result depends on every bit of the value."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))
