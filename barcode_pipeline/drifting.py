"""Drift of some nights, from what lies on disk; its figures stay there, a file per date. No Dagster here.

Features are compared with what the model in service has learnt from; all other figures with the nights before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.configuration import DriftSection
from barcode_pipeline.drift_nights import (
    GOES_ON,
    INDEX,
    OF_SCORES,
    OF_SEQUENCES,
    SINCE,
    JudgedNights,
    drift_figures,
    drifting_in,
    drifting_since,
    is_single,
    usual_figures,
    write_figures,
)
from barcode_pipeline.evaluation.drift import how_unusual, score_counts, stability_index, went_silent
from barcode_pipeline.evaluation.report_plots import DriftOverTime
from barcode_pipeline.events.formats import ALERTS, LABELS, PROBABILITIES
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.steps import LEVEL_NAMES
from barcode_pipeline.events.text import dictionary_array, dictionary_codes
from barcode_pipeline.events.times import date_text, day_of
from barcode_pipeline.feature_drift import OF_GOODS, FeatureNights
from barcode_pipeline.learnt import Learnt, learnt_from, places_and_products
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.workspace import Workspace

FINE, WARN, ERROR = range(3)
_LEAST = 0.002
"""A share that moves by less is no figure to wonder about, however still it stood before."""
_ERROR_FROM = 1.5
"""How many times as far as what is warned of an error is."""
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
    reference, nights = learnt_from(workspace), JudgedNights(workspace)
    features = None if reference is None else FeatureNights(workspace, reference)
    silent = _went_silent(workspace, days)

    def figures(day: int) -> tuple[dict[str, float], list[tuple[int, str]]]:
        found, said = _features(workspace, day, features, nights) if features else ({}, [])
        labels = workspace.labels.read([day], LABELS)
        found |= {f"{name}_rate": _share(labels.column(name)) for name in LABELS}
        found |= _unseen(workspace, day, reference)
        return found | {"silent_epcs": silent[day]}, said

    return _judged(workspace, OF_SEQUENCES, days, figures, nights)


def scores_drift(workspace: Workspace, days: Sequence[int]) -> list[Drift]:
    """Of the alerts and probabilities of some dates."""
    against, nights = workspace.configuration.drift.against_nights, JudgedNights(workspace)
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


def _judged(
    workspace: Workspace, part: str, days: Sequence[int], figures: _Figures, nights: JudgedNights
) -> list[Drift]:
    """The figures of each date with the reasons to wonder; they are written, and earlier ones are what is usual."""
    settings = workspace.configuration.drift
    found = []
    for day in sorted(days):
        rows = nights.rows(day)
        if rows < settings.lowest_rows:
            write_figures(workspace, part, day, {})
            found.append(Drift(day, rows, FINE, {}, []))
            continue
        own, said = figures(day)
        before = nights.before(day, settings.against_nights)
        since, told = _unusual(settings, own, drift_figures(workspace, part, before), before, day)
        # Alerts that another model or another budget gives are news for once.
        own, said = {**own, **(since if part == OF_SEQUENCES else {})}, [*said, *told]
        write_figures(workspace, part, day, own)
        level = max((level for level, _ in said), default=FINE)
        found.append(Drift(day, rows, level, own, [text for _, text in sorted(said, key=lambda one: -one[0])]))
    return found


def _unusual(
    settings: DriftSection, figures: Mapping[str, float], past: pa.Table, before: Sequence[int], day: int
) -> tuple[dict[str, float], list[tuple[int, str]]]:
    """Of the figures of a date that are single: since when those drift that do, and what there is to tell of those that
    are unusual. A figure drifts from the night on which it is unusual until it is no longer by half; nights on which it
    does do not say what is usual. past: the figures of the nights before."""
    usual, last = usual_figures(past, before), drifting_since(drifting_in(past), before)
    since, told = {}, []
    for name, value in figures.items():
        if not is_single(name) or name in _OF_ALL_FEATURES or np.isnan(value):
            continue
        off = how_unusual(value, usual.get(name, np.zeros(0)), _LEAST)
        if not off >= settings.unusual * (GOES_ON if name in last else 1):
            continue
        lowest, highest = float(np.nanmin(usual[name])), float(np.nanmax(usual[name]))
        words = f"{name} is {value:.4f}, in the nights before {lowest:.4f} to {highest:.4f}"
        since[f"{SINCE}{name}"] = float(last.get(name, day))
        told.append((ERROR if off >= _ERROR_FROM * settings.unusual else WARN, words))
    return since, told


def drift_over_time(workspace: Workspace) -> DriftOverTime:
    """The figures of the last nights that were judged, for a plot."""
    tables = []
    for part in (OF_SEQUENCES, OF_SCORES):
        table = drift_figures(workspace, part, workspace.drift(part).days()[-_PLOTTED:]).to_pandas()
        tables.append(table[np.array([is_single(name) for name in table["figure"].astype(str)], dtype=bool)])
    long = pd.concat(tables).astype({"figure": str})
    figures = long.pivot(index="date", columns="figure", values="value").sort_index()
    return DriftOverTime(
        figures.index.to_numpy().astype("datetime64[D]"), {name: figures[name].to_numpy() for name in figures}
    )


def _share(column: pa.ChunkedArray) -> float:
    return float(pc.mean(column).as_py())


# ------------------------------------------------------------------ features


def _features(
    workspace: Workspace, day: int, features: FeatureNights, nights: JudgedNights
) -> tuple[dict[str, float], list[tuple[int, str]]]:
    settings = features.settings
    before = nights.before(day, features.needed)
    drifting = drifting_in(drift_figures(workspace, OF_SEQUENCES, before))
    compared = features.compare([*before, day], drifting)
    figures, said = dict(compared.figures), []
    for one in compared.drifted:
        said.append((ERROR if one.sure and one.index >= settings.index_error else WARN, one.in_words()))
        figures[f"{SINCE}{one.name}"] = float(one.since)
    indices = [value for name, value in figures.items() if name.startswith(INDEX)]
    if indices:
        drifted, highest = _OF_ALL_FEATURES
        figures |= {drifted: float(len(said)), highest: max(indices)}
    return figures, said


@dataclass(frozen=True)
class Lasting:
    """A feature or another figure that has drifted for many nights. since: the first of them."""

    name: str
    nights: int
    since: int

    def in_words(self) -> str:
        return f"{self.name} has drifted for {self.nights} nights, since {date_text(self.since)}"


def lasting_drift(workspace: Workspace) -> list[Lasting]:
    """What has drifted in as many of the newest nights as the configuration says, the first ones first: the figures of
    sequences, and features that tell how goods move. What tells of the goods in flight comes and goes with them.

    Nights whose figures are not there yet are judged.
    """
    settings, nights = workspace.configuration.drift, JudgedNights(workspace)
    newest = nights.newest()
    if newest is None or learnt_from(workspace) is None:
        return []
    there = set(workspace.drift(OF_SEQUENCES).days())
    recent = [*nights.before(newest, settings.lasting_nights - 1), newest]
    sequences_drift(workspace, [day for day in recent if day not in there])
    of_goods = {name for name, is_one in zip(FEATURE_NAMES, OF_GOODS, strict=True) if is_one}
    found = []
    for name, since in drifting_in(drift_figures(workspace, OF_SEQUENCES, [newest])).get(newest, {}).items():
        lasts = sum(since <= day for day in nights.before(newest, settings.against_nights)) + 1
        if lasts >= settings.lasting_nights and name.split("_", 1)[-1] not in of_goods:
            found.append(Lasting(name, lasts, since))
    return sorted(found, key=lambda one: one.since)


# ------------------------------------------------------------------ places, products, lots, journeys


def _unseen(workspace: Workspace, day: int, learnt: Learnt | None) -> dict[str, float]:
    """Share of a date's rows at places, of products and of lots that were not seen before; of dates that the model has
    learnt from, of lots alone."""
    places, products, place, product = places_and_products(workspace, [day])
    found = {}
    if learnt is not None and day > learnt.last:
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
    single = {name: value for name, value in drift.figures.items() if is_single(name)}
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
