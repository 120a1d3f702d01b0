"""`rule_labels` as a table: key, five labels, five scores."""

from __future__ import annotations

import pyarrow as pa

from barcode_pipeline.events.formats import KEY_FIELDS, LABELS, SCORES
from barcode_pipeline.rules.labels import RuleScores
from barcode_pipeline.rules.settings import RuleSettings

LABELS_SCHEMA = pa.schema(
    [*KEY_FIELDS, *(pa.field(name, pa.bool_()) for name in LABELS), *(pa.field(name, pa.uint8()) for name in SCORES)]
)


def labels_table(key: pa.Table, scored: RuleScores, settings: RuleSettings) -> pa.Table:
    """Put keys, labels and scores side by side, (N rows)."""
    labels = scored.labels(settings)
    return pa.table(
        [
            *(key.column(field.name) for field in KEY_FIELDS),
            *(pa.array(labels[:, column]) for column in range(len(LABELS))),
            *(pa.array(scored.scores[:, column]) for column in range(len(SCORES))),
        ],
        schema=LABELS_SCHEMA,
    )
