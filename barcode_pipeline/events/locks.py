"""One lock for what only one process at a time may do to a folder.

The lock is the system's: it ends with the process that holds it, however that ends. The file says who holds it, for
those who wait; its text means nothing once the lock is free.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

Say = Callable[[str], None]


class BusyError(Exception):
    """Another process holds the lock. The message says who."""


def _say_nothing(text: str) -> None: ...


@contextmanager
def alone(path: Path, who: str, say: Say = _say_nothing, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file while the block runs.

    who: what the holder is, for others to read. say: is told once whom this process waits for. wait: with False a
    lock that is taken raises `BusyError`.

    A process that holds a lock must not ask for it once more: it would wait for itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        if not _taken(file):
            holder = _holder(file)
            if not wait:
                raise BusyError(holder)
            say(f"waiting for {holder}")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"{who} (process {os.getpid()} on {socket.gethostname()}, since {_now()})")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _taken(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: TextIO) -> str:
    file.seek(0)
    return file.read().strip() or "another process"


def _now() -> str:
    return f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}"
