"""Alerts of some dates out of their scores, written as Parquet, CSV and a page per night. No Dagster here.

The alerts of a date are a function of the scores of dates up to it: where the alerts of a date have changed, those of
later dates that may continue them are linked anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.alerts.alert import EventWords, draft_alerts
from barcode_pipeline.alerts.continuing import LINKS, link
from barcode_pipeline.alerts.grouping import AlertedEvents, find_leads, group_alerts, hit_scores
from barcode_pipeline.alerts.journey_words import journey_lines, place_words, step_words
from barcode_pipeline.alerts.page import alerts_csv, alerts_page
from barcode_pipeline.alerts.tables import ALERTS_SCHEMA
from barcode_pipeline.chain import Rows
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.naming import LABEL_MEANINGS
from barcode_pipeline.events.codes import lot_names
from barcode_pipeline.events.date_store import one_chunk
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.formats import ALERTS, KEY_COLUMNS, LABELS, PROBABILITIES, SCORES
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.text import dictionary_array, dictionary_codes
from barcode_pipeline.events.times import date_text, day_of
from barcode_pipeline.stale_dates import noted
from barcode_pipeline.workspace import Workspace

_AT_ONCE = 31
"""Dates that are read together."""
_SHOWN = ("scan_location", "location_id", "location_text", "site_name", "level", "direction", "business_step")
_ENRICHED = ("epc_code", "event_time", *_SHOWN)


def make_alerts(workspace: Workspace, days: Sequence[int]) -> Rows:
    """Make the alerts of some dates, whose scores have to be there."""
    window, known = workspace.configuration.alerts.continues_days, _Known(workspace)
    drafts = {
        day: part
        for start in range(0, len(days), _AT_ONCE)
        for day, part in _drafts(workspace, sorted(days)[start : start + _AT_ONCE]).items()
    }
    rows = {}
    moved: list[int] = []
    for day in sorted({*drafts, *(later for later in known.days if later > min(drafts, default=later))}):
        if day in drafts:
            rows[day] = len(drafts[day])
        elif not any(day - window <= one for one in moved):
            continue
        linked = link(drafts[day] if day in drafts else known.of(day), known.before(day, window), day)
        if day in drafts or not _same_links(linked, known.of(day)):
            _write(workspace, day, linked)
            known.now(day, linked)
            moved.append(day)
    return noted(workspace, "alerts", rows)


_NONE = ALERTS_SCHEMA.empty_table()


class _Known:
    """The alerts on disk, each date read once."""

    def __init__(self, workspace: Workspace) -> None:
        self._store = workspace.alerts
        self.days = set(self._store.days())
        self._read: dict[int, pd.DataFrame] = {}

    def of(self, day: int) -> pd.DataFrame:
        if day not in self._read:
            self._read[day] = as_frame(self._store.read([day]))
        return self._read[day]

    def before(self, day: int, window: int) -> pd.DataFrame:
        """Those of the dates that a date's alerts may continue, with their `day`."""
        days = [one for one in range(day - window, day) if one in self.days and len(self.of(one))]
        parts = [self.of(one).assign(day=one) for one in days]
        return pd.concat(parts, ignore_index=True) if parts else as_frame(ALERTS_SCHEMA.empty_table()).assign(day=0)

    def now(self, day: int, alerts: pd.DataFrame) -> None:
        self.days.add(day)
        self._read[day] = alerts


@dataclass(frozen=True)
class AlertFiles:
    """What a person reads of a night's alerts."""

    page: Path
    csv: Path


def alert_files(workspace: Workspace, day: int) -> AlertFiles:
    """Where they lie; a date without events has none."""
    folder = workspace.reports / "alerts"
    return AlertFiles(folder / f"{date_text(day)}.html", folder / f"{date_text(day)}.csv")


def _write(workspace: Workspace, day: int, alerts: pd.DataFrame) -> None:
    # A column of an empty frame may be of any type.
    table = pa.Table.from_pandas(alerts, ALERTS_SCHEMA, preserve_index=False) if len(alerts) else _NONE
    files, frame = alert_files(workspace, day), as_frame(table)
    if workspace.scores.rows(day):
        with written_beside(files.page) as beside:
            beside.write_text(alerts_page(frame, date_text(day), LABEL_MEANINGS), encoding="utf-8")
        with written_beside(files.csv) as beside:
            beside.write_text(alerts_csv(frame), encoding="utf-8")
    else:
        files.page.unlink(missing_ok=True)
        files.csv.unlink(missing_ok=True)
    workspace.alerts.write(table, np.full(len(table), day), [day])


def _same_links(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    columns = ["own_id", *LINKS]
    return len(one) == len(other) and one[columns].astype(str).equals(other[columns].astype(str))


def as_frame(table: pa.Table) -> pd.DataFrame:
    """The table as a frame whose missing texts are None."""
    frame = table.to_pandas(date_as_object=True, integer_object_nulls=True)
    texts = [name for name in frame if frame[name].isna().any() and name not in ("event_id", "first_time", "last_time")]
    return frame.assign(**{name: frame[name].astype(object).where(frame[name].notna(), None) for name in texts})


# ------------------------------------------------------------------ what the scores say


def _drafts(workspace: Workspace, days: Sequence[int]) -> dict[int, pd.DataFrame]:
    """The alerts of some dates by date, before they are linked with earlier ones."""
    table, position = _alerted(workspace, days)
    events, words = _columns(table)
    alert = group_alerts(events, round(workspace.configuration.alerts.near_hours * 3600))
    drafts = draft_alerts(events, alert, find_leads(events, alert), words)
    drafts = drafts.assign(journey=_journeys(workspace, drafts, table, events, position))
    # What is filled in by linking has its place already, so that a stored date and a draft look alike.
    drafts = drafts.assign(**dict.fromkeys(LINKS)).drop(columns="lead")
    return {day: drafts[drafts["day"] == day].drop(columns="day").reset_index(drop=True) for day in days}


def _alerted(workspace: Workspace, days: Sequence[int]) -> tuple[pa.Table, np.ndarray]:
    """The events with an alert, all that is known of them side by side, and the row of each in its date's files."""
    scores = workspace.scores.read(days, (*KEY_COLUMNS, *PROBABILITIES, *ALERTS, "reason", "model_file"))
    alerts = np.column_stack([scores.column(name).to_numpy() for name in ALERTS])
    row = np.flatnonzero(alerts.any(axis=1))
    day = _day(scores)
    parts = {name: scores.column(name).take(pa.array(row)) for name in scores.column_names}
    for store, columns in (
        (workspace.labels, (*LABELS, *SCORES)),
        (workspace.enriched, (*_SHOWN, "product_name")),
    ):
        beside = store.read(days, tuple(dict.fromkeys(columns)))
        if len(beside) != len(scores):
            raise UserError(
                f"event_scores and {store.folder.name} do not hold the same events on dates from "
                f"{date_text(min(days))} to {date_text(max(days))}: materialise event_scores again."
            )
        parts |= {name: beside.column(name).take(pa.array(row)) for name in beside.column_names}
    starts = np.flatnonzero(np.diff(day, prepend=-(2**62)))
    of_day = np.arange(len(day)) - np.repeat(starts, np.diff(np.append(starts, len(day)))) if len(day) else day
    return pa.table(parts), of_day[row]


def _columns(table: pa.Table) -> tuple[AlertedEvents, EventWords]:
    frame = table.select([*_SHOWN]).to_pandas()
    labels, scores, alerts, probability = (
        np.column_stack([table.column(name).to_numpy() for name in names])
        for names in (LABELS, SCORES, ALERTS, PROBABILITIES)
    )
    code = _texts(table, "epc_code")
    known = ~pd.isna(code)
    lot = np.full(len(code), None, dtype=object)
    lot[known] = lot_names(pa.array(code[known], pa.string())).to_pylist()
    (codes, epc), (lots, lot_code) = _coded(code), _coded(lot)
    places, place = _coded(place_words(frame))
    steps, step = _coded(step_words(frame["level"], frame["direction"], frame["business_step"]))
    time = table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)
    events = AlertedEvents(
        day_of(time), time, epc, lot_code, place, step, alerts, hit_scores(labels, scores, probability), probability
    )
    words = EventWords(
        codes,
        lots,
        places,
        steps,
        _texts(table, "product_name"),
        _texts(table, "reason"),
        _texts(table, "model_file"),
        table.column("event_id").to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get),
    )
    return events, words


def _coded(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(distinct texts, ascending, the place of each among them, -1 for None)."""
    codes, names = pd.factorize(texts, sort=True)
    return np.asarray(names, dtype=object), codes.astype(np.int64)


def _texts(table: pa.Table, name: str) -> np.ndarray:
    return table.column(name).cast(pa.string()).to_numpy().astype(object)


def _day(table: pa.Table) -> np.ndarray:
    return day_of(table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64))


# ------------------------------------------------------------------ journeys


def _journeys(
    workspace: Workspace, drafts: pd.DataFrame, table: pa.Table, events: AlertedEvents, position: np.ndarray
) -> np.ndarray:
    """The journey up to its date of the EPC of each alert, in a line; without an EPC, its event alone. (A,) texts."""
    shown = table.select(["epc_code", "event_time", *_SHOWN]).take(pa.array(drafts["lead"].to_numpy(np.int64)))
    alone = _described(shown.to_pandas()).assign(number=np.arange(len(drafts)), order=0, labels=drafts["label"])
    has = drafts["epc_code"].notna().to_numpy()
    wanted = pd.DataFrame({"epc_code": drafts["epc_code"], "until": drafts["day"], "number": np.arange(len(drafts))})
    labels = np.where(events.alerts, np.array([f"{label} " for label in LABELS], object), "").sum(axis=1)
    marks = pd.DataFrame({"day": events.day, "order": position, "labels": [text.strip() for text in labels]})
    found = _known_events(workspace, wanted[has]).merge(wanted[has], on="epc_code")
    found = found[found["day"] <= found["until"]].merge(marks, on=["day", "order"], how="left")
    # Alerts of earlier dates were told on those dates.
    told = found["labels"].where(found["day"] == found["until"]).fillna("")
    parts = [alone[~has], found.assign(labels=told)[[*alone.columns]]]
    rows = pd.concat(parts, ignore_index=True).sort_values(["number", "time", "order"], kind="stable")
    return journey_lines(rows).reindex(range(len(drafts))).to_numpy(object)


def _known_events(workspace: Workspace, wanted: pd.DataFrame) -> pd.DataFrame:
    """The events of some EPCs up to the last date asked for: epc_code, day, time, step, place, and their row in the
    date's file as `order`."""
    codes = pa.array(wanted["epc_code"].unique(), pa.string())
    last = int(wanted["until"].max()) if len(wanted) else 0
    days = [day for day in workspace.lots.read().days_of(lot_hashes(codes)).tolist() if day <= last]

    def of_day(day: int) -> tuple[pa.Table, np.ndarray]:
        table = workspace.enriched.read([day], _ENRICHED)
        column = dictionary_array(table.column("epc_code"))
        of_code = pc.is_in(column.dictionary, value_set=codes).to_numpy(zero_copy_only=False)
        row = np.flatnonzero(np.append(of_code, False)[dictionary_codes(column)])
        return table.take(pa.array(row)), row

    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(of_day, days))
    tables = [workspace.enriched.read((), _ENRICHED), *(table for table, _ in parts)]
    frame = one_chunk(pa.concat_tables(tables)).to_pandas()
    return _described(frame).assign(
        epc_code=frame["epc_code"].astype(object),
        day=np.repeat(np.array(days, np.int64), [len(row) for _, row in parts]),
        order=np.concatenate([np.zeros(0, np.int64), *(row for _, row in parts)]),
    )


def _described(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": frame["event_time"],
            "step": step_words(frame["level"], frame["direction"], frame["business_step"]),
            "place": place_words(frame),
        }
    )
