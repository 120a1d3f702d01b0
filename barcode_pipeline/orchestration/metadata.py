"""What the page shows of an asset: its columns, where they come from, rows per date, pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import dagster as dg
import pyarrow as pa

from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.times import date_text
from barcode_pipeline.orchestration.versions import content_version


def column_schema(schema: pa.Schema) -> dict[str, dg.TableSchema]:
    """The metadata entry that lists an asset's columns with their Arrow types."""
    columns = [dg.TableColumn(name=field.name, type=_type_name(field.type)) for field in schema]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def copied_columns(schema: pa.Schema, upstream: str, names: Sequence[str]) -> dict[str, dg.TableColumnLineage]:
    """The metadata entry that says which columns are taken over from an upstream asset."""
    lineage = {
        name: [dg.TableColumnDep(asset_key=dg.AssetKey(upstream), column_name=name)]
        for name in schema.names
        if name in names
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps_by_column=lineage)}


def dates_made(
    context: dg.AssetExecutionContext,
    store: DateStore,
    rows: Mapping[int, int],
    lineage: Mapping[str, dg.TableColumnLineage] | None = None,
) -> dg.MaterializeResult:
    """Tell Dagster of the dates that were written: rows and file of each, and the version of their content."""
    for day, count in rows.items():
        if count:
            own = {"dagster/row_count": count, "file": dg.MetadataValue.path(str(store.path(day)))}
            context.add_asset_metadata(own, partition_key=date_text(day))
    if lineage and rows:
        # Read from the newest event only: once is enough, and keeps the event log small.
        context.add_asset_metadata(lineage, partition_key=date_text(max(rows)))
    dates = f"{len(rows)} dates" if len(rows) != 1 else date_text(next(iter(rows)))
    context.log.info(f"{context.asset_key.to_user_string()}: {sum(rows.values()):,} rows on {dates}")
    # What a date says for itself takes the place of the 0, which is for dates without rows.
    return dg.MaterializeResult(metadata={"dagster/row_count": 0}, data_version=content_version(store, sorted(rows)))


def picture(png: bytes, title: str) -> str:
    """A picture as Markdown."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"


def _type_name(kind: pa.DataType) -> str:
    return str(kind.value_type) if pa.types.is_dictionary(kind) else str(kind)
