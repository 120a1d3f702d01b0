"""Rejected rows on disk: one CSV file per file that had some, each row with file, line and reason."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.raw_files import REJECTED_SCHEMA

_LONGEST_NAME = 200  # bytes; file systems allow 255, and a file half-written has a longer name


def write_rejected(folder: Path, name: str, rejected: pa.Table, problem: str | None) -> Path | None:
    """Write the rejected rows (`REJECTED_SCHEMA`) of a file; no file is left where nothing was rejected.

    problem: why the file as a whole could not be read. Returns where the rows are, None without any.
    """
    target = _file_of(folder, name)
    if problem is not None:
        whole = pa.table([pa.array([None], pa.int64()), [f"whole file: {problem}"], [""]], schema=REJECTED_SCHEMA)
        rejected = pa.concat_tables([whole, rejected])
    if not len(rejected):
        target.unlink(missing_ok=True)
        return None
    table = rejected.add_column(0, "file", pa.array([name]).take(pa.array(np.zeros(len(rejected), np.int64))))
    with written_beside(target) as path:
        pacsv.write_csv(table, path)
    return target


def _file_of(folder: Path, name: str) -> Path:
    """Where the rejected rows of a file go; a name too long for more to follow is cut and told apart by a hash."""
    target = folder / f"{name}.rejected.csv"
    if len(os.fsencode(target.name)) <= _LONGEST_NAME:
        return target
    start = os.fsencode(target.name)[: _LONGEST_NAME // 2].decode("utf-8", errors="ignore")
    return target.with_name(f"{start}-{hashlib.sha256(name.encode()).hexdigest()[:16]}.rejected.csv")
