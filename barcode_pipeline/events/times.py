"""Reading `event_time`: any sender's way of writing a time -> seconds in the pipeline's zone.

Inside the pipeline a time is the local time of the pipeline's zone, naive, cut to the second, as seconds
since 1970-01-01T00:00:00 of that zone's calendar. A day is that number divided by 86,400.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

SECONDS_PER_DAY = 86_400

# ISO 8601 with `T` or a blank, basic or extended, seconds and fraction optional, `Z` or an offset or none.
_PATTERN = (
    r"^(?P<year>[0-9]{4})[-/.]?(?P<month>[0-9]{2})[-/.]?(?P<day>[0-9]{2})"
    r"(?:T|t|\s+)(?P<hour>[0-9]{2}):?(?P<minute>[0-9]{2})(?::?(?P<second>[0-9]{2})(?:[.,][0-9]+)?)?"
    r"\s*(?P<zone>Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?$"
)


def days_from_civil(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01 of proleptic Gregorian dates (Hinnant, "chrono-compatible date algorithms")."""
    year = year - (month <= 2)
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


def days_in_month(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Number of days; `month` has to lie in 1 to 12."""
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    lengths = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])[month]
    return lengths + ((month == 2) & leap)


def read_times(words: pa.Array, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Read times as seconds of the zone's local calendar.

    Returns (seconds (N,) int64, readable (N,) bool). Aware times are converted to `zone`, naive ones are in
    it, fractions of a second are cut off. A date without a time of day is not readable as a time.
    """
    parts = pc.extract_regex(words, _PATTERN)
    matched = parts.is_valid().to_numpy(zero_copy_only=False)

    def number(name: str) -> np.ndarray:
        text = pc.struct_field(parts, name)
        text = pc.if_else(pc.equal(text, ""), "0", text)
        return pc.fill_null(text, "0").cast(pa.int64()).to_numpy(zero_copy_only=False)

    year, month, day = number("year"), number("month"), number("day")
    hour, minute, second = number("hour"), number("minute"), number("second")
    sane = matched & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    sane &= (hour <= 23) & (minute <= 59) & (second <= 59)
    month = np.where(sane, month, 1)
    sane &= day <= days_in_month(year, month)
    seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second

    zone_text = pc.fill_null(pc.struct_field(parts, "zone"), "")
    aware = pc.not_equal(zone_text, "").to_numpy(zero_copy_only=False) & sane
    if aware.any():
        offsets, offsets_sane = _offset_seconds(zone_text.filter(pa.array(aware)))
        local, within = _to_zone(seconds[aware] - offsets, zone)
        seconds[aware] = local
        sane[aware] = offsets_sane & within
    return np.where(sane, seconds, 0), sane


def _offset_seconds(zone_text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Seconds east of UTC of `Z`, `+09`, `+0900`, `+09:00`, and whether the offset exists."""
    digits = pc.replace_substring_regex(zone_text, r"[^0-9]", "")
    hours = pc.if_else(pc.equal(digits, ""), "0", pc.utf8_slice_codeunits(digits, 0, 2)).cast(pa.int64())
    tail = pc.utf8_slice_codeunits(digits, 2, 4)
    minutes = pc.if_else(pc.equal(tail, ""), "0", tail).cast(pa.int64())
    sign = np.where(pc.starts_with(zone_text, "-").to_numpy(zero_copy_only=False), -1, 1)
    hours_np, minutes_np = hours.to_numpy(zero_copy_only=False), minutes.to_numpy(zero_copy_only=False)
    return sign * (hours_np * 3600 + minutes_np * 60), (hours_np <= 23) & (minutes_np <= 59)


def _to_zone(utc_seconds: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """UTC seconds -> seconds of the zone's local calendar, and whether they lie in years 1 to 9999."""
    lowest, highest = -62_135_596_800 + SECONDS_PER_DAY, 253_402_300_799 - SECONDS_PER_DAY
    within = (utc_seconds >= lowest) & (utc_seconds <= highest)
    stamps = pd.DatetimeIndex(np.where(within, utc_seconds, 0).astype("datetime64[s]"))
    local = stamps.tz_localize("UTC").tz_convert(ZoneInfo(zone)).tz_localize(None)
    return np.asarray(local.values.astype("datetime64[s]").astype(np.int64)), within


def day_of(seconds: np.ndarray) -> np.ndarray:
    """The calendar day of each time, as days since 1970-01-01."""
    return seconds // SECONDS_PER_DAY


def order_by_day(day: np.ndarray) -> np.ndarray:
    """Rows by day, those of one day in the order they have, (N,)."""
    since_first = day - day.min(initial=np.iinfo(np.int64).max)
    # Of 16 bits a stable sort is linear.
    few = since_first.max(initial=0) < 1 << 16
    return np.argsort(since_first.astype(np.uint16) if few else since_first, kind="stable")


def date_text(day: int) -> str:
    """`2025-07-01` of a day number: the key of a date's partition."""
    return str(np.datetime64(int(day), "D"))


def day_number(date: str) -> int:
    """The day number of `2025-07-01`."""
    return int(np.datetime64(date, "D").astype(np.int64))
