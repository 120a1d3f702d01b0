"""Judging a file offline, with the answer that the API would give to its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.date_store import one_chunk
from barcode_pipeline.events.formats import EVENT_SCHEMA
from barcode_pipeline.events.raw_files import REJECTED_SCHEMA, UnreadableFile, read_raw_file
from barcode_pipeline.events.text import decode, integers_from_words
from barcode_pipeline.serving.answers import Endpoint, answer
from barcode_pipeline.serving.clock import zone_clock
from barcode_pipeline.serving.judge import Models, Settings
from barcode_pipeline.serving.judging import Judging
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline.serving.requests import Problem, Refused, Scans


def score_file(path: Path, endpoint: Endpoint, settings: Settings, models: Models, zone: str) -> Any:
    """The answer to the rows of a raw file as one request over an empty history.

    Rows without an event id are numbered as the lines of the file; without a file id they are of file 0. `Refused`
    names the rows that cannot be read, counted from 0, as the API does.
    """
    scans = read_file(path, zone)
    judging = Judging(MemoryHistory(), settings, lambda: models, zone_clock(zone), last_events=10**9)
    verdicts = judging.judge([scans]).verdicts[0]
    in_service = {"rule": True, "lstm": models.lstm is not None, "svm": models.svm is not None}
    return answer(scans, verdicts, endpoint, in_service[endpoint])


def read_file(path: Path, zone: str) -> Scans:
    if not path.exists():
        raise UserError(f"There is no file {path}.")
    try:
        blocks = list(read_raw_file(path, zone))
    except UnreadableFile as error:
        raise UserError(f"{path} cannot be read: {error}.") from error
    rejected = pa.concat_tables([REJECTED_SCHEMA.empty_table(), *(block.rejected for block in blocks)])
    if len(rejected):
        lines, reasons = rejected.column("line").to_pylist(), rejected.column("reason").to_pylist()
        raise Refused([Problem(line - 2, None, reason) for line, reason in zip(lines, reasons, strict=True)])
    table = one_chunk(pa.concat_tables([EVENT_SCHEMA.empty_table(), *(block.events for block in blocks)]))
    event_id = table.column("event_id").to_pylist()
    file_id, whole = integers_from_words(decode(table.column("file_id")).fill_null("0"))
    ids = decode(table.column("location_id").cast(pa.string()))
    texts = decode(table.column("location_text"))
    location = pa.compute.coalesce(ids, texts).to_pylist()
    words = (decode(table.column(name)).to_pylist() for name in ("scan_location", "business_step", "event_type"))
    return Scans(
        np.array([row + 2 if number is None else number for row, number in enumerate(event_id)], np.int64),
        np.where(whole, file_id, 0),
        table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64),
        decode(table.column("epc_code")).to_pylist(),
        list(zip(location, *words, strict=True)),
    )
