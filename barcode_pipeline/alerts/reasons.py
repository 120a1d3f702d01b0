"""The reason of an alert in words, and what would be normal there.

Where a rule speaks, its evidence is put into words. Where the model speaks alone, what the event did is said
beside its probability, and which groups of features moved the score most (`models.attribution`) where that was
looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.alerts.phrases import NORMAL_CODE, duration, say_what_moved
from barcode_pipeline.events.enrichment import look_back
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.places import NO_LOCATION_ID, Reference
from barcode_pipeline.events.steps import DIRECTION_NAMES, LEVEL_NAMES
from barcode_pipeline.models.attribution import Attribution
from barcode_pipeline.rules import kernel
from barcode_pipeline.rules.labels import RuleScores

_CODE_PARTS = (
    (kernel.NO_CODE, "the row has no code"),
    (kernel.NOT_SIX_PARTS, "the code has not six parts"),
    (kernel.HEADER, "its header is not 001"),
    (kernel.COMPANY, "its company is not registered"),
    (kernel.PRODUCT, "its product has not seven digits"),
    (kernel.LOT, "its lot has not six digits"),
    (kernel.SERIAL, "its serial has not nine digits"),
    (kernel.DATE_WRONG, "its manufacture date is no calendar day"),
    (kernel.IN_FUTURE, "it was made after it was scanned"),
    (kernel.TOO_OLD, "it was made more than five years before"),
)


@dataclass(frozen=True)
class AlertFacts:
    """What is known of some events and the one before each, a row per alerted event.

    Columns: step, place, before_step, before_place (texts, None without one), hours, km (NaN where not known),
    needed_hours (of the fastest truck), mean_hours, std_hours (of the route).
    """

    table: pd.DataFrame


def gather_facts(
    events: Events, rows: np.ndarray, previous: np.ndarray, reference: Reference, fastest: float
) -> AlertFacts:
    """Facts of the events `rows`; previous: (N,) the event before each in its chain, -1 without one."""
    sites, routes = reference.sites, reference.routes
    before = previous[rows]
    has = before >= 0
    hours, km, route = look_back(
        previous, events.time, events.places.site[events.place], sites.latitude, sites.longitude,
        routes.start, routes.destination,
    )  # fmt: skip
    hours, km, route = hours[rows], km[rows], route[rows]
    minimum = np.append(routes.minimum, np.nan)[route]
    names = _place_names(events)
    return AlertFacts(
        pd.DataFrame(
            {
                "step": _step_names(events, rows),
                "place": names[events.place[rows]],
                "before_step": _where_known(has, _step_names(events, before)),
                "before_place": _where_known(has, names[events.place[before]]),
                "hours": hours,
                "km": km,
                "needed_hours": np.fmin(km / fastest, minimum),
                "mean_hours": np.append(routes.mean, np.nan)[route],
                "std_hours": np.append(routes.std, np.nan)[route],
            }
        )
    )


def explain(
    events: Events,
    judged: RuleScores,
    alerts: np.ndarray,
    probabilities: np.ndarray,
    reference: Reference,
    fastest: float,
    attribution: Attribution | None = None,
) -> pa.DictionaryArray:
    """`label: reason; what is normal` of every event with an alert, several joined by ` | `, null without one.

    alerts: (N, 5) bool; probabilities: (N, 5). attribution: of alerts on which no rule spoke, of all or of some, by
    row of `events`. One event or millions: the cost is that of the alerts. (N,) dictionary of strings.
    """
    rows = np.flatnonzero(alerts.any(axis=1))
    facts = gather_facts(events, rows, judged.previous, reference, fastest)
    said = pd.Series("", index=facts.table.index, dtype=object)
    for column, label in enumerate(LABELS):
        alerted = alerts[rows, column]
        part = AlertFacts(facts.table[alerted])
        why, normal = reasons(part, label, judged.evidence[rows, column][alerted], probabilities[rows, column][alerted])
        if attribution is not None:
            silent = pd.Series(judged.evidence[rows, column] == 0, index=facts.table.index)
            _add_what_moved(events, facts.table[alerted & silent], rows, column, attribution, why, normal)
        before = said[alerted]
        said[alerted] = before.where(before == "", before + " | ") + f"{label}: " + why + "; " + normal
    out = np.full(len(events), None, dtype=object)
    out[rows] = said.to_numpy()
    return pa.array(out, pa.string()).dictionary_encode()


def reasons(
    facts: AlertFacts, label: str, evidence: np.ndarray, probability: np.ndarray
) -> tuple[pd.Series, pd.Series]:
    """(reason, what is normal) of each row for one label.

    evidence: (n,) of the rule, 0 where no rule spoke; probability: (n,) of the model, NaN where a rule alone did.
    """
    table = facts.table
    reason, normal = pd.Series("", index=table.index, dtype=object), pd.Series("", index=table.index, dtype=object)
    for found in np.unique(evidence):
        chosen = evidence == found
        say = _by_model if found == 0 else _WORDS[label]
        reason[chosen], normal[chosen] = say(table[chosen], int(found), probability[chosen])
    return reason, normal


def _add_what_moved(
    events: Events,
    table: pd.DataFrame,
    rows: np.ndarray,
    label: int,
    attribution: Attribution,
    why: pd.Series,
    normal: pd.Series,
) -> None:
    """Say in `why` and `normal` what moved the model. table: facts of its alerts; rows: (R,) the event of each fact."""
    of_label = np.flatnonzero(attribution.label == label)
    place = pd.Index(attribution.row[of_label]).get_indexer(rows[table.index])
    table, found = table[place >= 0], attribution.take(of_label[place[place >= 0]])
    has = found.earlier >= 0
    table = table.assign(
        earlier_step=_where_known(has, _step_names(events, found.earlier)),
        earlier_place=_where_known(has, _place_names(events)[events.place[found.earlier]]),
        earlier_hours=np.where(has, (events.time[found.row] - events.time[found.earlier]) / 3600, np.nan),
    )
    moved, usual = say_what_moved(table, found)
    some = moved.index[moved != ""]
    why[some] += ", most of all for " + moved[some]
    normal[some] = usual[some]


Said = tuple[pd.Series | str, pd.Series | str]


def _fake(table: pd.DataFrame, found: int, _: np.ndarray) -> Said:
    return ", ".join(words for bit, words in _CODE_PARTS if found & bit), NORMAL_CODE


def _duplicate(table: pd.DataFrame, found: int, _: np.ndarray) -> Said:
    more = "four or more" if found >= 4 else str(found)
    return f"scanned at {more} sites in one second", "an item is at one site at a time"


def _location(table: pd.DataFrame, found: int, _: np.ndarray) -> Said:
    if found == kernel.UNKNOWN_PLACE:
        return "place " + table["place"] + " is not in the sites table", "every place is in the sites table"
    if found == kernel.UNKNOWN_STEP:
        return "its step is not known", "a step is one of Factory to POS_Sell"
    moved = table["step"] + " at " + table["place"] + " after " + table["before_step"] + " at " + table["before_place"]
    if found == kernel.BACKWARD:
        return "went backward: " + moved, "goods move from factory towards sale"
    skipped = "warehouse" if found == kernel.WAREHOUSE_SKIPPED else "wholesaler"
    return f"skipped the {skipped}: " + moved, f"goods pass the {skipped}"


def _order(table: pd.DataFrame, found: int, _: np.ndarray) -> Said:
    after = (
        table["step"] + " after " + table["before_step"].fillna("") + " at the same place, " + duration(table["hours"])
    )
    if found == kernel.TYPE_MISSING:
        return "its event type is missing", "every scan says in, out or sale"
    if found == kernel.SENT_TOO_LATE:
        return "was sent after a step that must come later", "scans are sent in the order they happen"
    normal = "at one place an arrival is followed by a departure, a departure by a sale"
    return ("repeated: " if found == kernel.REPEATED else "") + after + " apart", normal


def _jump(table: pd.DataFrame, found: int, _: np.ndarray) -> Said:
    if found == kernel.FASTER_THAN_TRUCK:
        reason = "arrived " + table["km"].map("{:.0f}".format) + " km away after " + duration(table["hours"])
        return reason, "the fastest truck needs " + duration(table["needed_hours"])
    reason = "took " + duration(table["hours"]) + " from " + table["before_place"] + " to " + table["place"]
    usual = duration(table["mean_hours"]) + " ± " + table["std_hours"].map("{:.1f} h".format)
    return reason, "the route usually takes " + usual


_WORDS: dict[str, Callable[[pd.DataFrame, int, np.ndarray], Said]] = dict(
    zip(LABELS, (_fake, _duplicate, _location, _order, _jump), strict=True)
)


def _by_model(table: pd.DataFrame, _: int, probability: np.ndarray) -> Said:
    percent = pd.Series(probability, index=table.index).mul(100).map("{:.0f} %".format)
    event = table["step"] + " at " + table["place"]
    first = table["before_place"].isna()
    since = (
        duration(table["hours"])
        + " after "
        + table["before_step"].fillna("")
        + " at "
        + table["before_place"].fillna("")
    )
    far = np.where(table["km"] >= 1, ", " + table["km"].map("{:.0f}".format) + " km away", "")
    said = (
        "the model alone ("
        + percent
        + "): "
        + event
        + pd.Series(np.where(first, ", with no scan before it to compare", " " + since + far), index=table.index)
    )
    route = "the route usually takes " + duration(table["mean_hours"])
    return said, pd.Series(np.where(table["mean_hours"].isna(), "no rule is broken", route), index=table.index)


def _where_known(known: np.ndarray, texts: np.ndarray) -> np.ndarray:
    out = np.full(len(texts), None, dtype=object)
    out[known] = texts[known]
    return out


def _step_names(events: Events, rows: np.ndarray) -> np.ndarray:
    levels = np.array([*LEVEL_NAMES, "unknown step"], dtype=object)
    directions = np.array(DIRECTION_NAMES, dtype=object)
    return levels[events.level[rows]] + " " + directions[events.direction[rows]]


def _place_names(events: Events) -> np.ndarray:
    places = events.places
    named = np.array(places.name.to_pylist(), dtype=object)
    ids = np.where(places.location_id == NO_LOCATION_ID, "without a name", places.location_id.astype(str))
    return np.where(pd.isna(named), ids, named)
