"""The history in memory: for warming up, for judging a file, and for tests. It is lost with the process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count

from barcode_pipeline.serving.history import Alert, AlertFilter, Changes, LotNews, cursor_number


class MemoryHistory:
    """See `history.History`; used by one thread at a time."""

    keeps_changes = False

    def __init__(self) -> None:
        self._journeys: dict[str, bytes] = {}
        self._keys_of_lot: dict[str, dict[str, None]] = {}
        self._readings: dict[int, str] = {}
        self._live: dict[int, list[tuple[str, bytes]]] = {}
        self._alerts: list[tuple[int, Alert]] = []
        self._numbers = count(1)
        self._touched: dict[str, int] = {}

    @contextmanager
    def transaction(self, keys: Sequence[str]) -> Iterator[_MemoryTransaction]:
        transaction = _MemoryTransaction(self, self.journeys(keys))
        yield transaction
        if transaction.changes is not None:
            self._apply(transaction.changes)

    def _apply(self, changes: Changes) -> None:
        self._journeys.update(changes.journeys)
        self._touched.update(dict.fromkeys(changes.journeys, changes.now))
        for key in changes.journeys:
            if key in changes.lots:
                self._keys_of_lot.setdefault(changes.lots[key], {})[key] = None
        self._readings.update(changes.readings)
        self._live.setdefault(changes.day, []).extend(changes.live)
        self._alerts.extend((next(self._numbers), alert) for alert in changes.alerts)

    def journeys_of_lot(self, lot: str) -> list[tuple[str, bytes]]:
        return [(key, self._journeys[key]) for key in self._keys_of_lot.get(lot, ())]

    def journeys(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._journeys.get(key) for key in keys]

    def readings(self, ids: Sequence[int]) -> dict[int, str]:
        return {number: self._readings[number] for number in ids if number in self._readings}

    def some_readings(self, most: int) -> dict[int, str]:
        return dict(list(self._readings.items())[:most])

    def recent_lots(self, most: int) -> list[str]:
        return list(self._keys_of_lot)[-most:]

    def alerts(self, after: str | None, chosen: AlertFilter, most: int) -> tuple[list[Alert], str | None]:
        found = [
            (number, alert) for number, alert in self._alerts if number > cursor_number(after) and chosen.takes(alert)
        ][:most]
        return [alert for _, alert in found], str(found[-1][0]) if found else after

    def live_days(self) -> dict[int, int]:
        return {day: len(rows) for day, rows in sorted(self._live.items())}

    def live(self, day: int) -> list[tuple[str, bytes]]:
        return list(self._live.get(day, ()))

    def sizes(self) -> dict[str, int]:
        return {"epcs": len(self._journeys), "alerts": len(self._alerts)}

    def prune(self, before: int) -> int:
        gone = [key for key, touched in self._touched.items() if touched < before]
        for key in gone:
            del self._journeys[key], self._touched[key]
            for keys in self._keys_of_lot.values():
                keys.pop(key, None)
        self._alerts = [(number, alert) for number, alert in self._alerts if alert.received >= before]
        return len(gone)

    def close(self) -> None:
        """Nothing is held open."""


class _MemoryTransaction:
    def __init__(self, history: MemoryHistory, journeys: list[bytes | None]) -> None:
        self.journeys = journeys
        self.versions = None
        self.changes: Changes | None = None
        self._history = history

    def lots(self, versions: Mapping[str, int | None]) -> dict[str, LotNews]:
        return {
            lot: LotNews(1, journeys=None if version == 1 else self._history.journeys_of_lot(lot))
            for lot, version in versions.items()
        }

    def write(self, changes: Changes) -> None:
        self.changes = changes
