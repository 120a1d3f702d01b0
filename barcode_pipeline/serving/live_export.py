"""What came in live, as raw files of the intake: one a day of receipt, made anew while that day still grows.

A scan that comes both ways is one scan: the chain removes exact duplicates, whichever files they stand in.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.times import date_text
from barcode_pipeline.serving.history import LIVE, History
from barcode_pipeline.serving.readings import Clean, clean_of

COLUMNS = (
    "scan_location", "location_id", "business_step", "event_type", "epc_code", "event_time", "event_id", "file_id",
)  # fmt: skip
FOLDER = "live"


def export_live(history: History, raw: Path) -> dict[str, int]:
    """Write `<raw>/live/<day>.csv` of every day whose scans are not all there yet; rows of each file written."""
    written = {}
    for day, count in history.live_days().items():
        path = raw / FOLDER / f"{date_text(day)}.csv"
        if _rows_in(path) >= count:
            continue
        written[path.name] = _write(path, history, day)
    return written


def _write(path: Path, history: History, day: int) -> int:
    """One line a scan; what would break a line was refused when it came (`requests`)."""
    scans = history.live(day)
    rows = np.frombuffer(b"".join(row for _, row in scans), dtype=LIVE)
    clean = {n: clean_of(text) for n, text in history.readings(np.unique(rows["reading"]).tolist()).items()}
    with written_beside(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for (epc, _), row in zip(scans, rows, strict=True):
            writer.writerow(_fields(epc, row, clean[int(row["reading"])]))
    return len(scans)


def _fields(epc: str, row: np.void, clean: Clean) -> list[Any]:
    location_id, location_text, name, step, kind = clean
    location: Any = location_id if location_id is not None else location_text
    time = str(np.datetime64(int(row["time"]), "s"))
    return [name, location, step, kind, epc, time, int(row["event_id"]), int(row["file_id"])]


def _rows_in(path: Path) -> int:
    """Rows of a file that was written; -1 without it."""
    if not path.exists():
        return -1
    with path.open("rb") as stream:
        return sum(piece.count(b"\n") for piece in iter(lambda: stream.read(1 << 20), b"")) - 1
