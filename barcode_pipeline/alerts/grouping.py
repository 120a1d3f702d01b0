"""Which events are one alert: the events of one EPC, and the EPCs of one lot that went wrong together.

Columns in, a number per event out. Dates are apart: what goes on is `continuing`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from barcode_pipeline.alerts.tables import SEVERITY_FROM


@dataclass(frozen=True)
class AlertedEvents:
    """Events with an alert, (E,) each, in no particular order. Codes are in the order of the names they stand for.

    day: int64. time: int64 seconds. epc, lot: int codes, -1 without an EPC. place, step: int codes.
    alerts: (E, 5) bool. score: (E, 5), 0 to 100 (`hit_scores`). probability: (E, 5) of the model.
    """

    day: np.ndarray
    time: np.ndarray
    epc: np.ndarray
    lot: np.ndarray
    place: np.ndarray
    step: np.ndarray
    alerts: np.ndarray
    score: np.ndarray
    probability: np.ndarray

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Leads:
    """The event and label of each alert that speak loudest, (A,) each."""

    event: np.ndarray
    label: np.ndarray


def hit_scores(rule_labels: np.ndarray, rule_scores: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """How bad each label of each event is, (N, 5) float64 of 0 to 100: the rule's score where it has spoken, else the
    model's probability × 100. A rule that has spoken knows how grave it is; the model knows how sure it is."""
    return np.where(rule_labels, rule_scores, 100.0 * probability.astype(np.float64))


def severity_of(score: np.ndarray) -> np.ndarray:
    """The place in `tables.SEVERITIES` of each score, int8."""
    return np.sum(np.asarray(score, np.float64)[..., None] < np.array(SEVERITY_FROM), axis=-1).astype(np.int8)


def group_alerts(events: AlertedEvents, near_seconds: int) -> np.ndarray:
    """(E,) int64, the number of each event's alert, from 0 on without gaps.

    Within a date, two events are one alert where they are of one EPC, or where they are of one lot (or both without an
    EPC), bear the same label at the same place and step, and no more than `near_seconds` lie between one and the next
    of their kind; and where a chain of such events leads from one to the other. Linear but for one sort.
    """
    count = len(events)
    event, label = np.nonzero(events.alerts)
    together = _together(
        near_seconds,
        events.time[event],
        (events.day[event], events.lot[event], label, events.place[event], events.step[event]),
    )
    with_epc = np.flatnonzero(events.epc >= 0)
    same_epc = _numbered((events.day[with_epc], events.epc[with_epc]))
    # A graph of events on one side, and on the other what they have in common.
    first_epc = count + (int(together.max()) + 1 if len(together) else 0)
    ends = np.concatenate([count + together, first_epc + same_epc])
    starts = np.concatenate([event, with_epc])
    size = int(ends.max()) + 1 if len(ends) else count
    graph = coo_matrix((np.ones(len(starts), np.int8), (starts, ends)), shape=(size, size))
    number = connected_components(graph, directed=False)[1][:count]
    return np.unique(number, return_inverse=True)[1].astype(np.int64)


def find_leads(events: AlertedEvents, alert: np.ndarray) -> Leads:
    """Of each alert the gravest hit, of equal ones the surest, the earliest, then by EPC, place, step and label."""
    event, label = np.nonzero(events.alerts)
    of = alert[event]
    order = np.lexsort(
        (
            label,
            events.step[event],
            events.place[event],
            events.epc[event],
            events.time[event],
            -events.probability[event, label],
            -events.score[event, label],
            severity_of(events.score[event, label]),
            of,
        )
    )
    first = order[np.flatnonzero(np.diff(of[order], prepend=-1))]
    return Leads(event[first], label[first])


def _together(near: int, time: np.ndarray, keys: tuple[np.ndarray, ...]) -> np.ndarray:
    """A number per hit, equal where all keys are and no gap in time is longer than `near`. (H,) int64."""
    order = np.lexsort((time, *reversed(keys)))
    new = np.diff(time[order], prepend=0) > near
    for key in keys:
        new[1:] |= np.diff(key[order]) != 0
    out = np.empty(len(time), dtype=np.int64)
    if len(time):
        new[0] = False
        out[order] = np.cumsum(new)
    return out


def _numbered(keys: tuple[np.ndarray, ...]) -> np.ndarray:
    """A number per row, equal where all keys are. (N,) int64."""
    return np.unique(np.stack(keys), axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)
