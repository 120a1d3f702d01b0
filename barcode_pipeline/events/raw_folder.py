"""What lies in the folder of raw files, by the folder's own entries: no file is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ENDINGS = (".csv", ".csv.gz")


class RawFile(NamedTuple):
    """A raw file as it lies there. changed_ns: its time of change."""

    path: Path
    size: int
    changed_ns: int


def list_raw_files(folder: Path) -> Iterator[RawFile]:
    """The raw files below a folder, in no order; hidden files and folders are not looked at."""
    try:
        entries = os.scandir(folder)
    except OSError:
        return  # It is not there, or was taken away since it was listed.
    with entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield from list_raw_files(Path(entry.path))
                elif entry.name.lower().endswith(ENDINGS) and entry.is_file():
                    stat = entry.stat()
                    yield RawFile(Path(entry.path), stat.st_size, stat.st_mtime_ns)
            except OSError:
                continue
