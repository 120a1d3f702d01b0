"""The nights that drift is judged by, and what was found of them, a file per date. No Dagster here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.text import dictionary_array, dictionary_codes
from barcode_pipeline.workspace import Workspace

OF_SEQUENCES, OF_SCORES = "epc_sequences", "event_scores"
INDEX, SINCE = "index_", "since_"
"""What figures begin with: `index_transport_transit_deviation`, the population stability index of a feature of a kind
of event; `since_…`, where a feature or another figure drifts, the day since which it does."""

GOES_ON = 0.5
"""What drifts does so until it is unusual by less than this part of what is told of: a figure that hovers about the
limit comes and goes once."""

Drifting = Mapping[int, Mapping[str, int]]
"""What drifted and since when, by night."""


def is_single(figure: str) -> bool:
    """Whether a figure is neither of a feature nor a day."""
    return not figure.startswith((INDEX, SINCE))


class JudgedNights:
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

    def newest(self) -> int | None:
        return next((day for day in reversed(self._days) if self.rows(day) >= self._lowest), None)


def write_figures(workspace: Workspace, part: str, day: int, figures: Mapping[str, float]) -> None:
    store = workspace.drift(part)
    names = pa.array(list(figures), pa.string()).dictionary_encode()
    date = pa.array([day] * len(figures), pa.int32()).cast(pa.date32())
    values = pa.array(list(figures.values()), pa.float64())
    table = pa.table([date, names, values], schema=store.schema.remove_metadata())
    store.write(table, np.full(len(table), day), [day])


def drift_figures(workspace: Workspace, part: str, days: Iterable[int]) -> pa.Table:
    """The figures on disk of some dates: date, figure, value."""
    return workspace.drift(part).read(days)


def drifting_in(table: pa.Table) -> dict[int, dict[str, int]]:
    """What drifted in some nights. table: their figures."""
    some = table.filter(pc.starts_with(table.column("figure").cast(pa.string()), SINCE))
    found: dict[int, dict[str, int]] = {}
    names, values = (some.column(column).to_pylist() for column in ("figure", "value"))
    for day, name, since in zip(_days(some).tolist(), names, values, strict=True):
        found.setdefault(day, {})[name.removeprefix(SINCE)] = int(since)
    return found


def drifting_since(drifting: Drifting, nights: Sequence[int]) -> dict[str, int]:
    """What drifted at the end of some nights, and since when. A single night on which it did not is no end."""
    return {name: since for night in nights[-2:] for name, since in drifting.get(night, {}).items()}


def usual_figures(table: pa.Table, nights: Sequence[int]) -> dict[str, np.ndarray]:
    """The figures of some nights by name, but for those on which they drifted. table: of these nights and others."""
    table = table.filter(pa.array(np.isin(_days(table), nights)))
    names = dictionary_array(table.column("figure"))
    codes, values, days = dictionary_codes(names), table.column("value").to_numpy(), _days(table)
    drifting, found = drifting_in(table), {}
    for code, name in enumerate(names.dictionary.to_pylist()):
        off = [day for day, some in drifting.items() if name in some]
        found[name] = values[(codes == code) & ~np.isin(days, off)]
    return found


def _days(table: pa.Table) -> np.ndarray:
    return table.column("date").cast(pa.int32()).to_numpy()
