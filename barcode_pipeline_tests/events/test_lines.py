"""Splitting bytes into lines and fields, against a reader that goes character by character."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events import raw_files
from barcode_pipeline.events.lines import (
    BLANK,
    CARRIAGE_RETURN,
    GOOD,
    NOT_UTF8,
    NUL_BYTE,
    OPEN_QUOTE,
    WRONG_FIELDS,
    gather,
    split_lines,
    texts,
)
from barcode_pipeline.events.raw_files import UnreadableFile, parse_block, read_header, read_raw_file

NAMES = ("epc_code", "event_time", "location_id", "scan_location", "business_step", "event_type")


def slow_fields(line: str, separator: str) -> list[str] | None:
    """The fields of a line, None where a quote stays open: a field may be quoted from its first character on."""
    fields, field, quoted, at_start, place = [], "", False, True, 0
    while place < len(line):
        sign = line[place]
        if quoted:
            if sign == '"' and line[place + 1 : place + 2] == '"':
                field += '"'
                place += 1
            elif sign == '"':
                quoted = False
            else:
                field += sign
        elif sign == separator:
            fields.append(field)
            field, at_start = "", True
            place += 1
            continue
        elif sign == '"' and at_start:
            quoted = True
        else:
            field += sign
        at_start = False
        place += 1
    return None if quoted else [*fields, field]


def slow_kind(line: bytes, separator: str, count: int) -> int:
    line = line.removesuffix(b"\r")
    if not line:
        return BLANK
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return NOT_UTF8
    if "\0" in text:
        return NUL_BYTE
    if "\r" in text:
        return CARRIAGE_RETURN
    fields = slow_fields(text, separator)
    if fields is None:
        return OPEN_QUOTE
    return GOOD if len(fields) == count else WRONG_FIELDS


PIECES = st.sampled_from([b"a", b"1", b'"', b'""', b",", b"\t", b"\n", b"\r\n", b"\r", b"\0", b" ", "é인🚚".encode(),
                          b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"])  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(st.lists(PIECES, max_size=30).map(b"".join), st.sampled_from(",\t"), st.integers(1, 4))
def test_kinds_of_lines(data: bytes, separator: str, count: int) -> None:
    lines = split_lines(data, separator, count)
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert lines.kind.tolist() == [slow_kind(line, separator, count) for line in expected]
    assert texts(data, lines, np.arange(len(lines))).to_pylist() == [
        line.removesuffix(b"\r").decode(errors="backslashreplace") for line in expected
    ]
    every_other = np.arange(0, len(lines), 2)
    assert gather(data, lines, every_other) == b"".join(line.removesuffix(b"\r") + b"\n" for line in expected[::2])


FIELD = st.lists(st.sampled_from(('"', '""', "a", "\t", " ", "é", "1", ".0")), max_size=5).map("".join)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(FIELD, min_size=5, max_size=7).map("\t".join), max_size=8))
def test_fields_of_records_come_out_as_they_stand(rows: list[str]) -> None:
    """The column of steps, of the rows whose other fields are replaced by ones that can be placed."""
    header = read_header("\t".join(NAMES).encode())
    rows = [f"e\t2025-07-01 09:00:00\t2\t{row}" for row in rows]
    data = "".join(row + "\n" for row in rows).encode()
    block = parse_block(data, split_lines(data, "\t", len(NAMES)), header, 2, "Asia/Seoul")
    fields = [slow_fields(row, "\t") for row in rows]
    sound = [found for found in fields if found is not None and len(found) == len(NAMES)]
    assert block.events.column("business_step").to_pylist() == [found[4].strip() or None for found in sound]
    lost = [number + 2 for number, found in enumerate(fields) if found is None or len(found) != len(NAMES)]
    assert block.rejected.column("line").to_pylist() == lost


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.text(alphabet='ab",\té', max_size=6), min_size=6, max_size=6), max_size=6))
def test_what_a_csv_writer_writes_is_read_back(rows: list[list[str]]) -> None:
    import io

    rows = [["e", "2025-07-01 09:00:00", "2", *row[3:]] for row in rows]
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    data = stream.getvalue().encode()
    block = parse_block(data, split_lines(data, ",", 6), read_header(",".join(NAMES).encode()), 2, "UTC")
    assert len(block.rejected) == 0
    for place, name in ((3, "scan_location"), (4, "business_step"), (5, "event_type")):
        assert block.events.column(name).to_pylist() == [row[place].strip() or None for row in rows]


@pytest.mark.parametrize("block_bytes", [1, 7, 100, 1 << 20])
def test_size_of_pieces_changes_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    """A file of many pieces: line numbers go on, no row is cut."""
    rows = [f"e{number}\t2025-07-01 09:00:00\t2\tx\ty\tz" if number % 7 else f"bad{number}" for number in range(60)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["\t".join(NAMES), *rows]))
    monkeypatch.setattr(raw_files, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(raw_files, "LONGEST_HEADER", 80)
    blocks = list(read_raw_file(path, "UTC"))
    assert block_bytes > 50 or len(blocks) > 5
    codes = [code for block in blocks for code in block.events.column("epc_code").to_pylist()]
    assert codes == [f"E{number}" for number in range(60) if number % 7]
    lost = [line for block in blocks for line in block.rejected.column("line").to_pylist()]
    assert lost == [number + 2 for number in range(60) if not number % 7]


def test_line_without_end_is_given_up(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\t".join(NAMES) + "\n" + "x" * 5000)
    monkeypatch.setattr(raw_files, "BLOCK_BYTES", 100)
    monkeypatch.setattr(raw_files, "LONGEST_HEADER", 80)
    monkeypatch.setattr(raw_files, "LONGEST_LINE", 1000)
    with pytest.raises(UnreadableFile, match="a line is over"):
        list(read_raw_file(path, "UTC"))
