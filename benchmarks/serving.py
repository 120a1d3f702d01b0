"""The live API over HTTP: latency of one client, throughput of eight, and what the size of the history costs.

The service runs as `barcode-pipeline serve` in a process of its own, the load generator in another, `python -m
benchmarks.serving`; both share the machine. Requests are prepared beforehand and differ in every event.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from barcode_pipeline import chain
from barcode_pipeline.errors import UserError
from barcode_pipeline.learning import train_baselines, train_model
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.serving import nightly
from barcode_pipeline.serving.readings import clean_of
from barcode_pipeline.serving.rows import unpack
from barcode_pipeline.serving.sqlite_history import SqliteHistory
from barcode_pipeline.serving.stores import history_file
from barcode_pipeline.taking_in import dates_with_rows, take_in
from barcode_pipeline.workspace import Workspace
from benchmarks.results import REPOSITORY, Figure, rounded
from benchmarks.worlds import Worlds

EVENTS, EPCS = 50, 40
REQUESTS, CLIENTS, SECONDS = 1000, 8, 30
FEW_EPCS = 1000
_TRAINING_EVENTS = 40_000
_CONFIGURATION = "[training]\nepochs = 2\n"
_PATH = "/api/manager/export-and-analyze-async/lstm"


def serving(worlds: Worlds) -> dict[str, Figure]:
    """All figures of the live API."""
    workspace = filled(worlds, "api", worlds.events)
    few = filled(worlds, "api_few", worlds.events, FEW_EPCS)
    ratios, latencies = [], []
    for round_ in range(3):
        with served(workspace) as (port, _):
            many_ms = _latency(workspace, port, REQUESTS, seed=round_)
        with served(few) as (port, _):
            few_ms = _latency(few, port, REQUESTS, seed=round_)
        latencies.append(many_ms)
        ratios.append(float(np.median(many_ms["ms"]) / np.median(few_ms["ms"])))
    speeds = []
    for round_ in range(3):
        with served(workspace) as (port, _):
            speeds.append(_throughput(workspace, port, seed=10 + round_))
            stages = _stages(port)
    p50s, p99s = ([float(np.percentile(some["ms"], p)) for some in latencies] for p in (50, 99))
    history = f"a history of {latencies[0]['epcs']:,} EPCs in SQLite"
    asked = f"`/lstm` over HTTP, {EVENTS} new events of {EPCS} EPCs a request drawn evenly from {history}"
    how = f"{asked}, one client, {REQUESTS:,} requests right after a restart; median of three such runs."
    return {
        "api_p50_ms_50_events": Figure(
            statistics.median(p50s), "ms", how, at_most=8, more={"rounds": [*map(rounded, p50s)]}
        ),
        "api_p99_ms_50_events": Figure(
            statistics.median(p99s), "ms", how, at_most=40, more={"rounds": [*map(rounded, p99s)]}
        ),
        "api_events_per_second": Figure(
            statistics.median(speeds), "events/s",
            f"{asked}, {CLIENTS} clients for {SECONDS} s right after a restart, load generator on the same machine; "
            "median of three.",
            at_least=5000, more={"rounds": [*map(rounded, speeds)], "mean_ms_by_stage_of_a_step": stages},
        ),
        "api_history_latency_ratio": Figure(
            statistics.median(ratios), "ratio",
            f"p50 with {latencies[0]['epcs']:,} EPCs in the history over p50 with {FEW_EPCS:,}, both after a restart, "
            "same requests otherwise; median of three pairs.",
            at_most=1.3, more={"rounds": [*map(rounded, ratios)]},
        ),
    }  # fmt: skip


def filled(worlds: Worlds, purpose: str, events: int, epcs: int | None = None) -> Workspace:
    """A project with a model and a filled history; of some EPCs alone where `epcs` is given."""
    trained = worlds.workspace("api_model", min(events, _TRAINING_EVENTS)) if not _model(worlds) else None
    if trained is not None:
        (trained.root / "configuration.toml").write_text(_CONFIGURATION)
        trained = Workspace.open(trained.root)
        take_in(trained)
        days = dates_with_rows(trained)
        for make in (chain.make_merged, chain.make_enriched, chain.make_labels, chain.make_sequences):
            make(trained, days)
        chain.make_split(trained)
        train_model(trained, Compute(), lambda _: None)
        train_baselines(trained, Compute(), lambda _: None)
    workspace = worlds.workspace(purpose, events)
    shutil.copytree(_model(worlds) or Path(), workspace.models, dirs_exist_ok=True)
    take_in(workspace)
    chain.make_merged(workspace, dates_with_rows(workspace))
    if epcs is not None:
        _keep_epcs(workspace, epcs)
    nightly.fill(workspace)
    return workspace


def _model(worlds: Worlds) -> Path | None:
    return next((worlds.folder / "api_model").glob("*/models"), None)


def _keep_epcs(workspace: Workspace, epcs: int) -> None:
    """Leave some EPCs, drawn evenly, in the merged events."""
    days = workspace.merged.days()
    table = workspace.merged.read(days)
    code = table.column("epc_code").combine_chunks().dictionary_encode()
    chosen = np.random.default_rng(0).choice(len(code.dictionary), epcs, replace=False)
    kept = np.isin(code.indices.fill_null(-1).to_numpy(zero_copy_only=False), chosen)
    some = table.filter(pa.array(kept))
    day = some.column("event_time").to_numpy().astype("datetime64[D]").astype(np.int64)
    workspace.merged.write(some, day, days)


# ---------------------------------------------------------------------- the service


@contextmanager
def served(workspace: Workspace) -> Iterator[tuple[int, int]]:
    """The service in a process of its own, over a copy of the filled history: its port, and the process."""
    file = history_file(workspace)
    kept = file.with_name("filled")
    if not kept.exists():
        shutil.copy(file, kept)
    for old in file.parent.glob("history.sqlite*"):
        old.unlink()
    shutil.copy(kept, file)
    port = free_port()
    environment = {**os.environ, "BARCODE_PIPELINE_ROOT": str(workspace.root)}
    command = [sys.executable, "-m", "barcode_pipeline.cli", "serve", "--port", str(port)]
    with (file.parent / "serve.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=log)
    try:
        _wait_until_ready(port, process)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise UserError(f"The service ended with {process.returncode}: its log stands beside its history.")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready") as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise UserError("The service did not become ready within two minutes.")


def _stages(port: int) -> dict[str, float]:
    """Mean ms of each stage of a judging step, as the service counts them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
    name = "barcode_pipeline_stage_seconds"
    stages = [key.split('"')[1] for key in values if key.startswith(f"{name}_sum")]
    return {
        stage: rounded(1000 * values[f'{name}_sum{{stage="{stage}"}}'] / values[f'{name}_count{{stage="{stage}"}}'])
        for stage in stages
    }


# ---------------------------------------------------------------------- the load


@dataclass(frozen=True)
class _Known:
    """What the history knows of each EPC: the place, step and type of its last scan, and its time."""

    codes: list[str]
    last: np.ndarray
    readings: dict[int, tuple[Any, ...]]


def _known(workspace: Workspace) -> _Known:
    history = SqliteHistory(history_file(workspace).with_name("filled"))
    connection = history._connection()
    codes = [key for (key,) in connection.execute("SELECT key FROM journeys ORDER BY key")]
    last = np.zeros(len(codes), dtype=[("time", "<i8"), ("reading", "<u8")])
    for start in range(0, len(codes), 5000):
        rows, key = unpack(history.journeys(codes[start : start + 5000]))
        order = np.lexsort((rows["time"], key))
        ends = order[np.flatnonzero(np.append(np.diff(key[order]) != 0, True))]
        last["time"][start + key[ends]], last["reading"][start + key[ends]] = rows["time"][ends], rows["reading"][ends]
    texts = history.some_readings(10**6)
    history.close()
    return _Known(codes, last, {number: clean_of(text) for number, text in texts.items()})


def _bodies(known: _Known, requests: int, seed: int) -> list[bytes]:
    """Requests of the EPCs' next events, each hours after the one before: out where the last was in, else in."""
    random = np.random.default_rng(seed)
    number, bodies = 10**9 * (seed + 1), []
    for _ in range(requests):
        chosen = random.choice(len(known.codes), min(EPCS, len(known.codes)), replace=False)
        rows: list[dict[str, Any]] = []
        for epc in [*chosen, *chosen[: EVENTS - EPCS]]:
            number += 1
            time_, reading = known.last[epc]
            location_id, location_text, name, step, kind = known.readings[int(reading)]
            later = int(time_) + 3600 + int(random.integers(0, 7200))
            known.last["time"][epc] = later
            swapped = (
                (kind or "").replace("_Inbound", "_Out").replace("_Outbound", "_Inbound").replace("_Out", "_Outbound")
            )
            rows.append(
                {"event_id": number, "file_id": seed, "epc_code": known.codes[epc], "scan_location": name,
                 "location_id": location_id if location_id is not None else location_text, "business_step": step,
                 "event_type": swapped, "event_time": str(np.datetime64(later, "s"))}
            )  # fmt: skip
        bodies.append(json.dumps({"data": rows}).encode())
    return bodies


def _latency(workspace: Workspace, port: int, requests: int, seed: int) -> dict[str, Any]:
    known = _known(workspace)
    return _load(port, _bodies(known, requests, seed), 1, None) | {"epcs": len(known.codes)}


def _throughput(workspace: Workspace, port: int, seed: int) -> float:
    found = _load(port, _bodies(_known(workspace), 500 * SECONDS, seed), CLIENTS, SECONDS)
    return float(len(found["ms"]) * EVENTS / found["seconds"])


def _load(port: int, bodies: list[bytes], clients: int, seconds: float | None) -> dict[str, Any]:
    """Send them from another process, until all are answered or the time is up."""
    command = [sys.executable, "-m", "benchmarks.serving", str(port), str(clients), str(seconds or 0)]
    done = subprocess.run(command, cwd=REPOSITORY, input=b"\n".join(bodies), stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise UserError(f"The load generator ended with {done.returncode}: what went wrong stands above.")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def client(port: int, bodies: Iterator[bytes], until: float | None, note: Callable[[float], None]) -> None:
    """Send one request after the other, and note the ms of each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for body in bodies:
        started = time.perf_counter()
        if until is not None and started > until:
            break
        head = f"POST {_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in answer.split(b"\r\n", 1)[0]:
            raise RuntimeError(answer.decode())
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        note(1000 * (time.perf_counter() - started))
    writer.close()


async def _generate(port: int, clients: int, seconds: float, bodies: list[bytes]) -> dict[str, Any]:
    ms: list[float] = []
    shared = iter(bodies)
    started = time.perf_counter()
    until = started + seconds if seconds else None
    await asyncio.gather(*(client(port, shared, until, ms.append) for _ in range(clients)))
    return {"ms": ms, "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    to, many, long = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(asyncio.run(_generate(to, many, long, sys.stdin.buffer.read().splitlines()))))
