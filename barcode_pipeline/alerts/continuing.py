"""Which earlier alert an alert continues: that of the same EPC, or of the same lot, label and site.

Columns in, columns out. A continued alert keeps its id; where two of one date continue the same earlier one, the more
important of them keeps it. So an id is borne once on a date.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.alerts.tables import SEVERITIES

LINKS = ("alert_id", "rank", "is_new", "continues", "since")
"""The columns that earlier dates decide."""


def link(alerts: pd.DataFrame, earlier: pd.DataFrame, day: int) -> pd.DataFrame:
    """The alerts of a date with `LINKS` filled in, by rank: new ones first, then by severity, confidence and size.

    alerts: rows of `tables.ALERTS_SCHEMA`, `LINKS` aside. earlier: those of the dates that count as earlier, with
    their day (int64) in `day`. The order of rows in either does not matter.
    """
    alerts = _by_importance(alerts, np.zeros(len(alerts), np.int64))
    best = _best_match(alerts, earlier)
    continued = best >= 0
    before = earlier.reset_index(drop=True)
    row = np.where(continued, best, 0)

    def of_before(column: str) -> np.ndarray:
        return before[column].to_numpy(object)[row] if len(before) else np.full(len(alerts), None, object)

    continues = of_before("alert_id")
    continues[~continued] = None
    keeps = continued & ~pd.Series(continues).duplicated().to_numpy()
    date = np.datetime64(day, "D").item()
    linked = alerts.assign(
        alert_id=np.where(keeps, continues, alerts["own_id"].to_numpy(object)),
        is_new=~continued,
        continues=continues,
        since=np.where(continued, of_before("since"), np.full(len(alerts), date, object)),
    )
    linked = _by_importance(linked, continued.astype(np.int64))
    return linked.assign(rank=np.arange(1, len(linked) + 1, dtype=np.int32))


def _by_importance(alerts: pd.DataFrame, later: np.ndarray) -> pd.DataFrame:
    severity = pd.Categorical(alerts["severity"], categories=SEVERITIES).codes
    order = np.lexsort(
        (
            alerts["own_id"].to_numpy(object).astype(str),
            -alerts["event_count"].to_numpy(np.int64),
            -alerts["epc_count"].to_numpy(np.int64),
            -alerts["score"].to_numpy(np.float64),
            -alerts["confidence"].to_numpy(np.float64).round(2),
            severity,
            later,
        )
    )
    return alerts.iloc[order].reset_index(drop=True)


def _best_match(alerts: pd.DataFrame, earlier: pd.DataFrame) -> np.ndarray:
    """(A,) int64 the row of `earlier` that each alert continues, -1 for none: the newest, then by EPC, then by rank."""
    out = np.full(len(alerts), -1, dtype=np.int64)
    if not len(earlier) or not len(alerts):
        return out
    pairs = []
    for kind, keys in enumerate((_epc_keys, _lot_keys)):
        found = keys(alerts).merge(keys(earlier), on=[c for c in keys(earlier) if c != "row"], suffixes=("", "_before"))
        pairs.append(found[["row", "row_before"]].assign(kind=kind))
    found = pd.concat(pairs, ignore_index=True)
    before = found["row_before"].to_numpy()
    rank, day = earlier["rank"].to_numpy(np.int64)[before], earlier["day"].to_numpy(np.int64)[before]
    order = np.lexsort((rank, found["kind"].to_numpy(), -day, found["row"].to_numpy()))
    first = found.iloc[order].drop_duplicates("row")
    out[first["row"].to_numpy()] = first["row_before"].to_numpy()
    return out


def _epc_keys(alerts: pd.DataFrame) -> pd.DataFrame:
    row, epc = _exploded(alerts["epcs"])
    return pd.DataFrame({"row": row, "epc": epc})


def _lot_keys(alerts: pd.DataFrame) -> pd.DataFrame:
    row, site = _exploded(alerts["sites"])
    lot = alerts["lot"].to_numpy(object)
    lot = np.where(pd.isna(lot), "", lot)
    return pd.DataFrame({"row": row, "lot": lot[row], "label": alerts["label"].to_numpy(object)[row], "site": site})


def _exploded(lists: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    column = pa.array(lists, pa.list_(pa.string()))
    lengths = np.diff(column.offsets.to_numpy())
    return np.repeat(np.arange(len(column)), lengths), column.flatten().to_numpy(zero_copy_only=False)
