"""Times against Python's own datetime, as the slow reference."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.times import (
    date_text,
    day_number,
    day_of,
    days_from_civil,
    days_in_month,
    order_by_day,
    read_times,
)

ZONES = ("Asia/Seoul", "UTC", "America/New_York", "Europe/Berlin", "Asia/Kathmandu")
EPOCH = datetime(1970, 1, 1)


def read(*words: str | None, zone: str = "Asia/Seoul") -> list[datetime | None]:
    seconds, readable = read_times(pa.array(words, pa.string()), zone)
    assert (seconds[~readable] == 0).all()
    return [
        EPOCH + timedelta(seconds=int(number)) if fine else None for number, fine in zip(seconds, readable, strict=True)
    ]


def slow_read(word: str | None, zone: str) -> datetime | None:
    """The same forms by hand: a regular expression and the constructors of datetime, which refuse what is no time."""
    pattern = (
        r"(\d{4})[-/.]?(\d\d)[-/.]?(\d\d)(?:[Tt]|[ \t\r\n\f]+)(\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d+)?)?"
        r"[ \t\r\n\f]*(Z|z|[+-]\d\d(?::?\d\d)?)?"
    )
    found = re.fullmatch(pattern, word or "", re.ASCII)
    if not found:
        return None
    *parts, second, offset = found.groups()
    try:
        moment = datetime(*map(int, parts), int(second or 0))  # type: ignore[arg-type]
        if offset is None:
            return moment
        if offset in "Zz":
            east = UTC
        else:
            digits = offset[1:].replace(":", "").ljust(4, "0")
            if int(digits[2:]) > 59:
                return None
            shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
            east = timezone(-shift if offset[0] == "-" else shift)
        return moment.replace(tzinfo=east).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    except (ValueError, OverflowError):
        return None


@st.composite
def written_times(draw: st.DrawFn) -> str:
    moment = draw(st.datetimes(datetime(1880, 1, 1), datetime(2999, 12, 31)))
    date = draw(st.sampled_from(("", "-", "/", "."))).join((f"{moment:%Y}", f"{moment:%m}", f"{moment:%d}"))
    clock = moment.strftime(draw(st.sampled_from(("%H:%M:%S", "%H%M%S", "%H:%M", "%H:%M:%S.%f", "%H:%M:%S,5"))))
    offset = draw(st.sampled_from(("", "Z", "z", "+09:00", "-0330", "+05", " +09:00", "+23:59", "-12")))
    return date + draw(st.sampled_from(("T", " ", "  "))) + clock + offset


@settings(max_examples=80, deadline=None)
@given(words=st.lists(written_times(), max_size=30), zone=st.sampled_from(ZONES))
def test_times_of_every_form(words: list[str], zone: str) -> None:
    assert read(*words, zone=zone) == [slow_read(word, zone) for word in words]
    assert None not in read(*words, zone=zone)


PIECES = st.sampled_from(
    [
        *"0123456789",
        *"-:/.T Z+",
        "2025",
        "02",
        "29",
        "30",
        "24",
        "60",
        "2025-02-28",
        "23:59:59",
        "+09:00",
        "0000",
        "9999",
    ]
)


@settings(max_examples=150, deadline=None)
@given(words=st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=40), zone=st.sampled_from(ZONES))
def test_what_is_no_time_is_not_readable(words: list[str], zone: str) -> None:
    for word, found in zip(words, read(*words, zone=zone), strict=True):
        expected = slow_read(word, zone)
        # The first and the last day of the calendar are given up where a zone would carry a time beyond them.
        if found is None and expected is not None:
            assert expected.year in (1, 9999)
        else:
            assert found == expected, word


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=20))
def test_any_text_at_all(words: list[str]) -> None:
    assert read(*words) == [slow_read(word, "Asia/Seoul") for word in words]


def test_zones_and_their_changes() -> None:
    """Summer time ends in New York: two instants an hour apart read the same there; none in Seoul."""
    instants = ("2025-11-02T05:30:00Z", "2025-11-02T06:30:00Z")
    assert read(*instants, zone="America/New_York") == [datetime(2025, 11, 2, 1, 30)] * 2
    assert read(*instants) == [datetime(2025, 11, 2, 14, 30), datetime(2025, 11, 2, 15, 30)]
    assert read("2025-07-01 23:30:00+00:00") == [datetime(2025, 7, 2, 8, 30)]


def test_fractions_are_cut_off_also_before_1970() -> None:
    assert read("1969-12-31 23:59:59.999", "2025-07-01 09:00:00.999999999999") == [
        datetime(1969, 12, 31, 23, 59, 59),
        datetime(2025, 7, 1, 9),
    ]


def test_missing_word_and_a_year_that_never_was() -> None:
    assert read(None, "", "0000-07-01 09:00:00", "0000-02-29 09:00:00Z") == [None] * 4


@given(st.dates())
def test_day_numbers(date: datetime) -> None:
    number = day_number(date.isoformat())
    assert number == date.toordinal() - EPOCH.toordinal()
    assert date_text(number) == date.isoformat()
    parts = [np.array([part]) for part in (date.year, date.month, date.day)]
    assert days_from_civil(*parts).tolist() == [number]
    assert day_of(np.array([number * 86_400, number * 86_400 + 86_399])).tolist() == [number] * 2


@pytest.mark.parametrize(("year", "days"), [(2024, 29), (2025, 28), (1900, 28), (2000, 29)])
def test_length_of_february(year: int, days: int) -> None:
    assert days_in_month(np.array([year]), np.array([2])).tolist() == [days]


@pytest.mark.parametrize("days", [[], [5], [3, 1, 3, 2, 1], [20_000, -700_000, 2_900_000, 20_000, -700_000]])
def test_order_by_day_is_stable(days: list[int]) -> None:
    order = order_by_day(np.array(days, dtype=np.int64))
    assert order.tolist() == sorted(range(len(days)), key=lambda row: days[row])
