"""Where live history should lie: SQLite, Redis, or the nightly Parquet itself. Reading and writing, no judging."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import redis

from barcode_pipeline import chain
from barcode_pipeline.serving import nightly
from barcode_pipeline.serving.fill import COLUMNS
from barcode_pipeline.serving.history import LIVE, Changes, History
from barcode_pipeline.serving.redis_history import RedisHistory
from barcode_pipeline.serving.sqlite_history import SqliteHistory
from barcode_pipeline.serving.stores import history_file
from barcode_pipeline.taking_in import dates_with_rows, take_in
from barcode_pipeline.workspace import Workspace
from benchmarks.results import Figure, rounded
from benchmarks.serving import free_port
from benchmarks.worlds import Worlds

SIZES = (1, 50, 1000)
_ROUNDS = {1: 200, 50: 100, 1000: 15}
_PARQUET_ROUNDS = 3


def history_stores(worlds: Worlds) -> dict[str, Figure]:
    """ms to read the journeys of some EPCs and write them back with what came, by store and number of events."""
    workspace = worlds.workspace("api_history_stores", worlds.events)
    take_in(workspace)
    chain.make_merged(workspace, dates_with_rows(workspace))
    nightly.fill(workspace)
    lite = SqliteHistory(history_file(workspace))
    keys = [key for (key,) in lite._connection().execute("SELECT key FROM journeys ORDER BY key")]
    found = {"sqlite": _times(lite, keys)}
    if shutil.which("redis-server"):
        with _redis(worlds.folder) as url:
            other = RedisHistory(url)
            _copy(lite, other, keys)
            found["redis"] = _times(other, keys)
            other.close()
    found["parquet, reading alone"] = _parquet_times(workspace, keys)
    lite.close()
    how = (
        f"Median ms of one transaction: journeys of n of {len(keys):,} EPCs, drawn evenly, read and written back with "
        "n live scans, n = 50 for the value. Redis on this machine with an append-only file, fsync always. Parquet: "
        "the rows of n EPCs out of the merged events of all dates, by a filter that the files' statistics serve."
    )
    value = found["sqlite"]["50"]
    return {"api_history_ms_50_events": Figure(value, "ms", how, more={"ms_by_store_and_events": found})}


def _times(history: History, keys: list[str]) -> dict[str, float]:
    random = np.random.default_rng(0)
    live = np.zeros(1, LIVE).tobytes()

    def once(size: int) -> None:
        chosen = [keys[place] for place in random.choice(len(keys), min(size, len(keys)), replace=False)]
        with history.transaction(chosen) as transaction:
            journeys = {key: rows or b"" for key, rows in zip(chosen, transaction.journeys, strict=True)}
            scans = [(key, live) for key in chosen]
            transaction.write(Changes(journeys, live=scans, day=20_000, now=time.time_ns() // 10**6))

    return {str(size): _median_ms(lambda size=size: once(size), _ROUNDS[size]) for size in SIZES}  # type: ignore[misc]


def _parquet_times(workspace: Workspace, keys: list[str]) -> dict[str, float]:
    random = np.random.default_rng(0)
    files = [str(workspace.merged.path(day)) for day in workspace.merged.days()]

    def once(size: int) -> None:
        chosen = [keys[place] for place in random.choice(len(keys), min(size, len(keys)), replace=False)]
        for file in files:
            pq.read_table(file, columns=list(COLUMNS), filters=[("epc_code", "in", chosen)])

    return {str(size): _median_ms(lambda size=size: once(size), _PARQUET_ROUNDS) for size in SIZES}  # type: ignore[misc]


def _median_ms(once: Callable[[], None], rounds: int) -> float:
    once()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - started)
    return rounded(1000 * statistics.median(seconds))


def _copy(source: History, target: History, keys: list[str]) -> None:
    for start in range(0, len(keys), 5000):
        some = keys[start : start + 5000]
        with target.transaction(some) as transaction:
            rows = source.journeys(some)
            transaction.write(Changes({key: row or b"" for key, row in zip(some, rows, strict=True)}, now=1))


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    port, place = free_port(), folder / "redis"
    place.mkdir(exist_ok=True)
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(place), "--save", "",
               "--appendonly", "yes", "--appendfsync", "always"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                redis.Redis(port=port).ping()
                break
            except redis.RedisError:
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()
