"""The transition table as a table: what a history of transports makes of it, and how two of them differ.

Tables are data frames of text, as they stand in their file: a row that stays is written as it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from barcode_pipeline.events.formats import TRANSITION_COLUMNS
from barcode_pipeline.events.route_statistics import RouteStatistics

ENDS = list(TRANSITION_COLUMNS[:2])
NUMBERS = list(TRANSITION_COLUMNS[2:])
MEAN, STD, MINIMUM, MAXIMUM, COUNT = NUMBERS
TAKEN, TOO_FEW_KEPT, TOO_FEW_LEFT_OUT = "taken", "too few, row kept", "too few, no row"


def seen_routes(table: pd.DataFrame, found: RouteStatistics, names: Sequence[str], fewest: float) -> pd.DataFrame:
    """What was seen of each route, by its ends: the statistics and what becomes of them (`decision`).

    names: of the sites. fewest: independent shipments below which a route's statistics are not taken.
    """
    named = np.array([*names, ""], dtype=object)
    columns = {name: getattr(found, name) for name in RouteStatistics._fields if name not in ("origin", "destination")}
    seen = pd.DataFrame({ENDS[0]: named[found.origin], ENDS[1]: named[found.destination], **columns})
    known = pd.MultiIndex.from_frame(seen[ENDS]).isin(pd.MultiIndex.from_frame(table[ENDS]))
    enough = seen["shipments"] >= fewest
    seen["decision"] = np.select([enough, known], [TAKEN, TOO_FEW_KEPT], TOO_FEW_LEFT_OUT)
    return seen.sort_values(ENDS, ignore_index=True)


def refreshed(table: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """The table with what was seen often enough (`seen_routes`) in its rows, and new routes after them.

    The fastest and the slowest transport are those of both: a history that is clean of outliers says nothing against
    one that was on record.
    """
    taken = seen[seen["decision"] == TAKEN].set_index(ENDS)
    lacking = [name for name in NUMBERS if name not in table.columns]
    known = table.assign(**dict.fromkeys(lacking)).set_index(ENDS)
    wanted = taken.index.append(known.index).unique()
    new = pd.DataFrame(index=wanted.difference(known.index, sort=True), columns=known.columns, dtype=object)
    out = pd.concat([known, new]) if len(new) else known.copy()
    rows = np.flatnonzero(out.index.isin(taken.index))
    found = taken.reindex(out.index[rows])
    before = out.iloc[rows][NUMBERS].apply(pd.to_numeric, errors="coerce")
    values = {
        MEAN: found["mean"],
        STD: found["std"],
        MINIMUM: np.fmin(found["minimum"], before[MINIMUM]),
        MAXIMUM: np.fmax(found["maximum"], before[MAXIMUM]),
        COUNT: found["epcs"],
    }
    for name, column in values.items():
        texts = out[name].to_numpy(dtype=object, copy=True)
        # In full: a minimum that was rounded up would make its own transport impossible.
        texts[rows] = [repr(value) for value in column.tolist()]
        out[name] = texts
    return out.reset_index()[[*table.columns, *lacking]]


def compared(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Every route of two tables: its ends, `what` (new, gone, changed, same), and `mean_old`, `mean_new` and so on of
    mean, std, min, max and count, NaN where a table has none."""
    sides = []
    for side, table in (("old", old), ("new", new)):
        numbers = table.reindex(columns=[*ENDS, *NUMBERS]).fillna(dict.fromkeys(ENDS, ""))
        numbers = numbers.drop_duplicates(ENDS).set_index(ENDS)
        numbers.columns = pd.Index([f"{name.rsplit('_', 1)[1]}_{side}" for name in NUMBERS])
        sides.append(numbers.apply(pd.to_numeric, errors="coerce"))
    both = sides[0].join(sides[1], how="outer")
    there = [both.index.isin(side.index) for side in sides]
    left = both[[name for name in both.columns if name.endswith("_old")]].to_numpy(np.float64)
    right = both[[name for name in both.columns if name.endswith("_new")]].to_numpy(np.float64)
    same = ((left == right) | (np.isnan(left) & np.isnan(right))).all(axis=1)
    what = np.select([~there[0], ~there[1], same], ["new", "gone", "same"], "changed")
    both.insert(0, "what", what)
    return both.sort_index().reset_index()
