"""Injected truth beside the data, where the data was simulated. Nothing but the evaluation reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import FORMAT_VERSION, KEY_COLUMNS, LABELS
from barcode_pipeline.events.text import decode, dictionary_array

NO_VARIANT = -1


@dataclass(frozen=True)
class Truth:
    """anomalies: key, label, variant, rule_visible. aftermath: key, variant. A row per event."""

    anomalies: pa.Table
    aftermath: pa.Table


@dataclass(frozen=True)
class TruthOfEvents:
    """truth, visible: (N, 5) bool; visible where rules are built to see the variant. aftermath: (N,) bool.
    unmatched: anomalous events of the truth that are not among the events. variant: (N, 5) int16 into `variants`, -1
    where the label does not hold."""

    truth: np.ndarray
    visible: np.ndarray
    aftermath: np.ndarray
    unmatched: int
    variant: np.ndarray
    variants: tuple[str, ...]


def read_truth(folder: Path) -> Truth | None:
    """Truth of a data folder, None where there is none."""
    paths = [folder / "anomalies.parquet", folder / "aftermath.parquet"]
    if not all(path.exists() for path in paths):
        return None
    for path in paths:
        version = (pq.read_schema(path).metadata or {}).get(b"format_version")
        if version != str(FORMAT_VERSION).encode():
            raise UserError(
                f"{path} has another format version than {FORMAT_VERSION}: simulate again with `make data`."
            )
    return Truth(*(pq.read_table(path) for path in paths))


def match_truth(truth: Truth, keys: pa.Table) -> TruthOfEvents:
    """What each event truly is. keys: `KEY_COLUMNS` of N events; missing equals missing."""
    shape = len(keys), len(LABELS)
    found, visible, variant = np.zeros(shape, bool), np.zeros(shape, bool), np.full(shape, NO_VARIANT, np.int16)
    consequence = np.zeros(len(keys), bool)
    codes = dictionary_array(keys.column("epc_code"))
    concerned = pa.concat_arrays([decode(table.column("epc_code")) for table in (truth.anomalies, truth.aftermath)])
    known = pc.is_in(codes.dictionary, value_set=concerned).to_numpy(zero_copy_only=False)
    # Only events of EPCs that the truth names, or without an EPC, can match: few of all.
    some = np.append(known, True)[pc.fill_null(codes.indices, len(known)).to_numpy()]
    rows = np.flatnonzero(some)
    events = _plain(keys.select(list(KEY_COLUMNS)).filter(pa.array(some)))
    events["row"] = rows
    anomalies = _plain(truth.anomalies).merge(events, on=list(KEY_COLUMNS), how="left")
    matched = anomalies[anomalies["row"].notna()]
    label = matched["label"].map({name: place for place, name in enumerate(LABELS)}).to_numpy(np.int64)
    row = matched["row"].to_numpy(np.int64)
    found[row, label] = True
    visible[row, label] = matched["rule_visible"].to_numpy(bool)
    names = sorted(set(anomalies["variant"]))
    variant[row, label] = matched["variant"].map({name: place for place, name in enumerate(names)}).to_numpy(np.int16)
    aftermath = _plain(truth.aftermath).merge(events, on=list(KEY_COLUMNS))
    consequence[aftermath["row"].to_numpy(np.int64)] = True
    return TruthOfEvents(found, visible, consequence, len(anomalies) - len(matched), variant, tuple(names))


def _plain(table: pa.Table) -> pd.DataFrame:
    """Keys as plain columns in which missing equals missing."""
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            columns[name] = pd.Series(decode(column).to_numpy(zero_copy_only=False), dtype=object)
        elif pa.types.is_timestamp(column.type):
            columns[name] = pd.Series(column.to_numpy().astype("datetime64[s]"))
        elif pa.types.is_integer(column.type):
            columns[name] = column.to_pandas(types_mapper=lambda _: pd.Int64Dtype())
        elif pa.types.is_string(column.type):
            columns[name] = pd.Series(decode(column).to_numpy(zero_copy_only=False), dtype=object)
        else:
            columns[name] = column.to_pandas()
    return pd.DataFrame(columns)
