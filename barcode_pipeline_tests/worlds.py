"""Small helpers that turn rows as a sender gives them into the pipeline's columns, through the real reader."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.events.lines import split_lines
from barcode_pipeline.events.places import Reference
from barcode_pipeline.events.raw_files import parse_block, read_header
from barcode_pipeline.events.reference_tables import routes_from_table, sites_from_table
from barcode_pipeline_tests.rules.reference_rules import Route, Row, Site

COLUMNS = ("epc_code", "event_time", "location_id", "scan_location", "business_step", "event_type", "event_id")


def raw_bytes(rows: Sequence[Row]) -> bytes:
    """Rows as the body of a comma-separated file; `file_id` numbers them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([*(getattr(row, name) for name in COLUMNS), number] for number, row in enumerate(rows))
    return text.getvalue().encode()


def events_table(rows: Sequence[Row], zone: str = "Asia/Seoul") -> tuple[pa.Table, np.ndarray]:
    """(rows that could be placed as `EVENT_SCHEMA`, the number of each in `rows`)."""
    header = read_header(",".join([*COLUMNS, "file_id"]).encode())
    data = raw_bytes(rows)
    block = parse_block(data, split_lines(data, ",", len(header.columns)), header, 2, zone)
    numbers = np.array(block.events.column("file_id").to_pylist(), dtype=object).astype(np.int64)
    return block.events, numbers


def reference(sites: Sequence[Site], routes: Sequence[Route]) -> Reference:
    """The reference tables of a test's sites and routes, read as the files are."""
    site_table = pd.DataFrame(
        {
            "location_id": [str(site.location_id) for site in sites],
            "scan_location": [site.name for site in sites],
            "Latitude": [None if site.latitude is None else str(site.latitude) for site in sites],
            "Longitude": [None if site.longitude is None else str(site.longitude) for site in sites],
        },
        dtype=object,
    )
    known = sites_from_table(site_table, "sites")
    prefix = "time_taken_hours_"
    route_table = pd.DataFrame(
        [[r.origin, r.destination, str(r.mean), str(r.std), str(r.minimum)] for r in routes],
        columns=["from_scan_location", "to_scan_location", *(prefix + name for name in ("mean", "std", "min"))],
        dtype=object,
    )
    return Reference(known, routes_from_table(route_table, known, "routes"))
