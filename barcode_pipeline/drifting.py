"""Drift of some nights, from what lies on disk; its figures stay there, a file per date. No Dagster here.

Features are compared with what the model in service has learnt from; all other figures with the nights before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.evaluation.drift import (
    how_unusual,
    score_counts,
    stability_index,
    went_silent,
)
from barcode_pipeline.evaluation.report_plots import DriftOverTime
from barcode_pipeline.events.formats import ALERTS, LABELS, PROBABILITIES
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.steps import LEVEL_NAMES
from barcode_pipeline.events.text import dictionary_array, dictionary_codes
from barcode_pipeline.events.times import date_text, day_of
from barcode_pipeline.feature_drift import INDEX, Learnt, compare_features, learnt_from, places_and_products
from barcode_pipeline.workspace import Workspace

OF_SEQUENCES, OF_SCORES = "epc_sequences", "event_scores"
FINE, WARN, ERROR = range(3)
_LEAST = 0.002
"""A share that moves by less is no figure to wonder about, however still it stood before."""
_PLOTTED = 120
_OF_ALL_FEATURES = ("features_drifted", "highest_index")
_SALE = LEVEL_NAMES[-1]


@dataclass(frozen=True)
class Drift:
    """What was found of a date. level: `FINE`, `WARN` or `ERROR`. figures: by name. reasons: in words."""

    day: int
    rows: int
    level: int
    figures: dict[str, float]
    reasons: list[str]


def sequences_drift(workspace: Workspace, days: Sequence[int]) -> list[Drift]:
    """Of the features, rule labels, places, products and lots of some dates, and of journeys without an end."""
    reference, nights = learnt_from(workspace), _Nights(workspace)
    silent = _went_silent(workspace, days)

    def figures(day: int) -> tuple[dict[str, float], list[tuple[int, str]]]:
        found, said = _features(workspace, day, reference, nights) if reference else ({}, [])
        labels = workspace.labels.read([day], LABELS)
        found |= {f"{name}_rate": _share(labels.column(name)) for name in LABELS}
        found |= _unseen(workspace, day, reference)
        return found | {"silent_epcs": silent[day]}, said

    return _judged(workspace, OF_SEQUENCES, days, figures, nights)


def scores_drift(workspace: Workspace, days: Sequence[int]) -> list[Drift]:
    """Of the alerts and probabilities of some dates."""
    against, nights = workspace.configuration.drift.against_nights, _Nights(workspace)
    counts: dict[int, np.ndarray] = {}

    def counts_of(day: int) -> np.ndarray:
        if day not in counts:
            scores = workspace.scores.read([day], PROBABILITIES)
            counts[day] = score_counts(np.column_stack([scores.column(name).to_numpy() for name in PROBABILITIES]))
        return counts[day]

    def figures(day: int) -> tuple[dict[str, float], list[tuple[int, str]]]:
        alerts = workspace.scores.read([day], ALERTS)
        found = {f"{name}_rate": _share(alerts.column(name)) for name in ALERTS}
        before = [counts_of(one) for one in nights.before(day, against)]
        if before:
            index = stability_index(np.sum(before, axis=0), counts_of(day))
            found |= {f"{name}_stability": float(value) for name, value in zip(PROBABILITIES, index, strict=True)}
        return found, []

    return _judged(workspace, OF_SCORES, days, figures, nights)


# ------------------------------------------------------------------ judging


_Figures = Callable[[int], tuple[dict[str, float], list[tuple[int, str]]]]


def _judged(workspace: Workspace, part: str, days: Sequence[int], figures: _Figures, nights: _Nights) -> list[Drift]:
    """The figures of each date with the reasons to wonder; they are written, and earlier ones are what is usual."""
    settings = workspace.configuration.drift
    found = []
    for day in sorted(days):
        rows = nights.rows(day)
        if rows < settings.lowest_rows:
            _write(workspace, part, day, {})
            found.append(Drift(day, rows, FINE, {}, []))
            continue
        own, said = figures(day)
        usual = _usual(workspace, part, nights.before(day, settings.against_nights))
        for name, value in own.items():
            if name.startswith(INDEX) or name in _OF_ALL_FEATURES or np.isnan(value):
                continue
            off = how_unusual(value, usual.get(name, np.zeros(0)), _LEAST)
            if off >= settings.unusual:
                lowest, highest = float(np.nanmin(usual[name])), float(np.nanmax(usual[name]))
                level = ERROR if off >= 3 * settings.unusual else WARN
                said.append((level, f"{name} is {value:.4f}, in the nights before {lowest:.4f} to {highest:.4f}"))
        _write(workspace, part, day, own)
        level = max((level for level, _ in said), default=FINE)
        found.append(Drift(day, rows, level, own, [text for _, text in sorted(said, key=lambda one: -one[0])]))
    return found


def drift_figures(workspace: Workspace, part: str, days: Iterable[int]) -> pa.Table:
    """The figures on disk of some dates: date, figure, value."""
    return workspace.drift(part).read(days)


def drift_over_time(workspace: Workspace) -> DriftOverTime:
    """The figures of the last nights that were judged, for a plot."""
    tables = []
    for part in (OF_SEQUENCES, OF_SCORES):
        table = drift_figures(workspace, part, workspace.drift(part).days()[-_PLOTTED:]).to_pandas()
        tables.append(table[~table["figure"].astype(str).str.startswith(INDEX)])
    long = pd.concat(tables).astype({"figure": str})
    figures = long.pivot(index="date", columns="figure", values="value").sort_index()
    return DriftOverTime(
        figures.index.to_numpy().astype("datetime64[D]"), {name: figures[name].to_numpy() for name in figures}
    )


def _usual(workspace: Workspace, part: str, nights: Sequence[int]) -> dict[str, np.ndarray]:
    """The figures of the nights before, by name."""
    table = drift_figures(workspace, part, nights)
    names = dictionary_array(table.column("figure"))
    codes, values = dictionary_codes(names), table.column("value").to_numpy()
    return {name: values[codes == code] for code, name in enumerate(names.dictionary.to_pylist())}


class _Nights:
    """The dates that have enough rows to say something; each is counted once."""

    def __init__(self, workspace: Workspace) -> None:
        self._store, self._lowest = workspace.enriched, workspace.configuration.drift.lowest_rows
        self._days = self._store.days()
        self._rows: dict[int, int] = {}

    def rows(self, day: int) -> int:
        if day not in self._rows:
            self._rows[day] = self._store.rows(day) or 0
        return self._rows[day]

    def before(self, day: int, count: int) -> list[int]:
        """The last ones before a day, none of them long before it."""
        found: list[int] = []
        for one in reversed(self._days[: bisect_left(self._days, day)]):
            if len(found) == count or one < day - 3 * count:
                break
            if self.rows(one) >= self._lowest:
                found.append(one)
        return found[::-1]


def _write(workspace: Workspace, part: str, day: int, figures: dict[str, float]) -> None:
    store = workspace.drift(part)
    names = pa.array(list(figures), pa.string()).dictionary_encode()
    date = pa.array([day] * len(figures), pa.int32()).cast(pa.date32())
    values = pa.array(list(figures.values()), pa.float64())
    table = pa.table([date, names, values], schema=store.schema.remove_metadata())
    store.write(table, np.full(len(table), day), [day])


def _share(column: pa.ChunkedArray) -> float:
    return float(pc.mean(column).as_py())


# ------------------------------------------------------------------ features


def _features(
    workspace: Workspace, day: int, learnt: Learnt, nights: _Nights
) -> tuple[dict[str, float], list[tuple[int, str]]]:
    settings = workspace.configuration.drift
    compared = compare_features(workspace, [*nights.before(day, max(settings.nights) - 1), day], learnt)
    figures, said = dict(compared.figures), []
    for one in compared.drifted:
        said.append((ERROR if one.sure and one.index >= settings.index_error else WARN, one.in_words()))
    indices = [value for name, value in figures.items() if name.startswith(INDEX)]
    if indices:
        drifted, highest = _OF_ALL_FEATURES
        figures |= {drifted: float(len(said)), highest: max(indices)}
    return figures, said


# ------------------------------------------------------------------ places, products, lots, journeys


def _unseen(workspace: Workspace, day: int, learnt: Learnt | None) -> dict[str, float]:
    """Share of a date's rows at places, of products and of lots that were not seen before."""
    places, products, place, product = places_and_products(workspace, [day])
    found = {}
    if learnt is not None:
        new_place = np.array([name not in learnt.places for name in places], dtype=bool)
        new_product = np.array([name not in learnt.products for name in products] + [False], dtype=bool)
        found = {
            "unseen_sites": float(new_place[place].mean()),
            "unseen_products": float(new_product[product].mean()),
        }
    index = workspace.lots.read()
    seen = index.lots_of(one for one in index.seen.tolist() if one < day)
    codes = dictionary_array(workspace.enriched.read([day], ("epc_code",)).column("epc_code"))
    new_lot = np.append(~np.isin(lot_hashes(codes.dictionary), seen), False)
    return {**found, "unseen_lots": float(new_lot[dictionary_codes(codes)].mean())}


def _went_silent(workspace: Workspace, days: Sequence[int]) -> dict[int, float]:
    """Share of journeys without an end, by date."""
    after = workspace.configuration.drift.silent_days
    if not days:
        return {}
    there = [day for day in workspace.enriched.days() if min(days) - after <= day <= max(days)]
    table = workspace.enriched.read(there, ("epc_code", "event_time", "level"))
    level = dictionary_array(table.column("level"))
    ended = np.append(np.array([word == _SALE for word in level.dictionary.to_pylist()], bool), False)
    day = day_of(table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64))
    epc = dictionary_codes(dictionary_array(table.column("epc_code")))
    shares = went_silent(epc, day, ended[dictionary_codes(level)], np.array(days), after)
    return dict(zip(days, shares.tolist(), strict=True))


def shown(drift: Drift) -> dict[str, Any]:
    """The figures of a date that stand in the page: all but the index of each feature, of which the highest."""
    single = {name: value for name, value in drift.figures.items() if not name.startswith(INDEX)}
    highest = sorted(((value, name) for name, value in drift.figures.items() if name.startswith(INDEX)), reverse=True)[
        :10
    ]
    return {
        **{name: value for name, value in single.items() if not np.isnan(value)},
        "highest_indices": {name.removeprefix(INDEX): round(value, 3) for value, name in highest},
        "reasons": drift.reasons,
    }


def in_words(drift: Drift) -> str:
    """One line."""
    if not drift.figures:
        return f"{date_text(drift.day)}: too few rows to judge by ({drift.rows:,})"
    said = "; ".join(drift.reasons[:4]) + (f"; {len(drift.reasons) - 4} more" if len(drift.reasons) > 4 else "")
    return f"{date_text(drift.day)}: " + (said or "nothing unusual")
