"""The contract of a history: what every store of it promises, and what is written in one transaction.

A journey is bytes here (`rows`), keyed by its canonical EPC code; rows without an EPC lie under a key of their second
(`keyless`). Whichever store: a transaction reads some journeys, and what it writes becomes visible all at once or not
at all; two transactions on one journey never both succeed on the same state of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

NO_EPC = "\0"
"""The first character of keys of rows without an EPC."""

LIVE = np.dtype([("time", "<i8"), ("event_id", "<i8"), ("file_id", "<i8"), ("reading", "<u8")])
"""What of a scan that came in live the nightly chain is given, beside its EPC."""


class Conflict(Exception):
    """Another transaction has changed one of the journeys meanwhile: read again and judge again."""


class HistoryDown(Exception):
    """The store does not answer; it may later."""


@dataclass(frozen=True)
class Alert:
    """An event on which a label was set, as `GET /api/v1/alerts` filters and lists it.

    key: its journey. row: time and event id tell which of its events. labels: bits. scores: five, 0 to 100, 0 where
    the label is not set.
    """

    key: str
    time: int
    event_id: int
    reading: int
    location_id: int | None
    place: str | None
    labels: int
    scores: tuple[float, ...]
    method: str
    received: int


@dataclass(frozen=True)
class AlertFilter:
    """What alerts are asked for. since: seconds of the pipeline's zone. label: place in `LABELS`. score: 0 to 100, of
    the label, or of any of them. site: location id, or name."""

    since: int | None = None
    label: int | None = None
    score: float = 0.0
    site: int | str | None = None

    def takes(self, alert: Alert) -> bool:
        if self.since is not None and alert.time < self.since:
            return False
        if self.label is not None and not alert.labels >> self.label & 1:
            return False
        score = max(alert.scores) if self.label is None else alert.scores[self.label]
        if score < self.score:
            return False
        return self.site is None or self.site == (alert.location_id if isinstance(self.site, int) else alert.place)


@dataclass(frozen=True)
class Changes:
    """What one transaction writes.

    journeys: rows by key. lots: the lot of each key that has one. readings: texts of readings that may be new. moves:
    by lot, how its moves change (`lots`). live: EPC (empty without one) and `LIVE` row of each new scan, of the day
    `day`. alerts: in the order of the request.
    """

    journeys: Mapping[str, bytes]
    lots: Mapping[str, str] = field(default_factory=dict)
    readings: Mapping[int, str] = field(default_factory=dict)
    moves: Mapping[str, bytes] = field(default_factory=dict)
    live: Sequence[tuple[str, bytes]] = ()
    day: int = 0
    alerts: Sequence[Alert] = ()
    now: int = 0


@dataclass(frozen=True)
class LotNews:
    """What has happened to a lot since a version of it that is known.

    version: of now. changes: of its moves, in order. journeys: (key, rows) of the whole lot, where the known version
    is too old to be brought up by changes, or there is none.
    """

    version: int
    changes: Sequence[bytes] = ()
    journeys: Sequence[tuple[str, bytes]] | None = None


class Transaction(Protocol):
    """Reading and writing some journeys as one step."""

    @property
    def journeys(self) -> Sequence[bytes | None]:
        """Of the keys asked for, in their order."""
        ...

    @property
    def versions(self) -> Mapping[str, int] | None:
        """Of the lots that were changed, once it has ended; None where versions stay while one process writes."""
        ...

    def lots(self, versions: Mapping[str, int | None]) -> dict[str, LotNews]:
        """What is new of some lots since the versions that the caller knows."""
        ...

    def write(self, changes: Changes) -> None:
        """Write, once; it counts when the transaction's block has ended well."""
        ...


class History(Protocol):
    """A store of journeys.

    keeps_changes: whether the changes of lots' moves are to be handed in, for other processes to follow. The version
    of a lot grows with each then; else it stays while only this process writes.
    """

    keeps_changes: bool

    def transaction(self, keys: Sequence[str]) -> AbstractContextManager[Transaction]:
        """Of the journeys that are read, and may be written. Raises `Conflict` on leaving the block where another was
        faster, and `HistoryDown`."""
        ...

    def journeys(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def readings(self, ids: Sequence[int]) -> dict[int, str]: ...

    def some_readings(self, most: int) -> dict[int, str]:
        """Up to `most` readings, to begin with."""
        ...

    def recent_lots(self, most: int) -> list[str]:
        """The lots that were touched last, to begin with."""
        ...

    def alerts(self, after: str | None, chosen: AlertFilter, most: int) -> tuple[list[Alert], str | None]:
        """Up to `most` alerts after a cursor, in the order in which they came, and the cursor of the last one."""
        ...

    def live_days(self) -> dict[int, int]:
        """The days on which scans came in live, and how many on each."""
        ...

    def live(self, day: int) -> list[tuple[str, bytes]]: ...

    def sizes(self) -> dict[str, int]:
        """`epcs`, `alerts`: how many there are."""
        ...

    def prune(self, before: int) -> int:
        """Forget journeys that nothing touched since `before` (ms), and alerts and live scans of before it."""
        ...

    def close(self) -> None: ...


def cursor_number(cursor: str | None) -> int:
    """The number in a cursor, 0 without one. One of another store is taken for the number that it begins with."""
    return int((cursor or "0").partition("-")[0])


def keyless(time: int) -> str:
    """The key of rows without an EPC of one second: they have no journey, and are kept to know them again."""
    return f"{NO_EPC}{time}"
