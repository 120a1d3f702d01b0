"""`rule_labels` as a table: key, five labels, five scores."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from barcode_pipeline.events.formats import KEY_FIELDS, LABELS, SCORES
from barcode_pipeline.rules.labels import RuleScores
from barcode_pipeline.rules.settings import RuleSettings

LABELS_SCHEMA = pa.schema(
    [*KEY_FIELDS, *(pa.field(name, pa.bool_()) for name in LABELS), *(pa.field(name, pa.uint8()) for name in SCORES)]
)


def labels_table(scored: RuleScores, settings: RuleSettings) -> pa.Table:
    """Labels and scores side by side, without the key, (N rows)."""
    labels = scored.labels(settings)
    columns = [*np.asfortranarray(labels).T, *np.asfortranarray(scored.scores).T]
    return pa.table([pa.array(column) for column in columns], schema=pa.schema(list(LABELS_SCHEMA)[len(KEY_FIELDS) :]))
