"""Dagster's history in SQLite, without waiting for the disk at every event.

A run over all dates writes thousands of events, each in several transactions on a connection of its own. As Dagster
opens them, each of these waits until the disk has it, and closing the last connection tidies the whole file away. With
a write-ahead log neither is needed: what a process that is killed has written stays all the same, and after a power
failure the file is sound, and may lack the last moments. Data and models do not hang on it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import OrderedDict
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

MOST_KEPT = 4
"""Files that are kept open: the run's own, the index of all runs, the list of runs, and that of ticks."""

_lock = threading.Lock()
_kept: OrderedDict[str, tuple[int, sqlite3.Connection]] = OrderedDict()


def write_history_without_waiting() -> None:
    """From now on, in this process, for every SQLite file with a write-ahead log that SQLAlchemy opens."""
    if not event.contains(Engine, "connect", _opened):
        event.listen(Engine, "connect", _opened)


def _opened(connection: Any, _: object) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        return
    connection.execute("PRAGMA synchronous = NORMAL")
    file = connection.execute("PRAGMA database_list").fetchone()[2]
    if file:
        with _lock:
            _keep_open(file)


def _keep_open(file: str) -> None:
    """Hold a connection of our own, so that no other is the last one."""
    try:
        number = os.stat(file).st_ino
    except OSError:
        return
    if file in _kept:
        if _kept[file][0] == number:
            _kept.move_to_end(file)
            return
        _kept.pop(file)[1].close()  # another file has taken its place
    own = sqlite3.connect(file, check_same_thread=False)
    own.execute("SELECT count(*) FROM sqlite_master").fetchone()  # only then does it count as a reader
    _kept[file] = number, own
    if len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)[1][1].close()
