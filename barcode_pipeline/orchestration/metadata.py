"""What the page shows of an asset: its columns, where they come from, rows per date, pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    extract_data_version_from_entry,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.times import date_text
from barcode_pipeline.orchestration.partitions import days_of
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
    asked = set(days_of(context.partition_keys))
    for day, count in rows.items():
        own = {"dagster/row_count": count, "file": dg.MetadataValue.path(str(store.path(day)))}
        if day not in asked:
            context.log_event(_other_date(context, store, day, own))
        elif count:
            context.add_asset_metadata(own, partition_key=date_text(day))
    if lineage and asked:
        # Read from the newest event only: once is enough, and keeps the event log small.
        context.add_asset_metadata(lineage, partition_key=date_text(max(asked)))
    dates = f"{len(rows)} dates" if len(rows) != 1 else date_text(next(iter(rows)))
    context.log.info(f"{context.asset_key.to_user_string()}: {sum(rows.values()):,} rows on {dates}")
    # What a date says for itself takes the place of the 0, which is for dates without rows.
    return dg.MaterializeResult(metadata={"dagster/row_count": 0}, data_version=content_version(store, sorted(asked)))


def _other_date(
    context: dg.AssetExecutionContext, store: DateStore, day: int, metadata: Mapping[str, Any]
) -> dg.AssetMaterialization:
    """The event of a date that the run was not asked for, with what Dagster itself would note of its versions."""
    spec = context.assets_def.get_asset_spec()
    tags = {
        DATA_VERSION_TAG: content_version(store, [day]).value,
        DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
        CODE_VERSION_TAG: str(spec.code_version),
    }
    for dep in spec.deps:
        record = context.instance.get_latest_data_version_record(dep.asset_key, partition_key=date_text(day))
        if record is None:  # an asset without dates
            record = context.instance.get_latest_data_version_record(dep.asset_key)
        version = extract_data_version_from_entry(record.event_log_entry) if record else None
        if record and version:
            tags[get_input_data_version_tag(dep.asset_key)] = version.value
            tags[get_input_event_pointer_tag(dep.asset_key)] = str(record.storage_id)
    return dg.AssetMaterialization(context.asset_key, metadata=metadata, partition=date_text(day), tags=tags)


def picture(png: bytes, title: str) -> str:
    """A picture as Markdown."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"


def _type_name(kind: pa.DataType) -> str:
    return str(kind.value_type) if pa.types.is_dictionary(kind) else str(kind)
