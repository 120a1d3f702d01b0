"""A simulation as files in a folder: raw CSV files, reference tables, truth. Names only, no protection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from barcode_pipeline.events.formats import SITES_FILE, TRANSITIONS_FILE
from barcode_pipeline.simulator.columns import decoded
from barcode_pipeline.simulator.simulation import Simulation

SITES_PATH = f"data/processed/{SITES_FILE}"
TRANSITIONS_PATH = f"data/processed/{TRANSITIONS_FILE}"
ANOMALIES_PATH = "data/truth/anomalies.parquet"
AFTERMATH_PATH = "data/truth/aftermath.parquet"
BENIGN_PATH = "data/truth/benign.parquet"
WORLD_PATH = "data/truth/world.json"

_ROWS_AT_ONCE = 1 << 17
"""Dictionaries are unpacked for this many rows at a time, to keep memory low."""


def write_files(folder: Path, simulation: Simulation, with_tables: bool) -> Iterator[str]:
    """Write all files of a simulation below a folder, and yield each one's path relative to it."""
    for name, table in _raw_files(simulation):
        _write_tab_separated(_ready(folder, name), table)
        yield name
    if with_tables:
        for name, frame in ((SITES_PATH, simulation.sites), (TRANSITIONS_PATH, simulation.transitions)):
            frame.to_csv(_ready(folder, name), index=False, lineterminator="\n")
            yield name
    truths = {
        ANOMALIES_PATH: simulation.anomalies,
        AFTERMATH_PATH: simulation.aftermath,
        BENIGN_PATH: simulation.benign,
    }
    for name, truth in truths.items():
        pq.write_table(truth, _ready(folder, name), compression="zstd")
        yield name
    text = json.dumps(simulation.summary, indent=2) + "\n"
    _ready(folder, WORLD_PATH).write_text(text, encoding="utf-8")
    yield WORLD_PATH


def _ready(folder: Path, name: str) -> Path:
    """Return the path of a file, its folder made."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _raw_files(simulation: Simulation) -> Iterator[tuple[str, pa.Table]]:
    """Yield the raw files' names and rows: by EPC and time in one file, in order of sending in daily ones."""
    for factory, table in simulation.raw.items():
        if simulation.world.layout == "one file per factory":
            yield f"data/raw/{factory}.csv", table
            continue
        sent = simulation.sent[factory]
        order = np.argsort(sent, kind="stable")
        days, first = np.unique(sent[order].astype("datetime64[D]"), return_index=True)
        ordered = table.take(pa.array(order))
        for day, start, stop in zip(days, first, np.append(first[1:], len(order)), strict=True):
            yield f"data/raw/{day}/{factory}.csv", ordered.slice(start, stop - start)


def _write_tab_separated(path: Path, table: pa.Table) -> None:
    """Write rows as the real files have them: tabs, a header, nothing quoted, missing values empty."""
    options = pacsv.WriteOptions(include_header=False, batch_size=1 << 14, delimiter="\t", quoting_style="none")
    with pa.OSFile(str(path), "wb") as stream:
        # The header is written by hand: older pyarrow quotes it whatever the quoting style.
        stream.write(("\t".join(table.column_names) + "\n").encode())
        with pacsv.CSVWriter(stream, decoded(table.slice(0, 0)).schema, write_options=options) as writer:
            for start in range(0, table.num_rows, _ROWS_AT_ONCE):
                writer.write_table(decoded(table.slice(start, _ROWS_AT_ONCE)))
