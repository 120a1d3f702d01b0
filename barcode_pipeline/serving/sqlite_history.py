"""The history in one SQLite file: embedded, for one service process. Other processes may fill it and read it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.serving.history import Alert, AlertFilter, Changes, HistoryDown, LotNews, cursor_number
from barcode_pipeline.serving.rows import ROWS_VERSION

PAGE_BYTES = 2048
"""A journey has a few hundred bytes, and each that grows puts its page into the log: half of the usual size is half the
log."""
LONGEST_LOG = 32_768
"""Pages of the log, 64 MB: beyond it writers are held up for it to begin anew."""
_AT_ONCE = 500
"""Parameters of one query, at most."""
_SCORES = tuple(f"score_{number}" for number in range(len(LABELS)))
_ALERT = ("key", "time", "event_id", "reading", "location_id", "place", "labels", *_SCORES, "method", "received")

_TABLES = f"""
CREATE TABLE journeys (key TEXT PRIMARY KEY, lot TEXT, rows BLOB NOT NULL, touched INTEGER NOT NULL);
CREATE INDEX journeys_of_lot ON journeys (lot) WHERE lot IS NOT NULL;
CREATE TABLE readings (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE live (seq INTEGER PRIMARY KEY AUTOINCREMENT, day INTEGER NOT NULL, epc TEXT NOT NULL, row BLOB NOT NULL);
CREATE INDEX live_of_day ON live (day);
CREATE TABLE alerts (seq INTEGER PRIMARY KEY AUTOINCREMENT, {", ".join(_ALERT)});
PRAGMA user_version = {ROWS_VERSION};
"""


class SqliteHistory:
    """See `history.History`.

    Parameters
    ----------
    path: of the file; it is made where there is none.
    """

    keeps_changes = False

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._of_thread = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._epoch, self._seen = 1, -1
        self._writing = threading.Lock()
        try:
            self._make()
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"{path} cannot be used as a history ({error}): remove it and run `barcode-pipeline history fill`."
            ) from error
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep_log_short, name="checkpoints", daemon=True)
        self._keeper.start()

    def _make(self) -> None:
        connection = self._connection()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            with self._transaction(connection):
                if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                    for statement in _TABLES.split(";"):
                        connection.execute(statement)
        if version not in (0, ROWS_VERSION):
            raise UserError(
                f"{self.path} has format version {version}, this program writes {ROWS_VERSION}: remove it and run "
                "`barcode-pipeline history fill`."
            )

    def _connection(self) -> sqlite3.Connection:
        """The connection of this thread."""
        connection: sqlite3.Connection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
            # What a process that is killed has committed stays; a checkpoint, not each commit, waits for the disk.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -65536")
            connection.execute("PRAGMA mmap_size = 1073741824")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._of_thread.connection = connection
            self._opened.append(connection)
        return connection

    def _keep_log_short(self) -> None:
        """Move what was committed into the file beside requests, so that none of them waits for the disk."""
        while not self._stop.wait(0.5):
            try:
                if self._move_log() > LONGEST_LOG:
                    self._begin_log_anew()
            except sqlite3.Error:
                continue  # the next round tries again

    def _move_log(self) -> int:
        """Move what is committed by now; how many pages the log holds, moved or not."""
        return int(self._connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])

    def _begin_log_anew(self) -> None:
        """The log begins anew where a writer finds all of it moved. At full load none ever does, since they write while
        it is being moved: they are held up for the little that is left."""
        self._move_log()
        connection = self._connection()
        # Someone who reads for long, in another process, must not hold up the writers: then the next round tries again.
        connection.execute("PRAGMA busy_timeout = 50")
        with self._writing:
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
        try:
            connection.execute(f"BEGIN {kind}")
        except sqlite3.OperationalError as error:
            raise HistoryDown(f"the history is locked or out of reach ({error})") from error
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    # ------------------------------------------------------------------ one step

    @contextmanager
    def transaction(self, keys: Sequence[str]) -> Iterator[_SqliteTransaction]:
        connection = self._connection()
        with self._writing:
            try:
                with self._transaction(connection):
                    found = _found(connection, keys)
                    yield _SqliteTransaction(connection, keys, found, self._epoch_now(connection))
            except sqlite3.OperationalError as error:
                raise HistoryDown(f"the history cannot be written ({error})") from error

    def _epoch_now(self, connection: sqlite3.Connection) -> int:
        """Grows where another connection has written: what this process knows of lots is then out of date."""
        seen = connection.execute("PRAGMA data_version").fetchone()[0]
        if seen != self._seen:
            self._epoch, self._seen = self._epoch + 1, seen
        return self._epoch

    # ------------------------------------------------------------------ looking

    def journeys(self, keys: Sequence[str]) -> list[bytes | None]:
        found = _found(self._connection(), keys)
        return [found[key][0] if key in found else None for key in keys]

    def readings(self, ids: Sequence[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        for some in _pieces([_signed(number) for number in ids]):
            query = f"SELECT id, text FROM readings WHERE id IN ({','.join('?' * len(some))})"
            found.update((_unsigned(number), text) for number, text in self._connection().execute(query, some))
        return found

    def some_readings(self, most: int) -> dict[int, str]:
        rows = self._connection().execute("SELECT id, text FROM readings LIMIT ?", (most,))
        return {_unsigned(number): text for number, text in rows}

    def recent_lots(self, most: int) -> list[str]:
        query = "SELECT lot FROM journeys WHERE lot IS NOT NULL GROUP BY lot ORDER BY max(touched) DESC LIMIT ?"
        return [lot for (lot,) in self._connection().execute(query, (most,))]

    def alerts(self, after: str | None, chosen: AlertFilter, most: int) -> tuple[list[Alert], str | None]:
        where, values = ["seq > ?"], [cursor_number(after)]
        if chosen.since is not None:
            where.append("time >= ?")
            values.append(chosen.since)
        if chosen.label is not None:
            where.append(f"labels >> {chosen.label} & 1 AND score_{chosen.label} >= ?")
        else:
            where.append(f"max({', '.join(_SCORES)}) >= ?")
        values.append(chosen.score)  # type: ignore[arg-type]
        if chosen.site is not None:
            where.append("location_id = ?" if isinstance(chosen.site, int) else "place = ?")
            values.append(chosen.site)  # type: ignore[arg-type]
        query = f"SELECT seq, {', '.join(_ALERT)} FROM alerts WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?"
        rows = self._connection().execute(query, (*values, most)).fetchall()
        alerts = [
            Alert(key, time, event_id, _unsigned(reading), location_id, place, labels, tuple(scores), method, received)
            for _, key, time, event_id, reading, location_id, place, labels, *scores, method, received in rows
        ]
        return alerts, str(rows[-1][0]) if rows else after

    def live_days(self) -> dict[int, int]:
        return dict(self._connection().execute("SELECT day, count(*) FROM live GROUP BY day ORDER BY day"))

    def live(self, day: int) -> list[tuple[str, bytes]]:
        return self._connection().execute("SELECT epc, row FROM live WHERE day = ? ORDER BY seq", (day,)).fetchall()

    def sizes(self) -> dict[str, int]:
        connection = self._connection()
        return {
            "epcs": connection.execute("SELECT count(*) FROM journeys").fetchone()[0],
            "alerts": connection.execute("SELECT count(*) FROM alerts").fetchone()[0],
        }

    def prune(self, before: int) -> int:
        connection = self._connection()
        with self._writing, self._transaction(connection):
            gone = connection.execute("DELETE FROM journeys WHERE touched < ?", (before,)).rowcount
            connection.execute("DELETE FROM alerts WHERE received < ?", (before,))
            connection.execute("DELETE FROM live WHERE day < ?", (before // 86_400_000,))
        if gone:
            self._epoch += 1
        return gone

    def close(self) -> None:
        self._stop.set()
        self._keeper.join()
        with self._writing:
            for connection in self._opened:
                connection.close()
            self._opened.clear()


class _SqliteTransaction:
    def __init__(
        self, connection: sqlite3.Connection, keys: Sequence[str], found: dict[str, tuple[bytes, int]], epoch: int
    ) -> None:
        self.journeys = [found[key][0] if key in found else None for key in keys]
        self.versions = None
        self._connection = connection
        self._found = found
        self._epoch = epoch

    def lots(self, versions: Mapping[str, int | None]) -> dict[str, LotNews]:
        return {
            lot: LotNews(self._epoch, journeys=None if version == self._epoch else self._journeys_of(lot))
            for lot, version in versions.items()
        }

    def _journeys_of(self, lot: str) -> list[tuple[str, bytes]]:
        return self._connection.execute("SELECT key, rows FROM journeys WHERE lot = ?", (lot,)).fetchall()

    def write(self, changes: Changes) -> None:
        execute = self._connection.executemany
        known = self._found
        # Those that were read are changed where they lie: their keys are not looked up again.
        execute(
            "UPDATE journeys SET rows = ?, touched = ? WHERE rowid = ?",
            [(rows, changes.now, known[key][1]) for key, rows in changes.journeys.items() if key in known],
        )
        execute(
            "INSERT INTO journeys VALUES (?, ?, ?, ?)",
            [
                (key, changes.lots.get(key), rows, changes.now)
                for key, rows in changes.journeys.items()
                if key not in known
            ],
        )
        if changes.readings:
            execute(
                "INSERT OR IGNORE INTO readings VALUES (?, ?)",
                [(_signed(number), text) for number, text in changes.readings.items()],
            )
        if changes.live:
            execute(
                "INSERT INTO live (day, epc, row) VALUES (?, ?, ?)",
                [(changes.day, epc, row) for epc, row in changes.live],
            )
        if changes.alerts:
            execute(
                f"INSERT INTO alerts ({', '.join(_ALERT)}) VALUES ({', '.join('?' * len(_ALERT))})",
                [
                    (a.key, a.time, a.event_id, _signed(a.reading), a.location_id, a.place, a.labels, *a.scores,
                     a.method, a.received)
                    for a in changes.alerts
                ],
            )  # fmt: skip


def _found(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, tuple[bytes, int]]:
    """By key its rows, and where they lie; what is not there is left out."""
    found: dict[str, tuple[bytes, int]] = {}
    for some in _pieces(keys):
        marks = ",".join("?" * len(some))
        query = f"SELECT key, rows, rowid FROM journeys WHERE key IN ({marks})"
        found.update((key, (rows, place)) for key, rows, place in connection.execute(query, some))
    return found


def _pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


def _signed(number: int) -> int:
    """64 bits as SQLite keeps them."""
    return number - 2**64 if number >= 2**63 else number


def _unsigned(number: int) -> int:
    return number % 2**64
