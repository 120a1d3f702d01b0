"""A request: bytes as a client sends them -> columns, or what is wrong with which row and field.

Rows are checked by hand, since a request of fifty events has to be read in a fraction of a millisecond; what the
published schema says of a request is written down in `schema`, and a test holds the two against each other.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from barcode_pipeline.events.text import clean_words, integers_from_words
from barcode_pipeline.events.times import SECONDS_PER_DAY, days_from_civil, days_in_month, read_times
from barcode_pipeline.serving.readings import Raw

LONGEST_TEXT = 1000
"""Characters of a text field, at most."""
MOST_PROBLEMS = 20
"""Problems that an answer names, at most."""
_HIGHEST = 10**18 - 1
"""Of ids: what the nightly reader takes for a number (`events.text.integers_from_words`)."""
_MISSING_WORDS = ("", "null", "nan")


@dataclass(frozen=True)
class Problem:
    """What is wrong. row: place in `data`, counted from 0, None for the request as a whole; field: its name."""

    row: int | None
    field: str | None
    text: str


class Refused(Exception):
    """The request cannot be read: nothing of it was judged or stored."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.text for problem in problems[:3]))
        self.problems = problems


class TooMany(Exception):
    """More events than a request may hold."""

    def __init__(self, found: int, most: int) -> None:
        super().__init__(f"{found} events, and a request may hold {most}")
        self.found, self.most = found, most


@dataclass(frozen=True)
class Scans:
    """The events of a request, (N,) each, in its order.

    event_id, file_id: int64. time: int64 seconds of the pipeline's zone. sent: EPC codes exactly as sent, None where
    there is none. readings: place, step and event type as given.
    """

    event_id: np.ndarray
    file_id: np.ndarray
    time: np.ndarray
    sent: list[str | None]
    readings: list[Raw]

    def __len__(self) -> int:
        return len(self.sent)


def read_request(body: bytes, zone: str, most: int) -> Scans:
    """Read a request; `Refused` with row and field, `TooMany` beyond `most` events."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        content = _with_huge_numbers(body, error)
    if not isinstance(content, dict):
        raise Refused([Problem(None, None, 'the body has to be an object: {"data": [...]}')])
    if "data" not in content:
        raise Refused([Problem(None, "data", "data is missing")])
    rows = content["data"]
    if not isinstance(rows, list):
        raise Refused([Problem(None, "data", "data has to be a list of events")])
    if len(rows) > most:
        raise TooMany(len(rows), most)
    return read_rows(rows, zone)


def _with_huge_numbers(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """The content of a body whose only fault is a number beyond all bounds: its row and field can then be told."""

    def refuse(_: str) -> None:
        raise ValueError

    try:
        if "number" not in str(error):
            raise ValueError
        return json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Refused([Problem(None, None, f"the body is no valid JSON: {error}")]) from None


def read_rows(rows: list[Any], zone: str) -> Scans:
    """Events as objects -> columns; `Refused` where one of them is not as it has to be."""
    problems: list[Problem] = []
    event_ids, file_ids, times, sent, readings = [], [], [], [], []
    for number, row in enumerate(rows):
        if type(row) is not dict:
            problems.append(Problem(number, None, "an event has to be an object"))
            continue
        get = row.get
        event_id = get("event_id")
        if event_id is None:
            event_id = get("eventId")
        file_id, time, epc = get("file_id"), get("event_time"), get("epc_code")
        location, name, step, kind = get("location_id"), get("scan_location"), get("business_step"), get("event_type")
        if type(event_id) is not int or not -_HIGHEST <= event_id <= _HIGHEST:
            event_id = _integer(number, "event_id", event_id, problems)
        if type(file_id) is not int or not -_HIGHEST <= file_id <= _HIGHEST:
            file_id = _integer(number, "file_id", file_id, problems)
        if type(time) is not str or len(time) > LONGEST_TEXT:
            _text(number, "event_time", "" if time is None else time, problems)
            time = None
        elif not time.isprintable():
            _text(number, "event_time", time, problems)
        for field, value in (("epc_code", epc), ("scan_location", name), ("business_step", step), ("event_type", kind)):
            if value is not None and (type(value) is not str or len(value) > LONGEST_TEXT or not value.isprintable()):
                _text(number, field, value, problems)
        if location is not None and type(location) is not int:
            location = _location(number, location, problems)
        if (location is None or location == "") and is_missing(name):
            problems.append(Problem(number, "location_id", "location_id is missing, and so is scan_location"))
        event_ids.append(event_id)
        file_ids.append(file_id)
        times.append(time)
        sent.append(epc)
        readings.append((location, name, step, kind))
        if len(problems) > MOST_PROBLEMS:
            break
    seconds = np.zeros(len(times), dtype=np.int64)
    if not problems:
        seconds, readable = read_event_times([time or "" for time in times], zone)
        for number in np.flatnonzero(~readable)[:MOST_PROBLEMS].tolist():
            problems.append(_no_time(number, times[number] or ""))
    if problems:
        raise Refused(sorted(problems[:MOST_PROBLEMS], key=lambda problem: (problem.row is not None, problem.row or 0)))
    return Scans(np.array(event_ids, np.int64), np.array(file_ids, np.int64), seconds, sent, readings)


def read_event_times(words: list[str], zone: str) -> tuple[np.ndarray, np.ndarray]:
    """(seconds (N,) int64, readable (N,) bool), as `events.times.read_times`; the usual form is read faster."""
    joined = "".join(words)
    if joined.isascii() and len(joined) == 19 * len(words) and set(map(len, words)) <= {19}:
        digits = np.frombuffer(joined.encode(), dtype=np.uint8).reshape(-1, 19)
        signs = digits[:, (4, 7, 10, 13, 16)]
        usual = (signs == np.frombuffer(b"-- ::", np.uint8)) | (signs == np.frombuffer(b"--T::", np.uint8))
        numbers = digits[:, (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)].astype(np.int64) - 48
        if usual.all() and ((numbers >= 0) & (numbers <= 9)).all():
            return _usual_times(numbers)
    seconds, readable = read_times(clean_words(pa.array(words, pa.string())), zone)
    return seconds, np.asarray(readable)


def _usual_times(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """numbers: (N, 14) digits of year to second."""
    year = numbers[:, :4] @ np.array([1000, 100, 10, 1])
    month, day, hour, minute, second = (numbers[:, 4::2] * 10 + numbers[:, 5::2]).T
    sane = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 59)
    month = np.where(sane, month, 1)
    sane &= day <= days_in_month(year, month)
    seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
    return np.where(sane, seconds, 0), sane


def _integer(row: int, field: str, value: object, problems: list[Problem]) -> int:
    """A whole number that came in another form (`"17"`, `17.0`), 0 where it is none."""
    if value is None or (isinstance(value, str) and is_missing(value)):
        problems.append(Problem(row, field, f"{field} is missing"))
        return 0
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    if isinstance(value, str) and len(value) <= LONGEST_TEXT:
        numbers, readable = integers_from_words(clean_words(pa.array([value])))
        if readable[0]:
            return int(numbers[0])
    if type(value) is int:
        if abs(value) <= _HIGHEST:
            return value
        problems.append(Problem(row, field, f"{field} has more than 18 digits"))
        return 0
    problems.append(Problem(row, field, f"{field} has to be a whole number, not {_shown(value)}"))
    return 0


def _location(row: int, value: object, problems: list[Problem]) -> Hashable:
    """A location id that is no plain integer: a whole number in another form, or a word; None where it is missing."""
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT or not value.isprintable():
            _text(row, "location_id", value, problems)
        return None if is_missing(value) else value
    if isinstance(value, float):
        return value
    problems.append(Problem(row, "location_id", f"location_id has to be a number or a word, not {_shown(value)}"))
    return 0


def _text(row: int, field: str, value: object, problems: list[Problem]) -> None:
    if not isinstance(value, str):
        problems.append(Problem(row, field, f"{field} has to be a text, not {_shown(value)}"))
    elif not value:
        problems.append(Problem(row, field, f"{field} is missing"))
    elif len(value) <= LONGEST_TEXT:
        # Blanks around a field are stripped; within it they would break the line of a file.
        if any(character < " " for character in value.strip()):
            problems.append(Problem(row, field, f"{field} holds a control character"))
        elif any("\ud800" <= character <= "\udfff" for character in value):
            problems.append(Problem(row, field, f"{field} holds half a character"))
    else:
        problems.append(Problem(row, field, f"{field} has {len(value)} characters, and may have {LONGEST_TEXT}"))


def _no_time(row: int, word: str) -> Problem:
    if is_missing(word):
        return Problem(row, "event_time", "event_time is missing")
    return Problem(row, "event_time", f"event_time {_shown(word)} is no time: write 2025-07-01T10:34:17")


def is_missing(value: object) -> bool:
    """Whether a field says nothing (`events.text.clean_words`)."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _MISSING_WORDS)


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
