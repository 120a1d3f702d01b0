"""Hypothesis strategies for single fields as senders give them: codes, times, locations and words.

The pools are small on purpose, so that rows built from them meet. What belongs here is how one field is
written; worlds and whole rows are in ``strategies``.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from .reference_rules import Site

UNKNOWN_NAMES = ("Nowhere", "nowhere", "FACTORY", "Store 9")
UNKNOWN_IDS: tuple[Any, ...] = (999, "999", "999.0", " 999 ", 999.0, 998, -1)
MISSING_TEXTS = (None, "", "   ", "null", "NULL", "nan", "NaN", " Null ")
MISSING_IDS: tuple[Any, ...] = (*MISSING_TEXTS, math.nan)
UNREADABLE_IDS: tuple[Any, ...] = ("17.5", 17.5, "abc", "1e1", "17a", math.inf)

LEVEL_NAMES = (
    ("Factory", "Aggregation"),
    ("WMS", "Warehouse"),
    ("Logistics_HUB", "HUB"),
    ("W_Stock", "Wholesaler", "Distribution"),
    ("R_Stock", "Retailer", "Retail"),
    ("POS_Sell",),
)
SUFFIXES = ("", "_Inbound", "_Outbound")
KNOWN_WORDS = tuple(name + suffix for names in LEVEL_NAMES for name in names for suffix in SUFFIXES)
DIRECTION_WORDS = ("Inbound", "Outbound")
# Words that begin, end or contain a known one without being it.
UNKNOWN_WORDS = (
    "Mars",
    "mars",
    "WMSInbound",
    "_Inbound",
    "WMS_",
    "WMS Inbound",
    "HUB_Inbound_Outbound",
    "Mars_Inbound",
    "Mars_Outbound",
    "XWMS",
    "Logistics",
    "W_Stock_In",
    "Sale",
    "POS_Sells",
)

KOREA = timezone(timedelta(hours=9))
ZONES = (UTC, KOREA, timezone(timedelta(hours=-5, minutes=-30)), timezone(timedelta(hours=14)))

COMPANIES = ("8804823", "8805843", "8809437")


def one_in(denominator: int) -> st.SearchStrategy[bool]:
    """True about once in ``denominator`` draws; shrinks towards False."""
    return st.integers(0, denominator - 1).map(lambda drawn: drawn == denominator - 1)


# --- EPC codes ------------------------------------------------------------------------------------------


def years_back(day: datetime, years: int, days: int) -> str:
    """The day that lies ``years`` before ``day`` (1 March for a 29 February), shifted by ``days``."""
    moved = datetime(day.year - years, *((3, 1) if (day.month, day.day) == (2, 29) else (day.month, day.day)))
    return (moved + timedelta(days=days)).strftime("%Y%m%d")


# No day of the calendar, no eight ASCII digits, or the first and the last day there is.
BAD_DATES = (
    *("20250230", "20230229", "19000229", "00000101", "00010101", "20251301", "20250001", "20250700"),
    *("2025070", "202507011", "2025 701", "+2025701", "abcdefgh", "2025O701", "２０２５０７０１"),
    *("", "99991231"),
)


@st.composite
def manufacture_dates(draw: st.DrawFn, day: datetime) -> str:
    """On either side of five years before ``day`` or of ``day`` itself, a leap year's day, or not a date."""
    kind = draw(st.sampled_from(("five years", "today", "29 February", "bad", "bad")))
    if kind == "five years":
        return years_back(day, 5, draw(st.integers(-2, 3)))
    if kind == "today":
        return (day + timedelta(days=draw(st.integers(-1, 2)))).strftime("%Y%m%d")
    if kind == "29 February":
        return draw(st.sampled_from(("20200229", "20200229", "20240229", "20200301", "20190228", "20190301")))
    return draw(st.sampled_from(BAD_DATES))


@st.composite
def epc_codes(draw: st.DrawFn, day: datetime) -> str:
    """One code in the form the rules know it by; a third of them are in order."""
    serial = f"{draw(st.integers(1, 3)):09d}"
    if draw(one_in(3)):
        return f"001.{draw(st.sampled_from(COMPANIES))}.1203199.150002.{years_back(day, 0, -20)}.{serial}"
    bad_parts = (
        ("002", "1", "0001", "", "001 ", "00I"),
        ("9999999", "880482", "8804823 ", "", "８８０４８２３"),
        ("120319", "12031990", "12O3199", "1203199 ", "+120319", "１２０３１９９", ""),
        ("15000", "1500020", "15000A", "1_0002", "", "١٥٠٠٠٢"),
        (draw(manufacture_dates(day)),),
        ("12345", "0000000011", "00000000A", "00000_001", "", "00000000¹"),
    )
    parts = ["001", draw(st.sampled_from(COMPANIES)), "1203199", "150002", years_back(day, 0, -20), serial]
    most = draw(st.sampled_from((1, 1, 3, 6)))
    for position in draw(st.sets(st.integers(0, 5), min_size=1, max_size=most)):
        parts[position] = draw(st.sampled_from(bad_parts[position]))
    shape = draw(st.sampled_from(("six",) * 8 + ("five", "seven", "word", "dots")))
    if shape == "five":
        del parts[draw(st.integers(0, 5))]
    elif shape == "seven":
        parts.insert(draw(st.integers(0, 6)), draw(st.sampled_from(("", "1"))))
    elif shape == "word":
        return draw(st.sampled_from(("BROKEN.EPC.FORMAT", "X", ".....", "......")))
    elif shape == "dots":
        return ".".join(parts) + "."
    return ".".join(parts)


@st.composite
def epc_spellings(draw: st.DrawFn, code: str) -> str | None:
    """``code`` as a sender may write it; once in a while nothing at all."""
    spelling = draw(st.sampled_from(("plain",) * 10 + ("lower", "hyphens", "mixed", "spaces", "missing")))
    if spelling == "lower":
        return code.lower()
    if spelling == "hyphens":
        return code.replace(".", "-")
    if spelling == "mixed":
        return code.replace(".", "-", 2).lower()
    if spelling == "spaces":
        return f"  {code}\t"
    return draw(st.sampled_from(MISSING_TEXTS)) if spelling == "missing" else code


# --- times ----------------------------------------------------------------------------------------------


@st.composite
def time_spellings(draw: st.DrawFn, korean_time: datetime) -> str:
    """``korean_time`` in one of the forms senders use; whatever the form, the same second in Asia/Seoul."""
    forms = ("plain",) * 6 + ("iso", "fraction", "aware", "aware", "aware fraction", "Z")
    form = draw(st.sampled_from(forms))
    separator = draw(st.sampled_from((" ", "T")))
    if form == "plain":
        return korean_time.isoformat(sep=" ")
    if form == "iso":
        return korean_time.isoformat()
    fraction = draw(st.sampled_from((".1", ".9", ".999999", ".000001", ".500"))) if "fraction" in form else ""
    if form == "fraction":
        return korean_time.isoformat(sep=separator) + fraction
    zone = UTC if form == "Z" else draw(st.sampled_from(ZONES))
    local = korean_time.replace(tzinfo=KOREA).astimezone(zone)
    offset = "Z" if form == "Z" else local.isoformat()[-6:]
    return local.replace(tzinfo=None).isoformat(sep=separator) + fraction + offset


# --- places and words -----------------------------------------------------------------------------------


@st.composite
def known_places(draw: st.DrawFn, site: Site, sites: list[Site]) -> tuple[Any, str | None]:
    """Location id and name, in one of the ways that lead to ``site``, one of ``sites``."""
    number = site.location_id
    forms: list[Any] = [number, float(number), str(number), f"{number}.0", f" {number} ", f"{number}.00"]
    way = draw(st.sampled_from(("id", "id", "both", "both", "name", "wrong name", "unknown id")))
    if way == "id":
        return draw(st.sampled_from(forms)), draw(st.sampled_from(MISSING_TEXTS))
    if way == "both":
        return draw(st.sampled_from(forms)), site.name
    if way == "name":
        return draw(st.sampled_from(MISSING_IDS)), draw(st.sampled_from((site.name, f" {site.name} ")))
    if way == "wrong name":
        names = [other.name for other in sites]
        return draw(st.sampled_from(forms)), draw(st.sampled_from((*names, *UNKNOWN_NAMES)))
    return draw(st.sampled_from(UNKNOWN_IDS)), site.name


def unknown_places() -> st.SearchStrategy[tuple[Any, str | None]]:
    """Location id and name of a place that is not in the table (ids of ``UNKNOWN_IDS`` are in no world)."""
    missing_texts = st.sampled_from(MISSING_TEXTS)
    names = st.sampled_from(UNKNOWN_NAMES)
    return st.one_of(
        st.tuples(st.sampled_from(UNKNOWN_IDS), missing_texts),
        st.tuples(st.sampled_from(UNKNOWN_IDS), names),
        st.tuples(st.sampled_from(MISSING_IDS), names),
    )


def spelled(word: str) -> st.SearchStrategy[str]:
    """``word`` in the cases and with the blanks that senders give it."""
    return st.sampled_from((word, word, word, word.lower(), word.upper(), word.swapcase(), f" {word} "))


def any_step() -> st.SearchStrategy[str | None]:
    return st.one_of(
        st.sampled_from(KNOWN_WORDS).flatmap(spelled),
        st.sampled_from(UNKNOWN_WORDS + DIRECTION_WORDS),
        st.sampled_from(MISSING_TEXTS),
    )


def any_event_type() -> st.SearchStrategy[str | None]:
    return st.one_of(
        st.sampled_from((*KNOWN_WORDS, *DIRECTION_WORDS * 3, *("Aggregation", "POS_Sell") * 2)).flatmap(spelled),
        st.sampled_from(UNKNOWN_WORDS),
        st.sampled_from(MISSING_TEXTS),
    )


@st.composite
def usual_words(draw: st.DrawFn, level: int) -> tuple[str | None, str | None]:
    """Step and event type as they go with ``level``: the names of its own, an inbound or an outbound."""
    names = st.sampled_from(LEVEL_NAMES[level])
    step = draw(names.flatmap(spelled))
    if draw(one_in(4)):
        step = step.strip() + draw(st.sampled_from(SUFFIXES))
    own_words = st.builds(str.__add__, names, st.sampled_from(("_Inbound", "_Outbound")))
    without_suffix = {0: "Aggregation", 5: "POS_Sell"}
    if level in without_suffix:
        own_words = st.one_of(st.just(without_suffix[level]), own_words)
    event_type = draw(st.one_of(own_words, st.sampled_from(DIRECTION_WORDS)).flatmap(spelled))
    return step, event_type
