"""What was made of which date, by which recipe, from what: the ledger by which it is known what is out of date.

An entry says that the file of an asset and date is what the raw rows, the reference tables and the configuration make.
It is struck before the rows of a date that decides it are replaced, and written after its file: a run that is killed
in between leaves dates that are made once more, never one that is wrong and unknown to be so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from barcode_pipeline.events.formats import FORMAT_VERSION

WHOLE = -1
"""Stands for the day of an asset without dates."""

_TABLES = """
DROP TABLE IF EXISTS made;
CREATE TABLE made (
    asset TEXT, day INTEGER, recipe TEXT, source TEXT, stamp TEXT, PRIMARY KEY (asset, day)
) WITHOUT ROWID;
"""


class Entry(NamedTuple):
    """recipe: by which it was made. source: names what it was made from. stamp: changes where its rows have changed."""

    recipe: str
    source: str = ""
    stamp: str = ""


Entries = dict[str, dict[int, Entry]]
"""By asset and day."""


class MadeDates:
    """The ledger in one SQLite file. Without it, or with one of another format, nothing counts as made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> Entries:
        """All entries."""
        found: Entries = {}
        with self._ledger() as ledger:
            for asset, day, *entry in ledger.execute("SELECT asset, day, recipe, source, stamp FROM made"):
                found.setdefault(asset, {})[day] = Entry(*entry)
        return found

    def of(self, asset: str) -> dict[int, Entry]:
        """The entries of one asset by day."""
        with self._ledger() as ledger:
            rows = ledger.execute("SELECT day, recipe, source, stamp FROM made WHERE asset = ?", (asset,))
            return {day: Entry(*entry) for day, *entry in rows}

    def note(self, asset: str, entries: Mapping[int, Entry]) -> None:
        """Enter dates of an asset, in the place of earlier entries."""
        with self._ledger() as ledger:
            ledger.executemany(
                "INSERT OR REPLACE INTO made VALUES (?, ?, ?, ?, ?)",
                [(asset, day, *entry) for day, entry in entries.items()],
            )

    def strike(self, days_of_asset: Mapping[str, Iterable[int]]) -> None:
        """Strike dates of some assets, all at once."""
        with self._ledger() as ledger:
            ledger.executemany(
                "DELETE FROM made WHERE asset = ? AND day = ?",
                [(asset, int(day)) for asset, days in days_of_asset.items() for day in days],
            )

    @contextmanager
    def _ledger(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=60)) as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] != FORMAT_VERSION:
                connection.executescript(_TABLES + f"PRAGMA user_version = {FORMAT_VERSION};")
            with connection:
                yield connection
