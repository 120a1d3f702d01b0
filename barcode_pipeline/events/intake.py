"""Intake: each raw file is read once, split by date, and accounted for in a ledger.

The ledger says per file what was read, kept and rejected, and per file and date how many rows went in and how
many were exact duplicates. A date is assembled from what the intake holds; no raw file is opened again.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc as ipc

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.date_store import one_chunk
from barcode_pipeline.events.files import remove_leftovers, written_beside
from barcode_pipeline.events.formats import EVENT_SCHEMA, FORMAT_VERSION
from barcode_pipeline.events.locks import alone
from barcode_pipeline.events.quarantine import write_rejected
from barcode_pipeline.events.raw_files import REJECTED_SCHEMA, Block, UnopenedFile, UnreadableFile, read_raw_file
from barcode_pipeline.events.raw_folder import RawFile, list_raw_files
from barcode_pipeline.events.times import day_of, order_by_day

_READERS = 2
_HASH_PIECE = 8 << 20
_NOT_OPENED = "not opened"
"""Fingerprint of a file that the system did not hand out: it is tried again each time."""

Known = dict[str, tuple[int, int, str]]
"""What the ledger says of each file: size, time of change in ns, fingerprint."""

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, fingerprint TEXT, problem TEXT,
    rows_read INTEGER, rows_kept INTEGER, rows_quarantined INTEGER, store TEXT
);
CREATE TABLE IF NOT EXISTS file_dates (
    path TEXT, day INTEGER, rows INTEGER, duplicates INTEGER, PRIMARY KEY (path, day)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS file_dates_by_day ON file_dates (day);
"""


@dataclass(frozen=True)
class TakenFile:
    """What the intake made of one file. problem: why the file as a whole could not be read, or None."""

    path: str
    rows_read: int
    rows_kept: int
    rows_quarantined: int
    problem: str | None


class Intake:
    """The intake of one data folder.

    Parameters
    ----------
    raw: the folder of raw files, with sub-folders.
    folder: where the intake keeps its store and its ledger.
    quarantine: where rejected rows are written, one CSV file per raw file.
    zone: the pipeline's zone; another zone means reading every file again.
    """

    def __init__(self, raw: Path, folder: Path, quarantine: Path, zone: str) -> None:
        self.raw = raw
        self.folder = folder
        self.quarantine = quarantine
        self.zone = zone

    # ------------------------------------------------------------------ taking in

    def raw_files(self) -> list[Path]:
        """The raw files, sorted; hidden files and folders are not looked at."""
        return sorted(file.path for file in list_raw_files(self.raw))

    def take_in(self, only: Collection[Path] | None = None) -> list[TakenFile]:
        """Read the files that are new or have changed, of some of them if given; returns what became of each."""
        # Another process would remove what this one has not yet entered in the ledger.
        with alone(self.folder / "lock", "an intake"):
            remove_leftovers(self.folder)
            known = self._known()
            with self._ledger() as ledger:
                self._remove_orphans(ledger)
            waiting = [file.path for file in self._waiting(known) if only is None or file.path in only]
            with ThreadPoolExecutor(_READERS) as pool:
                return [taken for taken in pool.map(lambda path: self._take(path, known), waiting) if taken]

    def tidy(self) -> None:
        """Remove what no ledger row names: the rows of replaced files, and what killed runs have left."""
        with alone(self.folder / "lock", "the tidying of the intake"):
            remove_leftovers(self.folder)
            with self._ledger() as ledger:
                self._remove_orphans(ledger)

    def waiting(self) -> list[RawFile]:
        """The files that are new or whose size or time of change is not that of the file that was read, by name."""
        return self._waiting(self._known())

    def _waiting(self, known: Known) -> list[RawFile]:
        reading = self._reading()

        def is_known(file: RawFile) -> bool:
            before = known.get(self._name(file.path))
            return before is not None and before[:2] == (file.size, file.changed_ns) and before[2].endswith(reading)

        # The content of those that are left then decides.
        return sorted(file for file in list_raw_files(self.raw) if not is_known(file))

    def _known(self) -> Known:
        with self._ledger() as ledger:
            rows = ledger.execute("SELECT path, size, mtime_ns, fingerprint FROM files")
            return {name: (size, changed, fingerprint) for name, size, changed, fingerprint in rows}

    def _name(self, path: Path) -> str:
        """What the ledger calls a file. A name that is not UTF-8 is written with `\\xNN` for its strange bytes."""
        return os.fsencode(path.relative_to(self.raw).as_posix()).decode("utf-8", errors="backslashreplace")

    def _reading(self) -> str:
        """What beside the content decides how a file is read."""
        return f":{FORMAT_VERSION}:{self.zone}"

    def _take(self, path: Path, known: Known) -> TakenFile | None:
        name = self._name(path)
        try:
            stat = path.stat()
            fingerprint = _fingerprint(path) + self._reading()
        except FileNotFoundError:
            return None
        except OSError:
            fingerprint = _NOT_OPENED
        if name in known and known[name][2] == fingerprint != _NOT_OPENED:
            with self._ledger() as ledger:
                ledger.execute(
                    "UPDATE files SET size = ?, mtime_ns = ? WHERE path = ?", (stat.st_size, stat.st_mtime_ns, name)
                )
            return None
        problem = None
        blocks: list[Block] = []
        try:
            blocks = list(read_raw_file(path, self.zone))
        except UnreadableFile as error:
            problem, blocks = str(error), []
            if isinstance(error, UnopenedFile):
                fingerprint = _NOT_OPENED
        events = one_chunk(pa.concat_tables([EVENT_SCHEMA.empty_table(), *(block.events for block in blocks)]))
        rejected = pa.concat_tables([REJECTED_SCHEMA.empty_table(), *(block.rejected for block in blocks)])
        self._write_quarantine(name, rejected, problem)
        store, days = self._write_store(name, fingerprint, events)
        taken = TakenFile(name, len(events) + len(rejected), len(events), len(rejected), problem)
        with self._ledger() as ledger:
            if problem is not None and name in known:
                # A file that arrives broken replaces nothing: its earlier rows stand until it can be read.
                ledger.execute(
                    "UPDATE files SET size = ?, mtime_ns = ?, fingerprint = ?, problem = ? WHERE path = ?",
                    (stat.st_size, stat.st_mtime_ns, fingerprint, problem, name),
                )
                return taken
            ledger.execute("DELETE FROM file_dates WHERE path = ?", (name,))
            ledger.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (name, stat.st_size, stat.st_mtime_ns, fingerprint, problem, taken.rows_read, taken.rows_kept,
                 taken.rows_quarantined, store),
            )  # fmt: skip
            ledger.executemany(
                "INSERT INTO file_dates VALUES (?, ?, ?, NULL)", [(name, day, rows) for day, rows in days]
            )
        return taken

    def _write_store(self, name: str, fingerprint: str, events: pa.Table) -> tuple[str, list[tuple[int, int]]]:
        """Write a file's events, sorted by date; returns the store's name and (day, rows)."""
        day = day_of(events.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64))
        if len(day) and (np.diff(day) < 0).any():
            order = order_by_day(day)
            events, day = one_chunk(events.take(pa.array(order))), day[order]
        days, rows = np.unique(day, return_counts=True)
        store = hashlib.sha256(f"{name}\n{fingerprint}".encode()).hexdigest()[:32] + ".arrow"
        with (
            written_beside(self.folder / store) as path,
            ipc.new_file(str(path), EVENT_SCHEMA, options=ipc.IpcWriteOptions(compression="lz4")) as writer,
        ):
            # One batch: cut up by date, each piece would bear the dictionaries of the whole file.
            for batch in events.to_batches():
                writer.write_batch(batch)
        return store, list(zip(days.tolist(), rows.tolist(), strict=True))

    def _write_quarantine(self, name: str, rejected: pa.Table, problem: str | None) -> None:
        write_rejected(self.quarantine, name, rejected, problem)

    def _remove_orphans(self, ledger: sqlite3.Connection) -> None:
        """Remove stores that no ledger row names: those of replaced files, or of a run killed before its entry."""
        named = {store for (store,) in ledger.execute("SELECT store FROM files")}
        for path in self.folder.glob("*.arrow"):
            if path.name not in named:
                path.unlink()

    # ------------------------------------------------------------------ what the intake holds

    def days(self) -> list[int]:
        """The days that have rows, ascending."""
        with self._ledger() as ledger:
            return [day for (day,) in ledger.execute("SELECT DISTINCT day FROM file_dates ORDER BY day")]

    def sources(self) -> dict[int, str]:
        """Per day that has rows: a name of what the intake holds of it, another one as soon as a file of it is."""
        with self._ledger() as ledger:
            held = ledger.execute(
                "SELECT d.day, f.store FROM file_dates d JOIN files f ON f.path = d.path ORDER BY d.day, f.store"
            )
            return {
                day: hashlib.blake2b("".join(store for _, store in of_day).encode(), digest_size=16).hexdigest()
                for day, of_day in itertools.groupby(held, key=lambda row: row[0])
            }

    def read(self, days: Iterable[int]) -> tuple[pa.Table, np.ndarray, list[str]]:
        """The rows of some days: (`EVENT_SCHEMA`, the file of each row (N,) int32, names of the files)."""
        wanted = set(days)
        with self._ledger() as ledger:
            files = ledger.execute("SELECT path, store FROM files ORDER BY path").fetchall()
            held = pd.read_sql_query("SELECT path, day, rows FROM file_dates ORDER BY path, day", ledger)
        held["wanted"] = held["day"].isin(wanted)
        tables, sources = [EVENT_SCHEMA.empty_table()], [np.zeros(0, np.int32)]
        names: list[str] = []
        dates_of_file = dict(list(held.groupby("path", sort=False)))
        for path, store in files:
            dates = dates_of_file.get(path)
            if dates is None or not dates["wanted"].any():
                continue
            try:
                with pa.memory_map(str(self.folder / store)) as source, ipc.open_file(source) as reader:
                    part = reader.read_all()
            except (OSError, pa.ArrowException) as error:
                raise self._damaged(f"{store} is damaged or missing ({error})") from error
            if not dates["wanted"].all():
                part = part.filter(pa.array(np.repeat(dates["wanted"].to_numpy(), dates["rows"].to_numpy())))
            tables.append(part)
            sources.append(np.full(len(part), len(names), dtype=np.int32))
            names.append(path)
        return one_chunk(pa.concat_tables(tables)), np.concatenate(sources), names

    def record_duplicates(self, days: Sequence[int], names: list[str], counts: pd.DataFrame) -> None:
        """Note how many rows of each file and day were exact duplicates. counts: columns file, day, duplicates."""
        with self._ledger() as ledger:
            ledger.executemany("UPDATE file_dates SET duplicates = 0 WHERE day = ?", [(day,) for day in days])
            ledger.executemany(
                "UPDATE file_dates SET duplicates = ? WHERE path = ? AND day = ?",
                [(int(number), names[file], int(day)) for file, day, number in counts.itertuples(index=False)],
            )

    def accounts(self, days: Sequence[int]) -> dict[int, tuple[int, int | None]]:
        """Per day: (rows that the intake holds, exact duplicates among them: None before it was assembled)."""
        with self._ledger() as ledger:
            rows = ledger.execute("SELECT day, sum(rows), sum(duplicates), count(duplicates), count(*) FROM file_dates "
                                  "GROUP BY day").fetchall()  # fmt: skip
        found = {day: (held, duplicates if noted == files else None) for day, held, duplicates, noted, files in rows}
        return {day: found.get(day, (0, 0)) for day in days}

    def files(self, first_day: int, last_day: int) -> pd.DataFrame:
        """The ledger, a row per file: read = merged + duplicates + quarantined + held, once all is assembled.

        Rows dated before `first_day` or after `last_day` have no partition: they are held until they have.
        """
        with self._ledger() as ledger:
            return pd.read_sql_query(
                """
                SELECT f.path, f.problem, f.rows_read, f.rows_kept, f.rows_quarantined,
                    coalesce(sum(d.duplicates), 0) AS rows_duplicate,
                    coalesce(sum(d.rows) FILTER (WHERE d.day < :first), 0) AS rows_held_before_first_date,
                    coalesce(sum(d.rows) FILTER (WHERE d.day > :last), 0) AS rows_held_beyond_newest_partition
                FROM files f LEFT JOIN file_dates d ON d.path = f.path GROUP BY f.path ORDER BY f.path
                """,
                ledger,
                params={"first": first_day, "last": last_day},
            )

    @contextmanager
    def _ledger(self) -> Iterator[sqlite3.Connection]:
        """The ledger, in a transaction that is committed where the block ends well."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.folder / "ledger.sqlite", timeout=60)) as connection:
            try:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):  # locked or out of reach, not damaged
                    raise
                raise self._damaged(f"ledger.sqlite cannot be read ({error})") from error
            if version not in (0, FORMAT_VERSION):
                raise UserError(
                    f"{self.folder} has format version {version}, this program writes {FORMAT_VERSION}: "
                    "remove that folder and run `make run`, which reads the raw files again."
                )
            if version == 0:
                connection.executescript(_TABLES + f"PRAGMA user_version = {FORMAT_VERSION};")
            with connection:
                yield connection

    def _damaged(self, what: str) -> UserError:
        return UserError(
            f"The intake in {self.folder} cannot be used: {what}. "
            "Remove that folder and run `make run`, which reads the raw files again."
        )


def _fingerprint(path: Path) -> str:
    digest = hashlib.sha256()  # processors have instructions for it
    with path.open("rb") as stream:
        while piece := stream.read(_HASH_PIECE):
            digest.update(piece)
    return digest.hexdigest()[:32]
