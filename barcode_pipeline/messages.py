"""Telling people: each message once, in the log and to the receivers that are configured (`receivers`).

A message is queued on disk before anything is sent, and sent by a thread per receiver that nobody waits for longer
than a moment: a receiver that is dead or hangs delays nothing, other receivers neither, and what did not arrive is sent
again later, less and less often. A receiver gets a message at least once: twice only where the process ends between
sending and noting it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import FORMAT_VERSION

Say = Callable[[str], None]
Send = Callable[["Message"], None]
"""Gives a message to a receiver, within its own time-out; raises where that did not work."""

MOMENT = 1.0
"""Seconds that the sender is waited for."""
LEASE = 120.0
"""Seconds for which a message that is being sent is nobody else's to send."""
FIRST_WAIT, LONGEST_WAIT = 60.0, 3600.0
"""Seconds between attempts; they double."""
GIVEN_UP_AFTER = 7 * 86_400.0
"""Seconds after which a message that never arrived is no longer sent."""
KEPT_FOR = 400 * 86_400.0
"""Seconds for which a message is known to have been told."""

_TABLES = """
DROP TABLE IF EXISTS message;
DROP TABLE IF EXISTS delivery;
CREATE TABLE message (key TEXT PRIMARY KEY, kind TEXT, subject TEXT, text TEXT, created REAL) WITHOUT ROWID;
CREATE TABLE delivery (
    key TEXT, receiver TEXT, next REAL, attempts INTEGER DEFAULT 0, problem TEXT DEFAULT '', PRIMARY KEY (key, receiver)
) WITHOUT ROWID;
"""
_log = logging.getLogger(__name__)
_senders: dict[tuple[Path, str], threading.Thread] = {}
"""Of this process, by outbox and receiver: one at a time, however long a receiver keeps it."""


@dataclass(frozen=True)
class Message:
    """key: what it is about; nothing with the same key is told again. kind: `failed_night`, `late_night`,
    `stopped_model`, `high_alert`. subject: one line. text: the whole."""

    key: str
    kind: str
    subject: str
    text: str


@dataclass(frozen=True)
class Waiting:
    """A message that a receiver has not got yet."""

    message: Message
    receiver: str
    attempts: int
    problem: str


class Outbox:
    """Messages that were told, and those that wait to be sent, in one SQLite file.

    Parameters
    ----------
    path: of the file. receivers: by name, what gives a message to each.
    """

    def __init__(self, path: Path, receivers: Mapping[str, Send]) -> None:
        self.path = path
        self.receivers = dict(receivers)

    def tell(self, messages: Sequence[Message], say: Say = _log.warning, now: float | None = None) -> list[Message]:
        """Say, queue and begin to send the messages that were not told before; returns those."""
        moment = time.time() if now is None else now
        new = []
        with self._file() as file:
            file.execute("DELETE FROM message WHERE created < ?", (moment - KEPT_FOR,))
            for message in messages:
                row = (message.key, message.kind, message.subject, message.text, moment)
                if file.execute("INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?)", row).rowcount:
                    new.append(message)
                    file.executemany(
                        "INSERT INTO delivery (key, receiver, next) VALUES (?, ?, ?)",
                        [(message.key, receiver, moment) for receiver in self.receivers],
                    )
        for message in new:
            say(f"{message.subject}: {message.text}" if message.text else message.subject)
        self.send_waiting(now=now)
        return new

    def send_waiting(self, wait: float = MOMENT, now: float | None = None) -> list[threading.Thread]:
        """Send what is due, a thread per receiver, and wait for them no longer than `wait` seconds in all."""
        if not self.path.exists():
            return []
        started = []
        for name in self._due(time.time() if now is None else now):
            before = _senders.get((self.path, name))
            if before is None or not before.is_alive():
                thread = threading.Thread(target=self._send_all, args=(name, now), name=f"to {name}", daemon=True)
                thread.start()
                _senders[self.path, name] = thread
                started.append(thread)
        end = time.monotonic() + wait
        for thread in started:
            thread.join(max(0.0, end - time.monotonic()))
        return started

    def waiting(self) -> list[Waiting]:
        """What has not arrived yet."""
        if not self.path.exists():
            return []
        with self._file() as file:
            rows = file.execute(
                "SELECT key, kind, subject, text, receiver, attempts, problem FROM delivery JOIN message USING (key) "
                "ORDER BY created, key, receiver"
            ).fetchall()
        return [Waiting(Message(*row[:4]), *row[4:]) for row in rows]

    def _due(self, now: float) -> list[str]:
        """The receivers for whom something is due."""
        with self._file() as file:
            rows = file.execute("SELECT DISTINCT receiver FROM delivery WHERE next <= ?", (now,)).fetchall()
        return [name for (name,) in rows if name in self.receivers]

    def _send_all(self, name: str, now: float | None) -> None:
        # The first that does not arrive tells that the receiver is not there: the others are not tried.
        while (message := self._claim(name, time.time() if now is None else now)) is not None:
            try:
                self.receivers[name](message)
            except Exception as error:
                # Whatever a receiver does, the night goes on.
                problem = _in_words(error)
                self._failed(name, problem, time.time() if now is None else now)
                _log.warning("%s did not take a message (%s): it is sent again later", name, problem)
                return
            with self._file() as file:
                file.execute("DELETE FROM delivery WHERE key = ? AND receiver = ?", (message.key, name))

    def _claim(self, receiver: str, now: float) -> Message | None:
        """The oldest message that is due for a receiver, which is then this thread's to send."""
        with self._file() as file:
            file.execute(
                "DELETE FROM delivery WHERE key NOT IN (SELECT key FROM message WHERE created >= ?)",
                (now - GIVEN_UP_AFTER,),
            )
            row = file.execute(
                "SELECT key, kind, subject, text FROM delivery JOIN message USING (key) WHERE receiver = ? AND "
                "next <= ? ORDER BY created, key LIMIT 1",
                (receiver, now),
            ).fetchone()
            if row is None:
                return None
            file.execute("UPDATE delivery SET next = ? WHERE key = ? AND receiver = ?", (now + LEASE, row[0], receiver))
        return Message(*row)

    def _failed(self, receiver: str, problem: str, now: float) -> None:
        """All that waits for a receiver waits for its next attempt."""
        with self._file() as file:
            most = file.execute("SELECT MAX(attempts) FROM delivery WHERE receiver = ?", (receiver,)).fetchone()[0]
            wait = min(FIRST_WAIT * 2 ** min(int(most or 0), 10), LONGEST_WAIT)
            file.execute(
                "UPDATE delivery SET next = ?, attempts = attempts + 1, problem = ? WHERE receiver = ?",
                (now + wait, problem, receiver),
            )

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as file:
            # Claiming reads and then writes: another process must not come in between.
            file.execute("BEGIN IMMEDIATE")
            try:
                if file.execute("PRAGMA user_version").fetchone()[0] != FORMAT_VERSION:
                    for statement in (*_TABLES.split(";"), f"PRAGMA user_version = {FORMAT_VERSION}"):
                        file.execute(statement)
                yield file
            except BaseException:
                file.execute("ROLLBACK")
                raise
            file.execute("COMMIT")


def _in_words(error: Exception) -> str:
    """Without what it says, which may hold an address that is a secret."""
    if isinstance(error, UserError):
        return str(error)
    return f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
