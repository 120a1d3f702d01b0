"""Alerts as rows of `tables.ALERTS_SCHEMA`, from the events that were grouped. What earlier dates decide, and the
journeys, are put in elsewhere (`continuing`, `journey_words`)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.alerts.grouping import AlertedEvents, Leads, severity_of
from barcode_pipeline.alerts.tables import SEVERITIES
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.times import date_text

_ONE_LABEL = re.compile(rf" \| (?=(?:{'|'.join(LABELS)}): )")


@dataclass(frozen=True)
class EventWords:
    """What is said of the events of an `AlertedEvents`.

    codes, lots, places, steps: names by code. product, reason, model_file: (E,) texts or None, of each event.
    event_id: (E,) nullable integers.
    """

    codes: np.ndarray
    lots: np.ndarray
    places: np.ndarray
    steps: np.ndarray
    product: np.ndarray
    reason: np.ndarray
    model_file: np.ndarray
    event_id: pd.Series


def draft_alerts(events: AlertedEvents, alert: np.ndarray, leads: Leads, words: EventWords) -> pd.DataFrame:
    """A row per alert, (A rows), with its `day` (int64) and `lead` (row of its loudest event) beside the columns.

    alert: (E,) number of each event's alert (`grouping.group_alerts`). The number of alerts, not of events, is what
    the loops go over.
    """
    event, label = leads.event, leads.label
    score = events.score[event, label]
    said = [split_reason(text, LABELS[of]) for text, of in zip(words.reason[event], label, strict=True)]
    time = pd.Series(events.time).groupby(alert)
    epc_of, epcs = _distinct(alert, events.epc)
    bearing, labels = np.nonzero(events.alerts)
    label_of, label_codes = _distinct(alert[bearing], labels)
    site_of, sites = _distinct(alert, events.place)
    table = pd.DataFrame(
        {
            "day": events.day[event],
            "lead": event,
            "severity": np.array(SEVERITIES, object)[severity_of(score)],
            "score": score.astype(np.float32),
            "confidence": events.probability[event, label].astype(np.float32),
            "label": np.array(LABELS, object)[label],
            "labels": _lists(len(event), label_of, np.array(LABELS, object)[label_codes]),
            "reason": [reason for reason, _ in said],
            "normal": [normal for _, normal in said],
            "place": words.places[events.place[event]],
            "step": words.steps[events.step[event]],
            "sites": _lists(len(event), site_of, words.places[sites]),
            "lot": _named(words.lots, events.lot[event]),
            "product": words.product[event],
            "epc_count": np.bincount(epc_of, minlength=len(event)).astype(np.int32),
            "event_count": np.bincount(alert, minlength=len(event)).astype(np.int32),
            "first_time": time.min().to_numpy().astype("datetime64[s]"),
            "last_time": time.max().to_numpy().astype("datetime64[s]"),
            "epc_code": _named(words.codes, events.epc[event]),
            "event_time": events.time[event].astype("datetime64[s]"),
            "event_id": words.event_id.iloc[event].to_numpy(),
            "epcs": _lists(len(event), epc_of, words.codes[epcs]),
            "model_file": words.model_file[event],
        }
    )
    return table.assign(own_id=_own_ids(table))


def split_reason(said: str | None, label: str) -> tuple[str, str]:
    """(reason, what is normal) of one label out of an event's `reason` (`reasons.explain`)."""
    # Names of places stand in the words as they were sent, and may hold any sign.
    for part in _ONE_LABEL.split(said or ""):
        name, _, words = part.partition(": ")
        if name == label:
            reason, _, normal = words.rpartition("; ")
            return reason, normal
    return said or "", ""


def _own_ids(table: pd.DataFrame) -> list[str]:
    """Made of what does not change as more of the same comes in: date, label, lot, place and step; a number tells
    alerts apart that agree in all of these."""
    named = table[["day", "label", "lot", "place", "step"]].astype(object).where(lambda cell: cell.notna(), "")
    ordered = named.assign(time=table["first_time"], epc=table["epc_code"].fillna(""), count=-table["event_count"])
    ordered = ordered.sort_values([*ordered.columns], kind="stable")
    number = ordered.groupby([*named.columns], sort=False).cumcount().reindex(table.index)
    return [
        hashlib.blake2b("\t".join((date_text(day), *map(str, row))).encode(), digest_size=6).hexdigest()
        for day, *row in zip(*(named[name] for name in named.columns), number, strict=True)
    ]


def _named(names: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Names of codes, None for -1."""
    return np.append(names, np.array([None], object))[codes]


def _distinct(group: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct pairs, by group and then value; values below 0 are none."""
    pairs = pd.DataFrame({"group": group, "value": value})
    pairs = pairs[pairs["value"] >= 0].drop_duplicates().sort_values(["group", "value"])
    return pairs["group"].to_numpy(), pairs["value"].to_numpy()


def _lists(groups: int, group: np.ndarray, values: np.ndarray) -> list[list[str]]:
    """The values of each group. group: ascending."""
    offsets = np.searchsorted(group, np.arange(groups + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values, pa.string())).to_pylist()
