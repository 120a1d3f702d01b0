"""EPC codes: their canonical form, their parts, and the lot they name.

A code is `header.company.product.lot.manufacture_date.serial`. What makes one *wrong* is a rule and stands
in `rules`; here a code is only read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.compiled import compiled, inlined
from barcode_pipeline.events.distinct import is_same, number_texts
from barcode_pipeline.events.text import clean_words, string_buffers, texts_at
from barcode_pipeline.events.times import days_from_civil, days_in_month

DATE_UNREADABLE = np.iinfo(np.int32).min


@dataclass(frozen=True)
class ParsedCodes:
    """What the rules ask of each code; every array is (N,).

    header_is_001, product_digits_7, lot_digits_6, serial_digits_9, six_parts: bool.
    company: int32, the place in `registered` of the company, -1 where it is not there.
    manufacture_day: int32 days since 1970-01-01, `DATE_UNREADABLE` where it is no calendar day.
    too_old_after_day: int32, the last day at which the code is not yet too old (five years on).
    serial: int64, -1 where the serial is not nine digits.
    """

    six_parts: np.ndarray
    header_is_001: np.ndarray
    company: np.ndarray
    product_digits_7: np.ndarray
    lot_digits_6: np.ndarray
    serial_digits_9: np.ndarray
    manufacture_day: np.ndarray
    too_old_after_day: np.ndarray
    serial: np.ndarray

    def __len__(self) -> int:
        return len(self.six_parts)


def canonical_codes(words: pa.Array) -> pa.Array:
    """Stripped, upper-cased, `-` read as `.`; missing words stay missing. (N,) string."""
    if not words.null_count and words.type == pa.string() and _are_canonical(*string_buffers(words)):
        return words
    return pc.replace_substring(pc.utf8_upper(clean_words(words)), "-", ".")


def lot_names(codes: pa.Array) -> pa.Array:
    """`company.product.lot` of each canonical code; a code without six parts is a lot of its own. (N,) string."""
    lot = pc.struct_field(pc.extract_regex(codes, r"^[^.]*\.(?P<lot>[^.]*\.[^.]*\.[^.]*)\.[^.]*\.[^.]*$"), "lot")
    return pc.if_else(pc.is_valid(lot), lot, codes)


def lots_of(codes: pa.Array) -> pa.DictionaryArray:
    """`lot_names` of canonical codes without nulls, each name made once, in order of appearance. (N,) dictionary."""
    offsets, data = string_buffers(codes)
    start, stop = np.empty(len(codes), dtype=np.int32), np.empty(len(codes), dtype=np.int32)
    _find_lots(offsets, data, start, stop)
    lot, first = number_texts(data, start, stop)
    return pa.DictionaryArray.from_arrays(lot, texts_at(data, start[first], stop[first]))


def parse_codes(codes: pa.Array, registered: tuple[str, ...]) -> ParsedCodes:
    """Read the parts of canonical codes, (N,) string without nulls; `registered` are the known companies."""
    count = len(codes)
    offsets, data = string_buffers(codes)
    companies = pa.array(list(registered), pa.string())
    company_offsets, company_data = string_buffers(companies)
    flags = np.zeros((count, 5), dtype=np.bool_)
    company = np.full(count, -1, dtype=np.int32)
    date = np.full(count, -1, dtype=np.int64)
    serial = np.full(count, -1, dtype=np.int64)
    _parse(offsets, data, company_offsets, company_data, flags, company, date, serial)
    day, after = _manufacture_days(date)
    six_parts, header, product, lot, nine_digits = flags.T
    return ParsedCodes(six_parts, header, company, product, lot, nine_digits, day, after, serial)


def _manufacture_days(date: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days of YYYYMMDD numbers (-1: not eight digits), and of the same day five years on."""
    year, month, day = date // 10_000, date // 100 % 100, date % 100
    readable = (date >= 0) & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    month = np.where(readable, month, 1)
    readable &= day <= days_in_month(year, month)
    # Five years after 29 February there is no such day: it counts as 1 March, which is what
    # counting one day on from 28 February gives.
    five_years_on = days_from_civil(year + 5, month, day)
    return (
        np.where(readable, days_from_civil(year, month, day), DATE_UNREADABLE).astype(np.int32),
        np.where(readable, five_years_on, DATE_UNREADABLE).astype(np.int32),
    )


@inlined
def lot_bounds(data: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """Where the parts company, product and lot stand in a code of six parts, else all of it: it is a lot of its own."""
    dots, first, last = 0, start, stop
    for i in range(start, stop):
        if data[i] == 46:  # "."
            dots += 1
            if dots == 1:
                first = i + 1
            elif dots == 4:
                last = i
    if dots != 5:
        first, last = start, stop
    return first, last


@compiled
def _are_canonical(offsets: np.ndarray, data: np.ndarray) -> bool:
    """Whether all words are upper case without blanks and dashes, and too long to be one that says nothing."""
    for word in range(len(offsets) - 1):
        if offsets[word + 1] - offsets[word] < 5:
            return False
    for i in range(offsets[0], offsets[-1]):
        if data[i] <= 32 or data[i] > 126 or data[i] == 45 or 97 <= data[i] <= 122:
            return False
    return True


@compiled
def _find_lots(offsets: np.ndarray, data: np.ndarray, start: np.ndarray, stop: np.ndarray) -> None:
    for row in range(len(start)):
        start[row], stop[row] = lot_bounds(data, offsets[row], offsets[row + 1])


@compiled
def _digits(data: np.ndarray, start: int, stop: int) -> int:
    """The number that ASCII digits spell, -1 where one of them is none."""
    value = 0
    for i in range(start, stop):
        if data[i] < 48 or data[i] > 57:
            return -1
        value = value * 10 + (data[i] - 48)
    return value


@compiled
def _parse(
    offsets: np.ndarray,
    data: np.ndarray,
    company_offsets: np.ndarray,
    company_data: np.ndarray,
    flags: np.ndarray,
    company: np.ndarray,
    date: np.ndarray,
    serial: np.ndarray,
) -> None:
    """Fill flags (six parts, header, product, lot, serial), company, date and serial, code by code."""
    bounds = np.empty(8, dtype=np.int64)
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        if row > 0 and serial[row - 1] >= 0 and stop - start == offsets[row] - offsets[row - 1]:
            # Most codes differ from the one before them in their serial alone.
            number = _digits(data, stop - 9, stop)
            if number >= 0 and is_same(data, offsets[row - 1], start, stop - start - 9):
                flags[row], company[row], date[row], serial[row] = (
                    flags[row - 1],
                    company[row - 1],
                    date[row - 1],
                    number,
                )
                continue
        parts = 1
        bounds[0] = start
        for i in range(start, stop):
            if data[i] == 46:  # "."
                if parts < 7:
                    bounds[parts] = i + 1
                parts += 1
        if parts != 6:
            continue
        bounds[6] = stop + 1
        flags[row, 0] = True
        flags[row, 1] = (
            bounds[1] - bounds[0] == 4 and data[start] == 48 and data[start + 1] == 48 and data[start + 2] == 49
        )
        length = bounds[2] - 1 - bounds[1]
        for known in range(len(company_offsets) - 1):
            first = company_offsets[known]
            if company_offsets[known + 1] - first == length:
                same = True
                for i in range(length):
                    if company_data[first + i] != data[bounds[1] + i]:
                        same = False
                        break
                if same:
                    company[row] = known
                    break
        flags[row, 2] = bounds[3] - 1 - bounds[2] == 7 and _digits(data, bounds[2], bounds[3] - 1) >= 0
        flags[row, 3] = bounds[4] - 1 - bounds[3] == 6 and _digits(data, bounds[3], bounds[4] - 1) >= 0
        if bounds[5] - 1 - bounds[4] == 8:
            date[row] = _digits(data, bounds[4], bounds[5] - 1)
        if bounds[6] - 1 - bounds[5] == 9:
            serial[row] = _digits(data, bounds[5], bounds[6] - 1)
            flags[row, 4] = serial[row] >= 0
