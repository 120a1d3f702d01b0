"""Reading one raw file: bytes in any sender's form -> typed events and rejected lines.

Files in, columns out; what is kept where is `intake`'s business.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.codes import canonical_codes
from barcode_pipeline.events.fields import encode_fields
from barcode_pipeline.events.formats import EVENT_SCHEMA, NEEDED_RAW_COLUMNS, RAW_ALIASES
from barcode_pipeline.events.lines import (
    BLANK,
    CARRIAGE_RETURN,
    GOOD,
    NOT_UTF8,
    NUL_BYTE,
    OPEN_QUOTE,
    WRONG_FIELDS,
    Lines,
    split_lines,
    texts,
)
from barcode_pipeline.events.text import (
    clean_dictionary,
    clean_words,
    integers_from_words,
    map_dictionary,
    plain_integers,
)
from barcode_pipeline.events.times import read_times

BLOCK_BYTES = 32 << 20
"""A file is read in pieces of this size, so that memory does not grow with the file."""
LONGEST_HEADER = 1 << 20
LONGEST_LINE = 256 << 20
"""A longer line is no scan event, and what reads it (a gzip file may unpack to anything) would fill the memory."""

_PLAIN_TEXT = ("scan_location", "hub_type", "business_step", "event_type", "product_name", "factory")
_TEXT_OR_INTEGER = ("operator_id", "device_id", "manufacture_date", "expiry_date", "file_id")
_USED = ("epc_code", "event_time", "location_id", "event_id", *_PLAIN_TEXT, *_TEXT_OR_INTEGER)
_LINE_REASONS = {
    NUL_BYTE: "the line holds a NUL byte",
    CARRIAGE_RETURN: "the line holds a carriage return",
    OPEN_QUOTE: "a quote is opened and not closed in the line",
    NOT_UTF8: "the line is not UTF-8",
}

REJECTED_SCHEMA = pa.schema([("line", pa.int64()), ("reason", pa.string()), ("raw", pa.string())])


class UnreadableFile(Exception):
    """The file as a whole cannot be read; the text says why and what to do."""


class UnopenedFile(UnreadableFile):
    """The system does not hand the file out: nothing is known of its content, and it has to be tried again."""


@dataclass(frozen=True)
class Block:
    """One piece of a file. events: `EVENT_SCHEMA`; rejected: `REJECTED_SCHEMA`; rows = events + rejected."""

    events: pa.Table
    rejected: pa.Table


@dataclass(frozen=True)
class Header:
    """separator: one character. columns: names as the pipeline knows them, in the file's order."""

    separator: str
    columns: tuple[str, ...]


def read_raw_file(path: Path, zone: str) -> Iterator[Block]:
    """Read a file block by block; `UnreadableFile` where it is no file of events."""
    try:
        with _open(path) as stream:
            first, rest = _first_line(stream)
            header = read_header(first)
            line = 2
            for data in _whole_lines(stream, rest):
                lines = split_lines(data, header.separator, len(header.columns))
                yield parse_block(data, lines, header, line, zone)
                line += len(lines)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFile(f"the gzip data are damaged or cut off ({error}): send the file again") from error
    except OSError as error:
        raise UnopenedFile(f"the file cannot be opened ({error}): check its permissions") from error


def _open(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where they begin as gzip does, whatever the name says."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    if path.suffix.lower() == ".gz" and not packed and path.stat().st_size:
        raise UnreadableFile("the name ends in .gz but the content is not gzip: send the file again")
    return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")


def _first_line(stream: IO[bytes]) -> tuple[bytes, bytes]:
    """The header line without its break, and what was read beyond it."""
    data = stream.read(LONGEST_HEADER)
    if not data.strip():
        raise UnreadableFile("the file is empty: nothing to take in")
    if b"\n" not in data and b"\r" in data:
        raise UnreadableFile("lines end in a carriage return alone: save the file with ordinary line ends")
    first, found, rest = data.partition(b"\n")
    if not found and len(data) == LONGEST_HEADER:
        raise UnreadableFile("the first line is over 1 MB long: this is no file of events")
    return first, rest


def _whole_lines(stream: IO[bytes], rest: bytes) -> Iterator[memoryview]:
    """Pieces that end at a line break (or at the end of the file), of what was read and of what follows.

    All lie in the same memory: a piece is gone once the next is asked for.
    """
    room, filled = bytearray(max(BLOCK_BYTES, len(rest))), len(rest)
    room[:filled] = rest
    searched = 0
    while True:
        end = room.rfind(b"\n", searched, filled) + 1
        if end:
            yield memoryview(room)[:end]
            room[: filled - end] = room[end:filled]
            filled -= end
        elif filled > LONGEST_LINE:
            raise UnreadableFile(f"a line is over {LONGEST_LINE >> 20} MB long: this is no file of events")
        searched = filled
        if filled == len(room):
            room = room + bytes(filled)
        read = cast(io.BufferedIOBase, stream).readinto(memoryview(room)[filled:])
        if not read:
            break
        filled += read
    if filled:
        yield memoryview(room)[:filled]


def read_header(first: bytes) -> Header:
    """Names and separator of a header line; `UnreadableFile` where it is none of a file of events."""
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFile("the file is UTF-16: save it as UTF-8")
    if b"\x00" in first:
        raise UnreadableFile("the file is binary, not text: send scan events as text")
    try:
        line = first.decode("utf-8-sig").rstrip("\r")
    except UnicodeDecodeError:
        raise UnreadableFile("the header is not UTF-8: save the file as UTF-8") from None
    separator = max("\t,;", key=line.count)
    names = [name.strip().strip('"').strip().lower() for name in line.split(separator)]
    columns = tuple(RAW_ALIASES.get(name, name) for name in names)
    missing = [name for name in NEEDED_RAW_COLUMNS if name not in columns]
    if not {"location_id", "scan_location"} & set(columns):
        missing.append("location_id or scan_location")
    if missing:
        raise UnreadableFile(
            f"the header lacks {', '.join(missing)} (found: {', '.join(columns)[:200]}): add the column"
        )
    for name in _USED:
        if columns.count(name) > 1:
            raise UnreadableFile(f"the column {name} stands twice in the header: leave one")
    return Header(separator, columns)


def parse_block(data: bytes | memoryview, lines: Lines, header: Header, first_line: int, zone: str) -> Block:
    """Parse the records of one piece of a file, whose first line has the number `first_line`."""
    good = np.flatnonzero(lines.kind == GOOD)
    columns = read_columns(data, lines, header, good)
    events, reasons = type_columns(columns, len(good), zone)
    unplaced = reasons.is_valid().to_numpy(zero_copy_only=False)
    bad = np.flatnonzero((lines.kind != GOOD) & (lines.kind != BLANK))
    lost = np.concatenate([bad, good[unplaced]])
    reason = pa.concat_arrays([line_reasons(lines, bad, len(header.columns)), reasons.filter(pa.array(unplaced))])
    rejected = pa.table([pa.array(lost + first_line), reason, texts(data, lines, lost)], schema=REJECTED_SCHEMA)
    kept = events.filter(pa.array(~unplaced)) if unplaced.any() else events
    return Block(kept, rejected.sort_by("line"))


def line_reasons(lines: Lines, bad: np.ndarray, fields: int) -> pa.Array:
    """Why each line of `bad` (positions in `lines`) is no record of `fields` fields."""
    reasons = np.array([_LINE_REASONS.get(kind, "") for kind in range(NOT_UTF8 + 1)], dtype=object)[lines.kind[bad]]
    wrong = lines.kind[bad] == WRONG_FIELDS
    counts, codes = np.unique(lines.fields[bad][wrong], return_inverse=True)
    reasons[wrong] = np.array([f"{count} fields where the header has {fields}" for count in counts], object)[codes]
    return pa.array(reasons, pa.string())


def read_columns(
    data: bytes | memoryview, lines: Lines, header: Header, chosen: np.ndarray, wanted: Collection[str] = _USED
) -> dict[str, pa.DictionaryArray]:
    """The wanted columns of some records as dictionaries of their texts, exactly as they stand in the file.

    chosen: (k,) positions in `lines`, of good ones.
    """
    whole = len(chosen) == len(lines)
    start, ends = (lines.start, lines.ends) if whole else (lines.start[chosen], lines.ends[:, chosen])
    places = {name: place for place, name in enumerate(header.columns) if name in wanted}
    starts = [ends[place - 1] + np.int32(1) if place else start for place in places.values()]
    found = encode_fields(np.frombuffer(data, dtype=np.uint8), starts, [ends[place] for place in places.values()])
    return dict(zip(places, found, strict=True))


def type_columns(columns: dict[str, pa.DictionaryArray], rows: int, zone: str) -> tuple[pa.Table, pa.Array]:
    """(`EVENT_SCHEMA` of all rows, the reason why a row cannot be placed: null where it can)."""
    nothing = pa.DictionaryArray.from_arrays(pa.nulls(rows, pa.int32()), pa.array([], pa.string()))
    out: dict[str, pa.Array] = dict.fromkeys(EVENT_SCHEMA.names, nothing)
    for name in _PLAIN_TEXT:
        if name in columns:
            out[name] = clean_dictionary(columns[name])
    for name in _TEXT_OR_INTEGER:
        if name in columns:
            out[name] = plain_integers(columns[name])
    out["epc_code"] = map_dictionary(columns["epc_code"], canonical_codes(columns["epc_code"].dictionary))

    times = columns["event_time"]
    words = clean_words(times.dictionary)
    seconds, readable = read_times(words, zone)
    out["event_time"] = pa.array(seconds, pa.timestamp("s")).take(times.indices)
    out["location_id"], out["location_text"] = _integer_column(columns.get("location_id", nothing))
    out["event_id"], _ = _integer_column(columns.get("event_id", nothing))
    placed = pc.or_(
        pc.or_(pc.is_valid(out["location_id"]), pc.is_valid(out["location_text"].indices)),
        pc.is_valid(out["scan_location"].indices),
    )
    # Hardly a row is ever unplaced: reasons are made for those that are.
    reasons = pa.nulls(rows, pa.string())
    if not readable.all():
        reasons = _time_reasons(words, readable).take(times.indices)
    if not pc.all(placed).as_py():
        reasons = pc.coalesce(
            reasons, pc.if_else(placed, pa.scalar(None, pa.string()), "neither location_id nor scan_location")
        )
    return pa.table([out[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA), reasons


def _time_reasons(words: pa.Array, readable: np.ndarray) -> pa.Array:
    """Why each word is no time, null where it is one."""
    no_time = pc.binary_join_element_wise(
        "event_time '", pc.utf8_slice_codeunits(pc.fill_null(words, ""), 0, 60), "' is no time", ""
    )
    reasons = pc.if_else(pc.is_valid(words), no_time, "event_time is missing")
    return pc.if_else(pa.array(readable), pa.scalar(None, pa.string()), reasons)


def _integer_column(column: pa.DictionaryArray) -> tuple[pa.Array, pa.DictionaryArray]:
    """(the integers, null elsewhere; the words that are no integers, null elsewhere)."""
    words = clean_words(column.dictionary)
    values, readable = integers_from_words(words)
    mask = pa.array(readable)
    integers = pc.if_else(mask, pa.array(values), pa.scalar(None, pa.int64())).take(column.indices)
    return integers, map_dictionary(column, pc.if_else(mask, pa.scalar(None, pa.string()), words))
