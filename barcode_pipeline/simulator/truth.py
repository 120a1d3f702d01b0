"""What the simulator knows of its rows: which are anomalies, which mere consequences. Only evaluation reads it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from barcode_pipeline.events.formats import FORMAT_VERSION, KEY_FIELDS, LABELS
from barcode_pipeline.simulator.columns import RawColumns, decoded
from barcode_pipeline.simulator.journeys import BENIGN_KINDS
from barcode_pipeline.simulator.rows import Rows
from barcode_pipeline.simulator.scene import Scene
from barcode_pipeline.simulator.variants import VARIANTS
from barcode_pipeline.simulator.world import World

_WORDS = pa.dictionary(pa.int32(), pa.string())
_METADATA = {"format_version": str(FORMAT_VERSION)}
ANOMALY_SCHEMA = pa.schema(
    [*KEY_FIELDS, pa.field("label", _WORDS), pa.field("variant", _WORDS), pa.field("rule_visible", pa.bool_())],
    metadata=_METADATA,
)
AFTERMATH_SCHEMA = pa.schema([*KEY_FIELDS, pa.field("variant", _WORDS)], metadata=_METADATA)

BENIGN_SCHEMA = pa.schema([*KEY_FIELDS, pa.field("kind", _WORDS)], metadata=_METADATA)


def anomaly_table(columns: RawColumns, rows: Rows) -> pa.Table:
    """Return key, label, variant and visibility of every anomalous event, by EPC and time."""
    chosen = np.flatnonzero((rows.truth > 0) & ~rows.copy)
    variant = rows.truth[chosen].astype(np.int64) - 1
    table = columns.keys.take(pa.array(chosen))
    table = table.append_column("label", _words([item.label for item in VARIANTS], variant))
    table = table.append_column("variant", _words([item.name for item in VARIANTS], variant))
    visible = np.array([item.rule_visible for item in VARIANTS])[variant]
    table = table.append_column("rule_visible", pa.array(visible))
    return _compact(table, ANOMALY_SCHEMA)


def aftermath_table(columns: RawColumns, rows: Rows) -> pa.Table:
    """Return key and variant of every event that is a mere consequence of an anomaly."""
    chosen = np.flatnonzero((rows.aftermath > 0) & (rows.truth == 0) & ~rows.copy)
    variant = rows.aftermath[chosen].astype(np.int64) - 1
    table = columns.keys.take(pa.array(chosen))
    table = table.append_column("variant", _words([item.name for item in VARIANTS], variant))
    return _compact(table, AFTERMATH_SCHEMA)


def benign_table(columns: RawColumns, rows: Rows) -> pa.Table:
    """Return key and kind of every event that bears a benign irregularity, and neither truth nor aftermath."""
    chosen = np.flatnonzero((rows.benign > 0) & (rows.aftermath == 0) & (rows.truth == 0) & ~rows.copy)
    kind = _words(list(BENIGN_KINDS), rows.benign[chosen].astype(np.int64) - 1)
    return _compact(columns.keys.take(pa.array(chosen)).append_column("kind", kind), BENIGN_SCHEMA)


def world_summary(
    world: World, scene: Scene, rows: Rows, anomalies: pa.Table, aftermath: pa.Table
) -> dict[str, object]:
    """Return parameters and counts, as `world.json` holds them."""
    variant = np.bincount(_codes(anomalies["variant"]), minlength=len(VARIANTS))
    labels = dict.fromkeys(LABELS, 0)
    for item, count in zip(VARIANTS, variant.tolist(), strict=True):
        labels[item.label] += count
    return {
        "format_version": FORMAT_VERSION,
        "parameters": world.parameters(),
        "counts": {
            "rows": len(rows),
            "exact_duplicates": int(rows.copy.sum()),
            "epcs": scene.journeys.epcs,
            "events_before_noise": int((scene.journeys.length - scene.journeys.first).sum()),
            "lots": len(scene.journeys.code_of_lot),
            "batches": len(scene.journeys.lot_of_batch),
            "anomalous_events": anomalies.num_rows,
            "aftermath_events": aftermath.num_rows,
            "labels": labels,
            "variants": {item.name: count for item, count in zip(VARIANTS, variant.tolist(), strict=True)},
        },
    }


def _words(words: list[str], place: np.ndarray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(place.astype(np.int32)), pa.array(words))


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return each row's number among `VARIANTS`."""
    number = {item.name: place for place, item in enumerate(VARIANTS)}
    return np.array([number[name] for name in column.to_pylist()], dtype=np.int64)


def _compact(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table with dictionaries of its own words only, and one row for each scan.

    Two unread tags of one pallet are one scan to the pipeline: nothing tells them apart. The one with the lowest
    event id stays, as in exact duplicates.
    """
    plain = decoded(table)
    keys = plain.select([item.name for item in KEY_FIELDS]).to_pandas()
    by_id = keys.sort_values("event_id", kind="stable", na_position="last")
    repeated = by_id.drop(columns="event_id").duplicated().reindex(keys.index).to_numpy()
    return plain.filter(pa.array(~repeated)).cast(schema)
