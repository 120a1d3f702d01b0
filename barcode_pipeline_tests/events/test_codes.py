"""EPC codes against plain Python."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.codes import DATE_UNREADABLE, canonical_codes, lot_names, lots_of, parse_codes

COMPANIES = ("8804823", "8805843", "8809437")
EPOCH = date(1970, 1, 1)


def is_digits(part: str, count: int) -> bool:
    return len(part) == count and part.isascii() and part.isdigit()


def slow_parse(code: str) -> dict[str, Any]:
    """What `ParsedCodes` holds of a code, read part by part."""
    out: dict[str, Any] = dict.fromkeys(
        ("six_parts", "header_is_001", "product_digits_7", "lot_digits_6", "serial_digits_9"), False
    ) | {"company": -1, "manufacture_day": DATE_UNREADABLE, "too_old_after_day": DATE_UNREADABLE, "serial": -1}
    parts = code.split(".")
    if len(parts) != 6:
        return out
    header, company, product, lot, made, serial = parts
    out |= {"six_parts": True, "header_is_001": header == "001"}
    out["company"] = COMPANIES.index(company) if company in COMPANIES else -1
    out |= {"product_digits_7": is_digits(product, 7), "lot_digits_6": is_digits(lot, 6)}
    if is_digits(serial, 9):
        out |= {"serial_digits_9": True, "serial": int(serial)}
    if is_digits(made, 8):
        try:
            day = date(int(made[:4]), int(made[4:6]), int(made[6:]))
        except ValueError:
            return out
        out["manufacture_day"] = (day - EPOCH).days
        if day.year <= 9994:
            leaps = (day.month, day.day) == (2, 29)
            five_years_on = date(day.year + 5, 3, 1) if leaps else day.replace(year=day.year + 5)
            out["too_old_after_day"] = (five_years_on - EPOCH).days
    return out


PART = st.one_of(
    st.sampled_from(
        ("001", "002", "8804823", "8805843", "880482", "1203199", "150002", "000000001", "20250701", "20240229",
         "20250229", "00000000", "00010101", "99941231", "20251301", "20250700", "", "A", "٠٠١", "0x1", "+01", " 1")
    ),
    st.text(alphabet="0123456789", max_size=10),
)  # fmt: skip
SOUND = st.builds(
    lambda company, lot, made, serial: f"001.{company}.1203199.{lot:06}.{made:%Y%m%d}.{serial:09}",
    st.sampled_from(COMPANIES),
    st.integers(0, 999_999),
    st.dates(date(1000, 1, 1), date(9994, 12, 31)),
    st.integers(0, 999_999_999),
)
CODES = st.one_of(
    SOUND, st.lists(PART, min_size=5, max_size=7).map(".".join), st.lists(PART, max_size=12).map(".".join)
)


@settings(deadline=None, max_examples=200)
@given(st.lists(CODES, max_size=20))
def test_parse(codes: list[str]) -> None:
    parsed = parse_codes(pa.array(codes, pa.string()), COMPANIES)
    assert len(parsed) == len(codes)
    for row, code in enumerate(codes):
        assert {name: getattr(parsed, name)[row] for name in slow_parse(code)} == slow_parse(code), code


def test_parse_a_slice() -> None:
    """A slice shares the bytes of the whole: its own offsets count."""
    codes = pa.array(["x", "001.8804823.1203199.150002.20250701.000000007", "y"])
    assert parse_codes(codes.slice(1, 1), COMPANIES).serial.tolist() == [7]
    assert parse_codes(codes.slice(3), COMPANIES).serial.tolist() == []


@pytest.mark.parametrize(
    ("made", "last_day"),
    [("20200229", "2025-03-01"), ("20200228", "2025-02-28"), ("20200702", "2025-07-02"), ("20191231", "2024-12-31")],
)
def test_five_years_on(made: str, last_day: str) -> None:
    """Made on 29 February 2020: too old from 2 March 2025 on."""
    parsed = parse_codes(pa.array([f"001.8804823.1203199.150002.{made}.000000001"]), COMPANIES)
    assert str(EPOCH + timedelta(days=int(parsed.too_old_after_day[0]))) == last_day


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(alphabet="aZ09.- \t", max_size=12), st.sampled_from(("NULL", "nan")))))
def test_canonical_codes(words: list[str | None]) -> None:
    expected = []
    for word in words:
        stripped = (word or "").strip()
        missing = stripped.lower() in ("", "null", "nan")
        expected.append(None if missing else stripped.upper().replace("-", "."))
    assert canonical_codes(pa.array(words, pa.string())).to_pylist() == expected


@pytest.mark.parametrize(
    "word", ["A.1\x7f9", "A.1-B", "A.1 B", " A.1B", "a.1BB", "A.1é9", "NULL", "nan", "NaN", "", "A.1\t9"]
)
def test_one_word_that_is_not_canonical_yet(word: str) -> None:
    """Words that are canonical already are passed on as they are, all of them or none."""
    ready = ["A.1[9", "001.8804823.1203199.150002.20250701.000000001"]
    assert canonical_codes(pa.array(ready)).to_pylist() == ready
    together = canonical_codes(pa.array([*ready, word, *ready])).to_pylist()
    assert together == [*ready, *canonical_codes(pa.array([word, None])).to_pylist()[:1], *ready]


@settings(deadline=None)
@given(st.lists(CODES))
def test_lot_names(codes: list[str]) -> None:
    expected = [".".join(code.split(".")[1:4]) if code.count(".") == 5 else code for code in codes]
    assert lot_names(pa.array(codes, pa.string())).to_pylist() == expected


@settings(deadline=None)
@given(st.lists(CODES))
def test_lots_of_codes(codes: list[str]) -> None:
    lots, names = lots_of(pa.array(codes, pa.string())), lot_names(pa.array(codes, pa.string()))
    assert lots.to_pylist() == names.to_pylist()
    assert lots.dictionary.to_pylist() == names.unique().to_pylist()


def test_codes_that_differ_in_their_serial_alone() -> None:
    """They are read by comparison with the one before: as each would be by itself."""
    start = "001.8804823.1203199.150002.20250701."
    ends = ("000000001", "000000002", "00000000x", "000000003", "0000.0003", "00000000", "000000004")
    codes = [start + end for end in ends] + [start.replace("0701", "0702") + "000000004", start + "000000005"]
    together = parse_codes(pa.array(codes), COMPANIES)
    for row, code in enumerate(codes):
        alone = parse_codes(pa.array([code]), COMPANIES)
        for name, column in vars(alone).items():
            assert getattr(together, name)[row] == column[0], (code, name)
