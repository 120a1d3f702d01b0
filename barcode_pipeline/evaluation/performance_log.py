"""The log of all evaluations, one CSV file that only grows."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.metrics import ROW_COLUMNS, Row
from barcode_pipeline.events.files import written_beside

try:
    import fcntl
except ImportError:  # no such locks on this system; two runs at once would then lose one's rows
    fcntl = None  # type: ignore[assignment]

LOG_COLUMNS = ("run_id", "created_at", "model_file", *ROW_COLUMNS)


def append_log(path: Path, rows: Sequence[Row], run_id: str, created_at: str, model_file: str) -> None:
    """Add rows to the log, all or none: the whole file is written beside and then renamed.

    Rows that stand there are kept as they are. Raises `UserError` where the file has other columns.
    """
    added = io.StringIO()
    writer = csv.writer(added, lineterminator="\n")
    for row in rows:
        values = [row.get(column) for column in ROW_COLUMNS]
        writer.writerow([run_id, created_at, model_file, *map(_text, values)])
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        kept = path.read_bytes() if path.exists() else b""
        if not kept:
            kept = (",".join(LOG_COLUMNS) + "\n").encode()
        _check_columns(path, kept)
        if not kept.endswith(b"\n"):
            kept += b"\n"
        with written_beside(path) as beside:
            beside.write_bytes(kept + added.getvalue().encode())


def _check_columns(path: Path, content: bytes) -> None:
    first = content.split(b"\n", 1)[0].decode(errors="replace").rstrip("\r")
    found = next(csv.reader([first]), [])
    if tuple(found) == LOG_COLUMNS:
        return
    missing = [name for name in LOG_COLUMNS if name not in found]
    other = [name for name in found if name not in LOG_COLUMNS]
    difference = "; ".join(
        f"{word} {', '.join(names)}" for word, names in (("without", missing), ("with", other)) if names
    )
    raise UserError(
        f"{path} is the log of another version: its columns are not those of this one"
        f"{f' ({difference})' if difference else ''}. Move the file away and start again; a new one is then begun."
    )


def _text(value: object) -> object:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) and value == value else _known(value)


def _known(value: object) -> object:
    return "" if value is None or value != value else value


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two runs that end together both keep their rows."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
