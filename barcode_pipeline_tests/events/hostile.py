"""Hostile raw files, one `Case` each: what stands in the file, and what has to become of its rows."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from barcode_pipeline_tests.events.projects import COLUMNS, HEADER, OTHER_EPC, line, text


@dataclass(frozen=True)
class Case:
    """content: bytes of the file, or what writes it. kept, quarantined: rows. reason: stands in the quarantine, of
    the whole file where it begins with `whole file`. values: a column of `merged_events` and what its rows hold."""

    name: str
    content: bytes | Callable[[Path], object]
    kept: int = 0
    quarantined: int = 0
    reason: str = ""
    file: str = "hostile.csv"
    values: dict[str, list[Any]] | None = None
    held: int = 0


def _time(name: str, written: str, read: str | None) -> Case:
    content = text(line(event_time=written))
    if read is None:
        return Case(f"time {name}", content, 0, 1, "is no time")
    return Case(f"time {name}", content, 1, values={"event_time": [read]})


def _place(name: str, written: str, number: int | None, word: str | None) -> Case:
    values = {"location_id": [number], "location_text": [word]}
    return Case(f"location id {name}", text(line(location_id=written)), 1, values=values)


def _recoded(encoding: str) -> bytes:
    return text(line(scan_location="인천공장")).decode().encode(encoding)


def _two(separator: str = "\t", line_end: str = "\n") -> bytes:
    rows = (HEADER, line(), line(event_time="2025-07-05 10:00:00"))
    return "".join(row.replace("\t", separator) + line_end for row in rows).encode()


def _link_loop(path: Path) -> None:
    path.symlink_to(path)


def _folder_loop(path: Path) -> None:
    path.write_bytes(text(line()))
    (path.parent / "loop").symlink_to(path.parent)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "inner.csv").write_bytes(text(line()))


def _at(*parts: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        other = path.parent.joinpath(*parts)
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(text(line()))

    return write


_SHUFFLED = "\t".join(reversed(HEADER.split("\t")))
_PACKED = gzip.compress(_two(), mtime=0)
_QUOTED = 'say ""hi""\tthere'

CASES = (
    # ------------------------------------------------------------------ no file of events
    Case("empty", b"", reason="whole file: the file is empty"),
    Case("blanks only", b" \n\n \n", reason="whole file: the file is empty"),
    Case("mark of UTF-8 only", b"\xef\xbb\xbf", reason="whole file: the header lacks epc_code"),
    Case("header only", text()),
    Case("header without line break", HEADER.encode()),
    Case("binary", random.Random(1).randbytes(5000), reason="whole file: the "),
    Case("zeros", bytes(5000), reason="whole file: the file is binary"),
    Case("picture", b"\x89PNG\r\n\x1a\n" + bytes(100), reason="whole file: the header is not UTF-8"),
    Case("JSON", b'[{"epc_code": "1"}]\n', reason="whole file: the header lacks"),
    Case("UTF-16", _recoded("utf-16"), reason="whole file: the file is UTF-16: save it as UTF-8"),
    Case("UTF-16 without mark", _recoded("utf-16-le"), reason="whole file: the file is binary"),
    Case("CP949 header", text(line(), header="공장\t" + HEADER).decode().encode("cp949"), reason="header is not UTF-8"),
    Case("separated by pipes", _two("|"), reason="whole file: the header lacks epc_code"),
    Case("first line blank", b"\n" + text(line()), reason="whole file: the header lacks epc_code"),
    Case("needed column missing", text(line(), header=HEADER.replace("event_type", "x")), reason="lacks event_type"),
    Case(
        "no column of places",
        text(line(), header=HEADER.replace("location_id", "x").replace("scan_location", "y")),
        reason="lacks location_id or scan_location",
    ),
    Case("column twice", text(line() + "\tx", header=HEADER + "\tEPC_CODE"), reason="epc_code stands twice"),
    Case(
        "event id under both names", text(line() + "\t1\t1", header=HEADER + "\tevent_id\teventId"), reason="event_id"
    ),
    Case("lone carriage returns", _two(line_end="\r"), reason="whole file: lines end in a carriage return alone"),
    Case("header of 2 MB", b"x" * (2 << 20) + text(line()), reason="whole file: the first line is over 1 MB"),
    Case("packed, cut off", _PACKED[:-12], reason="gzip data are damaged or cut off", file="hostile.csv.gz"),
    Case("packed, damaged", _PACKED[:30] + b"\xff" * 9 + _PACKED[39:], reason="gzip data", file="hostile.csv.gz"),
    Case("packed, garbage after it", _PACKED + b"garbage", reason="gzip data", file="hostile.csv.gz"),
    Case("named gz but text", _two(), reason="the content is not gzip", file="hostile.csv.gz"),
    Case("named gz, empty", b"", reason="the file is empty", file="hostile.csv.gz"),
    # ------------------------------------------------------------------ unusual, and all right
    Case("UTF-8 with mark", b"\xef\xbb\xbf" + _recoded("utf-8"), 1, values={"scan_location": ["인천공장"]}),
    Case("packed", _PACKED, 2, file="hostile.csv.gz"),
    Case("packed in two pieces", gzip.compress(text(line())) + gzip.compress(b""), 1, file="hostile.csv.gz"),
    Case("packed without the name", _PACKED, 2),
    Case("commas", _two(","), 2),
    Case("semicolons", _two(";"), 2),
    Case("CRLF", _two(line_end="\r\n"), 2, values={"event_type": ["Aggregation"] * 2}),
    Case("no line break at the end", _two()[:-1], 2),
    Case("upper-case header", text(line(), header=HEADER.upper()), 1, values={"epc_code": [OTHER_EPC]}),
    Case("header in quotes", text(line(), header="\t".join(f'" {name} "' for name in COLUMNS)), 1),
    Case("columns in another order", text("\t".join(reversed(line().split("\t"))), header=_SHUFFLED), 1),
    Case(
        "needed columns alone",
        text(
            f"{OTHER_EPC}\t2025-07-05 09:00\t2\tFactory\tAggregation",
            header="epc_code\tevent_time\tlocation_id\tbusiness_step\tevent_type",
        ),
        1,
        values={"location_id": [2], "scan_location": [None]},
    ),
    Case("unknown columns, two of one name", text(line() + "\tx\ty", header=HEADER + "\tnote\tnote"), 1),
    Case(
        "event id under its other name",
        text(line() + "\t 7.0", header=HEADER + "\teventId"),
        1,
        values={"event_id": [7]},
    ),
    Case(
        "event ids of no integer",
        text(line() + "\t1e30", line(location_id="5") + "\t" + "9" * 30, header=HEADER + "\tevent_id"),
        2,
        values={"event_id": [None, None]},
    ),
    Case(
        "whole numbers with point",
        text(line(location_id="2.0") + "\t1.0\t1.50", header=HEADER + "\tfile_id\tdevice_id"),
        1,
        values={"location_id": [2], "file_id": ["1"], "device_id": ["1.50"]},
    ),
    Case("blank lines", text(line(), "", "\r", line(event_time="2025-07-05 10:00:00")), 2),
    Case(
        "blanks round every field",
        text("\t".join(f" \u3000{word} " for word in line().split("\t"))),
        1,
        values={
            "epc_code": [OTHER_EPC],
            "location_id": [2],
            "scan_location": ["Songdo Plant"],
            "event_time": ["2025-07-05 09:00:00"],
        },
    ),
    Case(
        "words for missing",
        text(line(epc_code=" NULL", event_type="NaN", business_step="nan ", scan_location="null")),
        1,
        values={"epc_code": [None], "event_type": [None], "business_step": [None], "scan_location": [None]},
    ),
    Case("EPC with minus and small letters", text(line(epc_code="urn-a-b")), 1, values={"epc_code": ["URN.A.B"]}),
    Case(
        "quoted separator and quotes",
        text(line(scan_location=f'"{_QUOTED}"')),
        1,
        values={"scan_location": ['say "hi"\tthere']},
    ),
    Case("quote within a word", text(line(scan_location='5" pipe')), 1, values={"scan_location": ['5" pipe']}),
    Case("text after a quoted word", text(line(scan_location='"a"b"c')), 1, values={"scan_location": ['ab"c']}),
    Case("emoji", text(line(business_step="🚚🚚")), 1, values={"business_step": ["🚚🚚"]}),
    Case("right to left", text(line(business_step="\u202eמפעל")), 1, values={"business_step": ["\u202eמפעל"]}),
    Case(
        "line separators of Unicode",
        text(line(business_step="a\u2028b\x85c\x0bd")),
        1,
        values={"business_step": ["a\u2028b\x85c\x0bd"]},
    ),
    Case("formula", text(line(scan_location="=cmd|' /C calc'!A0")), 1),
    Case("field of 10 MB", text(line(scan_location="x" * (10 << 20))), 1),
    Case("same row a thousand times", text(*[line()] * 1000), 1000, values={"epc_code": [OTHER_EPC]}),
    Case("missing EPC", text(line(epc_code=""), line(epc_code="", location_id="5")), 2),
    Case("unknown place, step and type", text(line(location_id="999999", scan_location="Mars", business_step="?")), 1),
    Case("name in place of the id", text(line(location_id="")), 1, values={"location_id": [None]}),
    Case("EPC of 100 parts", text(line(epc_code="." * 99)), 1),
    Case("digits of another script", text(line(epc_code="٠٠١.8804823.1203199.150002.20250701.000000001")), 1),
    Case("30 February in the code", text(line(epc_code="001.8804823.1203199.150002.20250230.000000001")), 1),
    Case("date 00000000 in the code", text(line(epc_code="001.8804823.1203199.150002.00000000.000000001")), 1),
    Case("date 99991231 in the code", text(line(epc_code="001.8804823.1203199.150002.99991231.000000001")), 1),
    # ------------------------------------------------------------------ ids
    _place("negative", "-5", -5, None),
    _place("of 31 digits", "1" + "0" * 30, None, "1" + "0" * 30),
    _place("a word", "abc", None, "abc"),
    _place("hexadecimal", "0x1F", None, "0x1F"),
    _place("with plus and zeros", "+0016", 16, None),
    _place("broken number", "2.5", None, "2.5"),
    _place("exponent", "2e0", None, "2e0"),
    # ------------------------------------------------------------------ rows that cannot be placed
    Case("semicolons in rows alone", text(line().replace("\t", ";")), 0, 1, "1 fields where the header has 6"),
    Case("too many fields", text(line() + "\tx", line()), 1, 1, "7 fields where the header has 6"),
    Case("trailing separators", text(line() + "\t", line() + "\t"), 0, 2, "7 fields where the header has 6"),
    Case("too few fields", text("a\tb", line()), 1, 1, "2 fields where the header has 6"),
    Case("lines of separators alone", text("\t" * 5, line(), "\t" * 5), 1, 2, "event_time is missing"),
    Case("line of blanks", text("   ", line()), 1, 1, "1 fields where the header has 6"),
    Case("header twice", text(line(), HEADER, line(location_id="5")), 2, 1, "event_time 'event_time' is no time"),
    Case("unbalanced quote", text(line(scan_location='"Songdo'), line()), 1, 1, "a quote is opened and not closed"),
    Case("quote over two lines", text(line(scan_location='"Son\ngdo"'), line()), 1, 2),
    Case("NUL in a field", text(line(scan_location="Son\0gdo"), line()), 1, 1, "holds a NUL byte"),
    Case("carriage return in a field", text(line(scan_location="Son\rgdo"), line()), 1, 1, "holds a carriage return"),
    Case("CP949 rows", _recoded("cp949") + text(line())[len(HEADER) + 1 :], 1, 1, "the line is not UTF-8"),
    Case("Latin-1 rows", text(line(), line(scan_location="Zürich")).decode().encode("latin-1"), 1, 1, "not UTF-8"),
    Case("half a character", text(line(), line(scan_location="인"))[:-17] + b"\n", 1, 1, "where the header has 6"),
    Case(
        "UTF-8 of surrogates", text(line(), line(scan_location="@@@")).replace(b"@@@", b"\xed\xa0\x80"), 1, 1, "UTF-8"
    ),
    Case("line of 10 MB", text("x" * (10 << 20), line()), 1, 1, "1 fields where the header has 6"),
    Case("neither id nor name", text(line(location_id=" nan", scan_location="null")), 0, 1, "neither location_id nor"),
    Case("all at once", text("x", line(event_time="soon"), line(location_id="", scan_location=""), line()), 1, 3),
    # ------------------------------------------------------------------ times
    Case("1970", text(line(event_time="1970-01-01 00:00:00")), 1, held=1),
    Case("year 1", text(line(event_time="0001-01-01 00:00:00")), 1, held=1),
    Case("2999", text(line(event_time="2999-12-31 23:59:59")), 1, held=1),
    Case("year 9999", text(line(event_time="9999-12-31 23:59:59")), 1, held=1),
    Case("before the year 1 in UTC", text(line(event_time="0001-01-01T00:00:00+09:00")), 0, 1, "is no time"),
    Case("beyond the year 9999 in Seoul", text(line(event_time="9999-12-31T23:59:59Z")), 0, 1, "is no time"),
    _time("30 February", "2025-02-30 10:00:00", None),
    _time("29 February 2025", "2025-02-29 10:00:00", None),
    _time("month 13", "2025-13-01 10:00:00", None),
    _time("day 0", "2025-07-00 10:00:00", None),
    _time("24:00", "2025-07-05 24:00:00", None),
    _time("leap second", "2025-07-05 23:59:60", None),
    _time("minute 60", "2025-07-05 23:60:00", None),
    _time("date alone", "2025-07-05", None),
    Case("time missing", text(line(event_time=" null ")), 0, 1, "event_time is missing"),
    _time("American", "07/05/2025 09:00", None),
    _time("seconds since 1970", "1751673600", None),
    _time("in words", "yesterday", None),
    _time("zone that is none", "2025-07-05 09:00:00+25:00", None),
    _time("digits of another script", "٢٠٢٥-07-05 09:00:00", None),
    _time("with T", "2025-07-05T09:00:00", "2025-07-05 09:00:00"),
    _time("in UTC", "2025-07-05T00:00:00Z", "2025-07-05 09:00:00"),
    _time("with an offset", "2025-07-04 20:00:00-04:00", "2025-07-05 09:00:00"),
    _time("with a short offset", "2025-07-05 09:00:00 +09", "2025-07-05 09:00:00"),
    _time("with a fraction", "2025-07-05 09:00:00.999999999", "2025-07-05 09:00:00"),
    _time("with a comma fraction and offset", "2025-07-05T09:00:00,9+0900", "2025-07-05 09:00:00"),
    _time("in basic format", "20250705T090000", "2025-07-05 09:00:00"),
    _time("without seconds", "2025-07-05 09:00", "2025-07-05 09:00:00"),
    _time("with slashes", "2025/07/05 09:00:00", "2025-07-05 09:00:00"),
    _time("with many blanks", "2025-07-05    09:00:00", "2025-07-05 09:00:00"),
    # ------------------------------------------------------------------ where files lie
    Case("folder named like a file", _folder, 1, file="hostile.csv/inner.csv"),
    Case("link to itself", _link_loop, file=""),
    Case("folder that holds itself", _folder_loop, 1),
    Case("dated sub-folder", _at("2025-07-05", "hostile.csv"), 1, file="2025-07-05/hostile.csv"),
    Case("deep sub-folder", _at("a b", "c", "ë", "hostile.csv"), 1, file="a b/c/ë/hostile.csv"),
    Case("upper-case name", _at("HOSTILE.CSV"), 1, file="HOSTILE.CSV"),
    Case("name of 250 bytes", _at("x" * 246 + ".csv"), 1, file="x" * 246 + ".csv"),
    Case(
        "name in another encoding",
        _at("공장.csv".encode("cp949").decode("utf-8", "surrogateescape")),
        1,
        file="".join(f"\\x{byte:02x}" for byte in "공장".encode("cp949")) + ".csv",
    ),
    Case("name with a line break", _at("a\nb,\"c'.csv"), 1, file="a\nb,\"c'.csv"),
    Case("hidden file", _at(".hostile.csv"), file=""),
    Case("hidden folder", _at(".hidden", "hostile.csv"), file=""),
    Case("other ending", _at("hostile.csv.part"), file=""),
)
