"""The most suspicious EPCs, each with its journey, the reason in words and what is normal there."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.formats import ALERTS, KEY_COLUMNS, LABELS, PROBABILITIES


def most_suspicious(
    scores: DateStore,
    enriched: DateStore,
    days: list[int],
    count: int,
    days_of: Callable[[pa.Array], list[int]] | None = None,
) -> list[dict[str, Any]]:
    """`count` EPCs with an alert on these days, label by label in turn, the most probable first. days_of: says which
    days may hold events of some EPCs; all are looked at without it.

    Each is a dict of epc, score (0 to 1), label, reason, normal and journey: dicts of time, place, step, type,
    probability (the highest) and labels (those alerted).
    """
    table = scores.read(days, ("epc_code", *PROBABILITIES, *ALERTS, "reason"))
    alerted = np.column_stack([table.column(name).to_numpy() for name in ALERTS])
    rows = np.flatnonzero(alerted.any(axis=1) & table.column("epc_code").is_valid().to_numpy())
    if not len(rows):
        return []
    some = table.take(pa.array(rows)).to_pandas()
    picked = _in_turn(some, alerted[rows], count)
    epcs = [str(epc) for epc, _, _ in picked]
    wanted = pa.array(epcs, pa.string())
    journeys = _journeys(scores, enriched, wanted, scores.days() if days_of is None else days_of(wanted))
    return [
        {
            "epc": epc,
            "score": probability,
            "label": LABELS[label],
            **_reason_of(str(some["reason"].iloc[row]), LABELS[label]),
            "journey": journeys.get(epc, []),
        }
        for epc, (_, row, label), probability in zip(
            epcs, picked, [float(some[PROBABILITIES[label]].iloc[row]) for _, row, label in picked], strict=True
        )
    ]


def _in_turn(some: pd.DataFrame, alerted: np.ndarray, count: int) -> list[tuple[str, int, int]]:
    """(EPC, row, label): the most probable alert of each label in turn, no EPC twice."""
    queues = []
    for label, name in enumerate(PROBABILITIES):
        probability = np.where(alerted[:, label], some[name].to_numpy(), -1.0)
        order = np.argsort(-probability, kind="stable")
        order = order[probability[order] >= 0]
        # Of each EPC the most probable alert alone: a long journey would else fill the queue.
        firsts = np.flatnonzero(~some["epc_code"].iloc[order].duplicated().to_numpy())
        queues.append([int(row) for row in order[firsts[: count * (1 + len(LABELS))]]])
    picked: list[tuple[str, int, int]] = []
    seen: set[str] = set()
    while len(picked) < count and any(queues):
        for label, queue in enumerate(queues):
            while queue:
                row = queue.pop(0)
                epc = str(some["epc_code"].iloc[row])
                if epc not in seen:
                    seen.add(epc)
                    picked.append((epc, row, label))
                    break
    return picked[:count]


def _journeys(
    scores: DateStore, enriched: DateStore, wanted: pa.Array, days: list[int]
) -> dict[str, list[dict[str, Any]]]:
    """The journey of each EPC on some days, with the highest probability and the alerted labels of each event."""
    columns = (*KEY_COLUMNS, *PROBABILITIES, *ALERTS)

    def part_of(day: int) -> pd.DataFrame | None:
        keys = enriched.read([day], ("epc_code", "site_name", "scan_location", "location_id"))
        codes = keys.column("epc_code").combine_chunks()
        found = pc.is_in(codes.dictionary, value_set=wanted)
        if not pc.any(found).as_py():
            return None
        mask = pc.fill_null(found.take(codes.indices), False)
        # The rows of one date stand in the same order in every asset.
        part = scores.read([day], columns).filter(mask).to_pandas()
        place = keys.filter(mask).to_pandas()
        ids = place["location_id"].map("place {:.0f}".format)
        ids = ids.where(place["location_id"].notna(), "place without a name")
        part["place"] = place["site_name"].astype(object).fillna(place["scan_location"].astype(object)).fillna(ids)
        return part

    with ThreadPoolExecutor(2) as pool:
        there = sorted({*days}.intersection(scores.days(), enriched.days()))
        parts = [part for part in pool.map(part_of, there) if part is not None]
    if not parts:
        return {}
    rows = pd.concat(parts, ignore_index=True)
    probability = rows[list(PROBABILITIES)].max(axis=1)
    labels = np.where(rows[list(ALERTS)].to_numpy(), np.array(LABELS), "")
    out: dict[str, list[dict[str, Any]]] = {}
    for place in range(len(rows)):
        out.setdefault(str(rows["epc_code"].iloc[place]), []).append(
            {
                "time": str(rows["event_time"].iloc[place]),
                "place": rows["place"].iloc[place],
                "step": rows["business_step"].iloc[place],
                "type": rows["event_type"].iloc[place],
                "probability": float(probability.iloc[place]),
                "labels": [label for label in labels[place] if label],
            }
        )
    return out


def _reason_of(said: str, label: str) -> dict[str, str]:
    """The reason and the normal of one label out of an event's `reason`."""
    # Names of places stand in the words as they were sent, and may hold any sign.
    for part in re.split(rf" \| (?=(?:{'|'.join(LABELS)}): )", said):
        name, _, words = part.partition(": ")
        if name == label:
            reason, _, normal = words.rpartition("; ")
            return {"reason": reason, "normal": normal}
    return {"reason": said, "normal": ""}
