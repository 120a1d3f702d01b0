"""How far the features of a night are from those that the model in service has learnt from. No Dagster here.

What it has learnt from is `learnt`'s to say. A feature drifts from the night on which it is farther from that than
chance explains, and than it was in the nights before by much; it goes on until it is so by less.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from barcode_pipeline.configuration import DriftSection
from barcode_pipeline.drift_nights import GOES_ON, INDEX, Drifting, drifting_since
from barcode_pipeline.evaluation.drift import (
    FEWEST_NIGHTS,
    Counts,
    count_shipments,
    feature_shift,
    how_unusual,
    shipment_rows,
    stretch_index,
)
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.steps import DIRECTION_NAMES
from barcode_pipeline.events.text import dictionary_array, dictionary_codes
from barcode_pipeline.events.times import date_text
from barcode_pipeline.learnt import NEAR_SECONDS, Learnt, steps_and_kinds
from barcode_pipeline.sequences.feature_groups import FEATURE_GROUPS
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.tables import feature_matrix
from barcode_pipeline.workspace import Workspace

KINDS = (*DIRECTION_NAMES, "transport")
"""Events whose features are compared by themselves: by direction, arrivals on a known route apart. A longer way shows
in transports, a longer stay in departures; among all others neither would."""
_WATCHED = np.isin(FEATURE_NAMES, ("log_hours_since_previous", "transit_deviation"))
"""Slower or faster goods are what a model minds most: these are judged each by itself. Of all others together one in
`chance` may be wrong."""
OF_GOODS = np.isin(
    FEATURE_NAMES,
    [name for group in ("age", "journey", "made", "lot_site", "lot_way", "lot_pace") for name in FEATURE_GROUPS[group]],
)
"""What tells how old the goods in flight are and how far their lots have come, not how they move. Night after night it
wanders with them, and no test by lots knows by how much: it is compared with the nights right before. Of all others the
nights before end where two of the longest stretch begin, or a change that comes into a stretch night by night would be
what is usual by the time that it is seen."""
_LEAST = 0.02
"""A range of indices that is narrower stands for one of so much."""


@dataclass(frozen=True)
class Drifted:
    """A feature of a kind of event that drifts. sure: chance is ruled out for all features taken together. usual:
    lowest and highest index of the nights before. since: the first night."""

    kind: str
    feature: int
    index: float
    sure: bool
    usual: tuple[float, float]
    since: int

    @property
    def name(self) -> str:
        return f"{self.kind}_{FEATURE_NAMES[self.feature]}"

    def in_words(self) -> str:
        return (
            f"{FEATURE_NAMES[self.feature]} ({self.kind}): population stability index {self.index:.2f} of training, in "
            f"the nights before {self.usual[0]:.2f} to {self.usual[1]:.2f}; drifts since {date_text(self.since)}"
        )


@dataclass(frozen=True)
class Compared:
    """figures: the population stability index of each kind and feature over the shortest stretch of nights, and the
    share of shipments whose step was hardly learnt, which are not compared. drifted: the surest first."""

    figures: dict[str, float]
    drifted: list[Drifted]


@dataclass(frozen=True)
class Shipments:
    """A row per shipment of a night. values: (N, F) float32. step, kind, lot: (N,). unknown: the share of the night's
    shipments that are left out, their step being hardly learnt."""

    values: np.ndarray
    step: np.ndarray
    kind: np.ndarray
    lot: np.ndarray
    unknown: float


class FeatureNights:
    """Nights as they are compared with what was learnt; each is read once."""

    def __init__(self, workspace: Workspace, learnt: Learnt) -> None:
        self._workspace, self._learnt = workspace, learnt
        self.settings = workspace.configuration.drift
        self._shipments: dict[int, Shipments] = {}
        self._counts: dict[int, Counts] = {}
        self._indices: dict[tuple[int, ...], np.ndarray] = {}

    @property
    def needed(self) -> int:
        """Nights before one that say all that is asked of it."""
        return self.settings.against_nights + 3 * max(self.settings.nights)

    def counts(self, day: int) -> Counts:
        if day not in self._counts:
            one = self.shipments(day)
            self._counts[day] = count_shipments(self._learnt.features, one.values, one.step, one.kind, len(KINDS))
        return self._counts[day]

    def index(self, stretch: Sequence[int]) -> np.ndarray:
        """Population stability index over some nights in a row, (K, F)."""
        key = tuple(stretch)
        if key not in self._indices:
            self._indices[key] = stretch_index([self.counts(day) for day in key], self.settings.fewest_shipments)
        return self._indices[key]

    def shipments(self, day: int) -> Shipments:
        if day not in self._shipments:
            self._shipments[day] = self._read(day)
        return self._shipments[day]

    def _read(self, day: int) -> Shipments:
        table = self._workspace.sequences.read([day], ("epc_code", "event_time", "features"))
        codes = dictionary_array(table.column("epc_code"))
        lot = np.append(lot_hashes(codes.dictionary), np.uint64(0))[dictionary_codes(codes)]
        values = feature_matrix(table)
        step, kind = steps_and_kinds(values)
        time = table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)
        rows = shipment_rows(lot, step, time, NEAR_SECONDS)
        known = self._learnt.features.knows(step[rows])
        unknown = float(1 - known.mean()) if len(rows) else 0.0
        rows = rows[known]
        return Shipments(values[rows].astype(np.float32), step[rows], kind[rows], lot[rows], unknown)

    def compare(self, nights: Sequence[int], drifting: Drifting) -> Compared:
        """Compare the last of some nights, together with so many before it as the configuration says, with what was
        learnt, and with how the nights before compare.

        nights: with enough rows, ascending. drifting: what drifted in them and since when, by night. A longer stretch
        sees what is too small for a single night.
        """
        settings, tonight = self.settings, nights[-1]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.counts, nights))
        figures = {"unseen_steps": self.shipments(tonight).unknown}
        found: dict[str, Drifted] = {}
        for length in sorted(settings.nights):
            if len(nights) < length:
                continue
            ends = np.array(nights[length - 1 :])
            index = np.stack([self.index(nights[place : place + length]) for place in range(len(ends))])
            for place, word in enumerate(KINDS):
                if np.isnan(index[-1, place]).any():
                    continue
                if length == min(settings.nights):
                    named = zip(FEATURE_NAMES, index[-1, place].tolist(), strict=True)
                    figures |= {f"{INDEX}{word}_{name}": value for name, value in named}
                for one in self._drifted(nights[-length:], ends, index[:, place], place, drifting):
                    before = found.get(one.name)
                    found[one.name] = one if before is None or one.sure > before.sure else before
        return Compared(figures, sorted(found.values(), key=lambda one: (-one.sure, -one.index)))

    def _drifted(
        self,
        stretch: Sequence[int],
        ends: np.ndarray,
        index: np.ndarray,
        kind: int,
        drifting: Drifting,
    ) -> list[Drifted]:
        """The features of a kind that drift over a stretch of nights. ends: (D,), the nights on which stretches of that
        length end, the last of them tonight. index: (D, F)."""
        settings, word, tonight = self.settings, KINDS[kind], int(ends[-1])
        likely, sure = self._unlike(stretch, kind)
        last = drifting_since(drifting, ends[:-1].tolist())
        begins = likely & (index[-1] >= settings.index_warn)
        goes_on = np.array([f"{word}_{name}" in last for name in FEATURE_NAMES])
        found = []
        for feature in np.flatnonzero(begins | goes_on):
            name = f"{word}_{FEATURE_NAMES[feature]}"
            quiet = np.array([name not in drifting.get(int(day), {}) for day in ends])
            usual = _usual(index[:, feature], quiet, 0 if OF_GOODS[feature] else 2 * max(settings.nights), settings)
            if len(usual) < FEWEST_NIGHTS:
                continue
            now = float(index[-1, feature])
            off = how_unusual(now, usual, _LEAST)
            least = settings.unusual * (GOES_ON if goes_on[feature] else 1)
            if off >= least:
                range_ = float(usual.min()), float(usual.max())
                since = last.get(name, tonight)
                found.append(Drifted(word, int(feature), now, bool(sure[feature]), range_, since))
        return found

    def _unlike(self, stretch: Sequence[int], kind: int) -> tuple[np.ndarray, np.ndarray]:
        """(features of a kind that chance alone hardly makes so different, those that it does not), (F,) bool each."""
        some = [self.shipments(day) for day in stretch]
        chosen = [one.kind == kind for one in some]
        values, step, lot = (
            np.concatenate([getattr(one, name)[rows] for one, rows in zip(some, chosen, strict=True)])
            for name in ("values", "step", "lot")
        )
        shift, chance = feature_shift(self._learnt.features, values, step, lot), self.settings.chance
        sure = np.minimum(shift.chance, shift.moved) < chance / (len(FEATURE_NAMES) * len(KINDS))
        return sure | (_WATCHED & (shift.moved < chance)), sure


def _usual(index: np.ndarray, quiet: np.ndarray, apart: int, settings: DriftSection) -> np.ndarray:
    """The indices of the last nights, but for the last `apart` ones and tonight, on which a feature did not drift."""
    before = index[: max(0, len(index) - 1 - apart)][quiet[: max(0, len(index) - 1 - apart)]]
    return before[~np.isnan(before)][-settings.against_nights :]
