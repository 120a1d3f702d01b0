"""The history in Redis: for several service processes, on one host or many.

Each journey is one value, changed only where it is still as it was read (WATCH). The moves of a lot are no value of
their own: they follow from its journeys, and a short list of their last changes keeps the processes' copies in step.
Run Redis with an append-only file (`appendonly yes`, `appendfsync always`): what was answered is then never lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import orjson
import redis

from barcode_pipeline.errors import UserError
from barcode_pipeline.serving.history import Alert, AlertFilter, Changes, Conflict, HistoryDown, LotNews
from barcode_pipeline.serving.rows import ROWS_VERSION

_CHANGES_KEPT = 200
_ALERTS_KEPT = 1_000_000
_PAGE = 500


class RedisHistory:
    """See `history.History`.

    Parameters
    ----------
    url: `redis://host:port/database`.
    retention_days: journeys that nothing touched for so long are forgotten by Redis itself.
    """

    keeps_changes = True

    def __init__(self, url: str, retention_days: int = 400) -> None:
        self._retention = retention_days * 86_400
        try:
            self._client = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)
        except ValueError as error:
            raise UserError(f"serving.history is no address of Redis ({error}): redis://host:6379/0") from error
        with _telling():
            version = self._client.get(_name("version"))
            if version is None:
                self._client.set(_name("version"), ROWS_VERSION)
            elif int(cast(bytes, version)) != ROWS_VERSION:
                raise UserError(
                    f"The history in Redis has format version {int(cast(bytes, version))}, this program writes "
                    f"{ROWS_VERSION}: empty that database and run `barcode-pipeline history fill`."
                )

    @contextmanager
    def transaction(self, keys: Sequence[str]) -> Iterator[_RedisTransaction]:
        with _telling(), self._client.pipeline(transaction=True) as pipe:
            names = [_name("epc", key) for key in keys]
            journeys: list[bytes | None] = []
            if names:
                pipe.watch(*names)
                journeys = cast(Any, pipe.mget(names))
            transaction = _RedisTransaction(self._client, keys, journeys)
            yield transaction
            if transaction.changes is not None:
                pipe.multi()
                new = {key for key, content in zip(keys, journeys, strict=True) if content is None}
                grown = self._queue(pipe, transaction.changes, new)
                try:
                    answers = pipe.execute()
                except redis.WatchError as error:
                    raise Conflict from error
                transaction.versions = {lot: int(answers[place]) for lot, place in grown.items()}

    def _queue(self, pipe: Any, changes: Changes, new: set[str]) -> dict[str, int]:
        """Queue all commands; returns which answer gives the new version of each lot."""
        grown = {}
        for key, rows in changes.journeys.items():
            pipe.set(_name("epc", key), rows, ex=self._retention)
        by_lot: dict[str, list[str]] = {}
        for key in changes.journeys:
            if key in changes.lots:
                by_lot.setdefault(changes.lots[key], []).append(key)
        for lot, keys in by_lot.items():
            if lot in changes.moves:
                grown[lot] = len(pipe)
                pipe.incr(_name("version", lot))
                pipe.rpush(_name("changes", lot), changes.moves[lot])
                pipe.ltrim(_name("changes", lot), -_CHANGES_KEPT, -1)
            else:
                # Without its changes no copy can be brought up: a leap makes every process read the lot anew.
                pipe.incrby(_name("version", lot), _CHANGES_KEPT + 1)
                pipe.delete(_name("changes", lot))
            if some := [key for key in keys if key in new]:
                pipe.sadd(_name("lot", lot), *some)
        if by_lot:
            pipe.zadd(_name("lots"), dict.fromkeys(by_lot, changes.now))
        if new:
            pipe.incrby(_name("epcs"), len(new & changes.journeys.keys()))
        if changes.readings:
            pipe.hset(_name("readings"), mapping={str(number): text for number, text in changes.readings.items()})
        if changes.live:
            pipe.rpush(_name("live", str(changes.day)), *(orjson.dumps([epc, row.hex()]) for epc, row in changes.live))
            pipe.sadd(_name("live days"), changes.day)
        for alert in changes.alerts:
            content = orjson.dumps([getattr(alert, name) for name in _ALERT])
            pipe.xadd(_name("alerts"), {"alert": content}, maxlen=_ALERTS_KEPT, approximate=True)
        return grown

    # ------------------------------------------------------------------ looking

    def journeys(self, keys: Sequence[str]) -> list[bytes | None]:
        with _telling():
            return cast(Any, self._client.mget([_name("epc", key) for key in keys])) if keys else []

    def readings(self, ids: Sequence[int]) -> dict[int, str]:
        with _telling():
            texts = cast(Any, self._client.hmget(_name("readings"), [str(number) for number in ids])) if ids else []
        return {number: text.decode() for number, text in zip(ids, texts, strict=True) if text is not None}

    def some_readings(self, most: int) -> dict[int, str]:
        found = {}
        with _telling():
            for number, text in self._client.hscan_iter(_name("readings"), count=1000):
                found[int(number)] = text.decode()
                if len(found) == most:
                    break
        return found

    def recent_lots(self, most: int) -> list[str]:
        with _telling():
            return [lot.decode() for lot in cast(Any, self._client.zrevrange(_name("lots"), 0, most - 1))]

    def alerts(self, after: str | None, chosen: AlertFilter, most: int) -> tuple[list[Alert], str | None]:
        found: list[Alert] = []
        cursor = after
        while len(found) < most:
            start = f"({cursor}" if cursor else "-"
            with _telling():
                page = cast(Any, self._client.xrange(_name("alerts"), start, "+", _PAGE))
            for number, fields in page:
                values = orjson.loads(fields[b"alert"])
                facts = dict(zip(_ALERT, values, strict=True))
                alert = Alert(**(facts | {"scores": tuple(facts["scores"])}))
                cursor = number.decode()
                if chosen.takes(alert):
                    found.append(alert)
                    if len(found) == most:
                        break
            if len(page) < _PAGE:
                break
        return found, cursor

    def live_days(self) -> dict[int, int]:
        with _telling():
            days = sorted(int(day) for day in cast(Any, self._client.smembers(_name("live days"))))
            return {day: cast(int, self._client.llen(_name("live", str(day)))) for day in days}

    def live(self, day: int) -> list[tuple[str, bytes]]:
        with _telling():
            rows = cast(Any, self._client.lrange(_name("live", str(day)), 0, -1))
        return [(epc, bytes.fromhex(row)) for epc, row in map(orjson.loads, rows)]

    def sizes(self) -> dict[str, int]:
        with _telling():
            epcs, alerts = self._client.get(_name("epcs")), self._client.xlen(_name("alerts"))
        return {"epcs": int(cast(Any, epcs) or 0), "alerts": cast(int, alerts)}

    def prune(self, before: int) -> int:
        with _telling():
            self._client.xtrim(_name("alerts"), minid=str(before))
            for day in self.live_days():
                if day < before // 86_400_000:
                    self._client.delete(_name("live", str(day)))
                    self._client.srem(_name("live days"), day)
        return 0

    def close(self) -> None:
        self._client.close()


_ALERT = ("key", "time", "event_id", "reading", "location_id", "place", "labels", "scores", "method", "received")


class _RedisTransaction:
    def __init__(self, client: redis.Redis, keys: Sequence[str], journeys: list[bytes | None]) -> None:
        self.journeys = journeys
        self.versions: dict[str, int] = {}
        self.changes: Changes | None = None
        self._client = client
        self._keys = keys

    def lots(self, versions: Mapping[str, int | None]) -> dict[str, LotNews]:
        names = list(versions)
        found = {}
        for lot, (version, changes) in zip(names, self._versions(names), strict=True):
            known = versions[lot]
            if known is not None and 0 <= version - known <= len(changes):
                found[lot] = LotNews(version, changes[len(changes) - (version - known) :])
            else:
                found[lot] = self._anew(lot, version)
        return found

    def _versions(self, lots: Sequence[str]) -> list[tuple[int, list[bytes]]]:
        with self._client.pipeline(transaction=True) as pipe:
            for lot in lots:
                pipe.get(_name("version", lot))
                pipe.lrange(_name("changes", lot), 0, -1)
            answers = cast(Any, pipe.execute())
        return [(int(version or 0), changes) for version, changes in zip(answers[::2], answers[1::2], strict=True)]

    def _anew(self, lot: str, version: int) -> LotNews:
        """The lot's journeys at one version of it."""
        while True:
            keys = [key.decode() for key in cast(Any, self._client.smembers(_name("lot", lot)))]
            rows = cast(Any, self._client.mget([_name("epc", key) for key in keys])) if keys else []
            now = int(cast(Any, self._client.get(_name("version", lot))) or 0)
            if now == version:
                forgotten = [key for key, content in zip(keys, rows, strict=True) if content is None]
                if forgotten:
                    self._client.srem(_name("lot", lot), *forgotten)
                found = [(key, content) for key, content in zip(keys, rows, strict=True) if content is not None]
                return LotNews(version, journeys=found)
            version = now

    def write(self, changes: Changes) -> None:
        self.changes = changes


def _name(*words: str) -> str:
    return "barcode:" + ":".join(words)


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except redis.WatchError:
        raise
    except redis.RedisError as error:
        raise HistoryDown(f"Redis does not answer ({error})") from error
