"""Features that have one value on all events of a date, although the model in service has learnt that they vary: a
column that is stuck or has gone missing, or a program that computes nonsense. No Dagster here.

Nothing is learnt from such a date: the check `features_vary` stops the night.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.constancy import NEARLY_ALL, Constant, chances_of_constants, nearly_constant
from barcode_pipeline.events.hashes import lot_hashes, row_hashes
from barcode_pipeline.events.text import dictionary_array, dictionary_codes
from barcode_pipeline.events.times import date_text
from barcode_pipeline.learnt import Learnt, learnt_from, places_and_products
from barcode_pipeline.models.ordinary import step_numbers
from barcode_pipeline.sequences.feature_groups import DIRECTIONS, FEATURE_GROUPS, LEVELS, STEP_FEATURES
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.tables import feature_matrix
from barcode_pipeline.workspace import Workspace

MOST_NAMED = 5
"""Features that a sentence names; a column that is stuck takes many with it."""
_OF_LOT = np.isin(FEATURE_NAMES, [name for group in ("code", "age", "made") for name in FEATURE_GROUPS[group]])
"""What a lot's code decides: it is as good as the same at all steps of the lot."""
_OF_STEP = np.flatnonzero(np.isin(FEATURE_NAMES, STEP_FEATURES))

_PLACES = ("location_id", "scan_location")
_PLACE = " and ".join(_PLACES)
_COLUMNS = {
    **dict.fromkeys(("code", "age", "journey", "made"), "epc_code"),
    **dict.fromkeys(("place", "distance"), _PLACE),
    **dict.fromkeys(("second", "time", "lot_pace"), "event_time"),
    "sending": "event_id",
    "step_before": f"business_step, event_type, {_PLACE}",
    **dict.fromkeys(("lot_site", "lot_way", "companions"), f"epc_code, event_time, business_step, {_PLACE}"),
}
_COLUMN_OF = {name: _COLUMNS[group] for group, names in FEATURE_GROUPS.items() for name in names} | {
    **dict.fromkeys(LEVELS, "business_step"),
    **dict.fromkeys(DIRECTIONS, "event_type"),
}


@dataclass(frozen=True)
class Varies:
    """What was found of a date. rows: judged, 0 where no model is in service. constant: the features that do not vary
    and should, the surest first."""

    day: int
    rows: int
    constant: list[Constant]

    def in_words(self) -> str:
        """What is wrong and what to do, empty where all is well."""
        if not self.constant:
            return ""
        surest, named = self.constant[0], self.constant[:MOST_NAMED]
        more = len(self.constant) - len(named)
        told = ", ".join(f"{FEATURE_NAMES[one.feature]} is {one.value:.3g}" for one in named)
        columns = dict.fromkeys(_COLUMN_OF[FEATURE_NAMES[one.feature]] for one in named)
        return (
            f"{told} on {surest.events:,} of {self.rows:,} events"
            f"{f', and {more} more features are the same on nearly all' if more else ''}; {_why(surest)}. Look at "
            f"{'; '.join(columns)} in the raw files of this date, replace what is wrong and run the night again. If it "
            "is right as it is, name the feature in gate.may_be_constant (configuration.toml)"
        )


def _why(one: Constant) -> str:
    if one.chance == 0:
        return "some have two levels or directions then, or none"
    chance = "below 1e-30" if one.chance < 1e-30 else f"{one.chance:.0e}"
    of = "places" if one.feature in _OF_STEP else "lots"
    return f"by what the model in service has learnt from, the chance of that at {one.lots} {of} is {chance}"


def find_constant_features(workspace: Workspace, days: Sequence[int]) -> list[Varies]:
    """Of some dates; `UserError` where the configuration lets pass a feature that there is not."""
    gate = workspace.configuration.gate
    unknown = sorted(set(gate.may_be_constant) - set(FEATURE_NAMES))
    if unknown:
        raise UserError(f"gate.may_be_constant names {', '.join(unknown)}, which is no feature: see docs/features.md.")
    there = {day for day in days if workspace.sequences.rows(day)}
    learnt = learnt_from(workspace) if there and gate.constant_chance > 0 else None
    if learnt is None:
        return [Varies(day, 0, []) for day in days]
    return [_of_day(workspace, day, learnt) if day in there else Varies(day, 0, []) for day in days]


def _of_day(workspace: Workspace, day: int, learnt: Learnt) -> Varies:
    gate = workspace.configuration.gate
    table = workspace.sequences.read([day], ("epc_code", *_PLACES, "features"))
    codes = dictionary_array(table.column("epc_code"))
    lots, code = np.append(lot_hashes(codes.dictionary), np.uint64(0)), dictionary_codes(codes)
    # Without codes there are no lots: places are then what is drawn.
    lot = np.where(code >= 0, lots[code], row_hashes(table, _PLACES))
    places, _, place, _ = places_and_products(workspace, [day])
    values = feature_matrix(table)
    if len(place) != len(values):
        raise UserError(
            f"epc_sequences and enriched_events do not hold the same events of {date_text(day)}: materialise both "
            "again."
        )
    found = [
        *unlikely_constants(learnt, values, lot, gate.constant_chance),
        *unlikely_steps(learnt, values, places[place], gate.constant_chance),
    ]
    # Of those that are named twice the surer one stays.
    surest = {one.feature: one for one in sorted(found, key=lambda one: -one.chance)}
    some = [one for one in surest.values() if FEATURE_NAMES[one.feature] not in gate.may_be_constant]
    return Varies(day, len(table), sorted(some, key=lambda one: one.chance))


def unlikely_constants(learnt: Learnt, values: np.ndarray, lot: np.ndarray, chance: float) -> list[Constant]:
    """The features but those of the step with one value on nearly all events that is not chance, all features taken
    together.

    values: (N, F) float16, N > 0. lot: (N,), of equal numbers for events of one lot.
    """
    found = chances_of_constants(learnt.usual, values, step_numbers(values), lot, _OF_LOT)
    return [one for one in found if one.feature not in _OF_STEP and one.chance < chance / len(FEATURE_NAMES)]


def unlikely_steps(learnt: Learnt, values: np.ndarray, places: np.ndarray, chance: float) -> list[Constant]:
    """Levels and directions that nearly all events have and that is not chance: on a quiet night there may well be
    sales alone, but then at shops. What is usual is asked of the place, and places are what is drawn. And those with
    one value though some events have no level or direction then, or two: of these there is no chance at all.

    values: (N, F) float16, N > 0. places: (N,) names.
    """
    found = []
    names = np.array(sorted(learnt.places))
    at = np.minimum(np.searchsorted(names, places), max(len(names) - 1, 0))
    known = names[at] == places if len(names) else np.zeros(len(places), dtype=bool)
    steps = values[:, _OF_STEP]
    if known.any():
        chances = chances_of_constants(
            learnt.usual_of_places, steps[known], at[known], at[known], np.zeros(len(_OF_STEP), dtype=bool)
        )
        found = [one for one in chances if one.value != 0 and one.chance < chance / len(FEATURE_NAMES)]
    found += _at_odds(steps)
    return [replace(one, feature=int(_OF_STEP[one.feature])) for one in found]


def _at_odds(steps: np.ndarray) -> list[Constant]:
    """Columns of the step with one value that leave some events without a level or direction, or give them two."""
    found = []
    constant, bits = nearly_constant(steps)
    for some in (LEVELS, DIRECTIONS):
        columns = np.flatnonzero(np.isin(STEP_FEATURES, some))
        number = (steps[:, columns] != 0).sum(axis=1)
        for feature, value in zip(constant, bits.view(np.float16), strict=True):
            wrong = number > 1 if value != 0 else number == 0
            if feature in columns and wrong.mean() > 1 - NEARLY_ALL:
                same = int((steps[:, feature] == value).sum())
                found.append(Constant(int(feature), float(value), same, 0, 0.0))
    return found
