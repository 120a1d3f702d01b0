"""Counting repeated keys. No Dagster here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.events.formats import KEY_COLUMNS
from barcode_pipeline.events.text import dictionary_array
from barcode_pipeline.events.times import day_of
from barcode_pipeline.workspace import Workspace

_NOTHING = -(2**63)
"""Stands for a missing number."""


def repeated_keys(workspace: Workspace, days: Sequence[int]) -> dict[int, int]:
    """Per day: rows of `rule_labels` whose key an earlier row of that day has."""
    labels = workspace.labels.read(days, KEY_COLUMNS)
    place = workspace.enriched.read(days, ("location_text",)).column("location_text")
    columns = {name: _codes(labels.column(name)) for name in KEY_COLUMNS}
    # Two unknown places may differ in nothing but an id that is no integer, which stands only there.
    columns["location_text"] = _codes(place) if len(place) == len(labels) else np.zeros(len(labels), np.int64)
    repeated = pd.DataFrame(columns).duplicated().to_numpy()
    day = day_of(labels.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64))
    counts = pd.Series(day[repeated]).value_counts()
    return {one: int(counts.get(one, 0)) for one in days}


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) int64, equal where the values are, nulls included."""
    if pa.types.is_dictionary(column.type):
        return dictionary_array(column).indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return column.cast(pa.int64()).fill_null(_NOTHING).to_numpy()
