"""The time of day, as the service asks for it."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Clock:
    """now: ms since 1970 UTC. day: of such a moment in the zone, as days since 1970. A test gives its own."""

    now: Callable[[], int]
    day: Callable[[int], int]


def zone_clock(zone: str) -> Clock:
    """The clock of this machine; days are those of the zone."""
    place = ZoneInfo(zone)
    epoch = datetime.date(1970, 1, 1)

    def day(now: int) -> int:
        return (datetime.datetime.fromtimestamp(now / 1000, place).date() - epoch).days

    return Clock(lambda: time.time_ns() // 1_000_000, day)
