"""Verdicts that come in live: each one's event is looked up in the history, and written where the chain finds it.

A file per day in the feedback folder, in the form in which investigators drop theirs (`events.verdicts`).
"""

from __future__ import annotations

import csv
import datetime
import fcntl
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from barcode_pipeline.events.codes import canonical_codes
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.journeys import NO_EVENT_ID
from barcode_pipeline.serving.history import History, keyless
from barcode_pipeline.serving.judge import Settings
from barcode_pipeline.serving.readings import clean_of
from barcode_pipeline.serving.requests import Problem, Refused, read_event_times
from barcode_pipeline.serving.rows import unpack
from barcode_pipeline.serving.schema import Verdict

COLUMNS = (
    "label", "verdict", "who", "when", "epc_code", "event_time", "location_id", "scan_location", "business_step",
    "event_type", "event_id",
)  # fmt: skip
_JUDGED = ("label", "epc_code", "event_time", "location_id", "scan_location", "business_step", "event_type")


class UnknownEvents(Exception):
    """Verdicts name events that the history does not hold."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].text)
        self.problems = problems


@dataclass(frozen=True)
class FeedbackDesk:
    """folder: where verdicts lie. zone: of the pipeline. now: the time of day there."""

    folder: Path
    zone: str
    now: Callable[[], datetime.datetime] | None = None

    def store(self, history: History, settings: Settings, verdicts: Sequence[Verdict]) -> dict[str, int]:
        """Write what is new; all or nothing. Raises `UnknownEvents`, and `Refused` for times that are none."""
        now = self.now() if self.now else datetime.datetime.now(ZoneInfo(self.zone)).replace(tzinfo=None)
        rows = self._rows(history, verdicts, now)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            standing = self._standing()
            new = []
            for row, verdict in zip(rows, verdicts, strict=True):
                judged = tuple(row[name] for name in _JUDGED)
                said = (row["verdict"], row["who"])
                # The same word again, by the same person, says nothing new, unless it is dated otherwise.
                if standing.get(judged, (None, None, ""))[:2] == said and (
                    verdict.when is None or standing[judged][2] == row["when"]
                ):
                    continue
                standing[judged] = (*said, row["when"])
                new.append(row)
            if new:
                self._append(self.folder / f"live-{now:%Y-%m-%d}.csv", new)
        return {"stored": len(new), "known": len(verdicts) - len(new)}

    def _rows(self, history: History, verdicts: Sequence[Verdict], now: datetime.datetime) -> list[dict[str, str]]:
        """Verdicts as rows of a file, each with the key of its event."""
        whens = [verdict.when or f"{now:%Y-%m-%d %H:%M:%S}" for verdict in verdicts]
        times = [verdict.event_time for verdict in verdicts]
        when, event_time = self._times("when", whens), self._times("event_time", times)
        codes = canonical_codes(pa.array([verdict.epc_code for verdict in verdicts], pa.string())).to_pylist()
        problems = [
            Problem(number, "event_id", "event_id or event_time has to say which event is meant")
            for number, (verdict, code) in enumerate(zip(verdicts, codes, strict=True))
            if verdict.event_time is None and (verdict.event_id is None or code is None)
        ]
        if problems:
            raise Refused(problems)
        keys = [code or keyless(time or 0) for code, time in zip(codes, event_time, strict=True)]
        journeys = history.journeys(keys)
        rows, unknown = [], []
        for number, (verdict, code, content) in enumerate(zip(verdicts, codes, journeys, strict=True)):
            found = _event_of(content, verdict, event_time[number])
            if found is None:
                unknown.append(Problem(number, "event_id", "no such event is known of this EPC"))
                continue
            text = history.readings([int(found["reading"])])[int(found["reading"])]
            location_id, location_text, name, step, kind = clean_of(text)
            event_id = int(found["event_id"])
            key: dict[str, Any] = {
                "epc_code": code, "event_time": str(np.datetime64(int(found["time"]), "s")),
                "location_id": location_id if location_id is not None else location_text, "scan_location": name,
                "business_step": step, "event_type": kind, "event_id": None if event_id == NO_EVENT_ID else event_id,
                "label": verdict.label, "verdict": "true" if verdict.verdict else "false", "who": verdict.who,
                "when": str(np.datetime64(when[number] or 0, "s")),
            }  # fmt: skip
            rows.append({column: _plain(key[column]) for column in COLUMNS})
        if unknown:
            raise UnknownEvents(unknown)
        return rows

    def _times(self, field: str, words: Sequence[str | None]) -> list[int | None]:
        given = [word for word in words if word is not None]
        seconds, readable = read_event_times(given, self.zone) if given else (np.zeros(0, int), np.zeros(0, bool))
        read = iter(zip(seconds.tolist(), readable.tolist(), strict=True))
        out: list[int | None] = []
        for number, word in enumerate(words):
            if word is None:
                out.append(None)
                continue
            value, sound = next(read)
            if not sound:
                raise Refused([Problem(number, field, f"{field} is no time: write 2025-07-01T10:34:17")])
            out.append(value)
        return out

    def _standing(self) -> dict[tuple[str, ...], tuple[str, str, str]]:
        """The verdict that stands of each event and label, of all that came in live."""
        found: dict[tuple[str, ...], tuple[str, str, str]] = {}
        for path in sorted(self.folder.glob("live-*.csv")):
            with path.open(encoding="utf-8", newline="") as stream:
                for row in csv.DictReader(stream):
                    found[tuple(row[name] for name in _JUDGED)] = (row["verdict"], row["who"], row["when"])
        return found

    def _append(self, path: Path, rows: list[dict[str, str]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        if not path.exists():
            writer.writeheader()
        writer.writerows(rows)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        with written_beside(path) as beside:
            beside.write_text(before + text.getvalue(), encoding="utf-8")


def _event_of(content: bytes | None, verdict: Verdict, time: int | None) -> np.void | None:
    """The event of a journey that a verdict means: by id, by time, or by both."""
    rows, _ = unpack([content])
    fits = np.ones(len(rows), dtype=bool)
    if verdict.event_id is not None:
        fits &= rows["event_id"] == verdict.event_id
    if time is not None:
        fits &= rows["time"] == time
    found = np.flatnonzero(fits)
    return rows[found[0]] if len(found) else None


def _plain(value: object) -> str:
    """A field of a file: one line, since a record is a line."""
    return "" if value is None else " ".join(str(value).split())
