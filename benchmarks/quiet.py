"""Whether anything else is running while figures are measured: a busy machine does not slow both sides alike."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

TOLERATED_CORES = 0.2
"""So much of a core may be busy with something else: the system itself needs some, to write files out."""
_TICKS_PER_SECOND = 100  # USER_HZ, what /proc counts in
_STATISTICS = Path("/proc/stat")


def watch_others() -> Callable[[], float | None]:
    """Start watching. The function returned says how many cores were busy, since, with what is not ours.

    Ours are this process and its children that have ended. None where the system does not say (it is no Linux).
    """
    if not _STATISTICS.exists():
        return lambda: None
    started, busy, ours = time.perf_counter(), _busy_seconds(), _our_seconds()

    def others() -> float:
        seconds = _busy_seconds() - busy - (_our_seconds() - ours)
        return max(0.0, seconds / (time.perf_counter() - started))

    return others


def _busy_seconds() -> float:
    """Seconds that all cores together have been busy since the machine started."""
    user, nice, system, _idle, _waiting, *interrupts = map(int, _STATISTICS.read_text().splitlines()[0].split()[1:])
    # After the two kinds of interrupts comes time stolen by other machines; guests are part of user.
    return (user + nice + system + sum(interrupts[:3])) / _TICKS_PER_SECOND


def _our_seconds() -> float:
    return sum(os.times()[:4])
