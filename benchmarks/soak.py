"""The live API for minutes at full load: whether latency and memory stay as they are.

A world's events come in the order of time, over and over, each time of other products: goods come and go, no journey
grows without end, and the history grows all the while.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from barcode_pipeline.errors import UserError
from barcode_pipeline.serving.stores import history_file
from barcode_pipeline.taking_in import take_in
from barcode_pipeline.workspace import Workspace
from benchmarks.results import REPOSITORY, Figure, rounded
from benchmarks.serving import CLIENTS, EVENTS, client, filled, served
from benchmarks.worlds import Worlds

SECONDS = 600
_LOAD_EVENTS = 100_000
_PIECES = 10
_SAMPLE_SECONDS = 1.0
_COLUMNS = ("epc_code", "location_id", "scan_location", "business_step", "event_type")


def soak(worlds: Worlds, seconds: float = SECONDS) -> dict[str, Figure]:
    """How latency and memory of the service change in `seconds` at full load."""
    workspace = filled(worlds, "soak", worlds.events)
    rows = worlds.folder / "soak.jsonl"
    _write_rows(worlds.workspace("soak_load", min(worlds.events, _LOAD_EVENTS)), rows)
    with served(workspace) as (port, service):
        answered, memory = _loaded(port, service, rows, seconds)
        grown = _size(history_file(workspace))
        log = _size(history_file(workspace).with_name("history.sqlite-wal"))
    pieces = by_piece(answered, memory, seconds)
    # The first three tenths fill what is bounded: lots in memory, SQLite's pages.
    early, late = pieces[3:6], pieces[-3:]
    ratio = float(np.median([piece["p50_ms"] for piece in late]) / np.median([piece["p50_ms"] for piece in early]))
    after = memory[memory[:, 0] >= 3 * seconds / _PIECES]
    slope = float(60 * np.polyfit(after[:, 0], after[:, 3], 1)[0])
    how = (
        f"`/lstm` over HTTP for {seconds:g} s, {CLIENTS} clients that send {EVENTS} new events a request without a "
        "pause, in order of time, of products that change; load generator on the same machine. "
        f"{len(answered) * EVENTS:,} events; in the end the history was {grown:,.0f} MB and its log {log:,.0f} MB."
    )
    latency = f"{how} p50 of the last three tenths over that of the fourth to sixth."
    held = (
        "Memory of the service that no file backs, in the same run, a line through all but the first three tenths; "
        f"RSS and PSS count what is mapped of the history's file too, up to 1 GB of it. {how}"
    )
    return {
        "soak": Figure(ratio, "ratio", latency, more={"pieces_of_time": pieces}),
        "soak_mb_per_minute": Figure(slope, "MB/min", held),
    }


def by_piece(answered: np.ndarray, memory: np.ndarray, seconds: float) -> list[dict[str, float]]:
    """Ten pieces of the time (a minute each of ten), figures of each.

    answered: (n, 2) end of each request in seconds, its ms. memory: (m, 4) second, and `_memory` in MB.
    """
    edges = np.linspace(0, seconds, _PIECES + 1)
    pieces = []
    for first, last in pairwise(edges.tolist()):
        ms = answered[(answered[:, 0] >= first) & (answered[:, 0] < last), 1]
        held = memory[(memory[:, 0] >= first) & (memory[:, 0] < last)]
        if not len(ms) or not len(held):
            raise UserError(f"Nothing was answered from second {first:g} to {last:g}: the service's log says why.")
        found = {
            "p50_ms": np.percentile(ms, 50),
            "p99_ms": np.percentile(ms, 99),
            "events_per_second": len(ms) * EVENTS / (last - first),
            "rss_mb": np.median(held[:, 1]),
            "pss_mb": np.median(held[:, 2]),
            "own_mb": np.median(held[:, 3]),
        }
        pieces.append({"to_second": last, **{name: rounded(float(value)) for name, value in found.items()}})
        print(", ".join(f"{name} {value:g}" for name, value in pieces[-1].items()), flush=True)
    return pieces


# ---------------------------------------------------------------------- watching


def _loaded(port: int, service: int, rows: Path, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """(requests answered, memory of the process `service`) while another process sends them; see `by_piece`."""
    command = [sys.executable, "-m", "benchmarks.soak", str(port), str(seconds), str(rows)]
    load = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    memory: list[tuple[float, ...]] = []
    try:
        assert load.stdout is not None
        load.stdout.readline()  # it has read its rows, and begins
        started = time.perf_counter()
        while load.poll() is None and (now := time.perf_counter() - started) < seconds:
            memory.append((now, *_memory(service)))
            time.sleep(_SAMPLE_SECONDS)
        told, _ = load.communicate()
    finally:
        load.kill()
    if load.returncode:
        raise UserError(f"The load generator ended with {load.returncode}: what went wrong stands above.")
    return np.array(json.loads(told)), np.array(memory)


def _memory(process: int) -> list[float]:
    """RSS, PSS, and what of it no file backs, MB."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    kilobytes = {line.partition(":")[0]: line.split()[1] for line in lines[1:]}
    return [int(kilobytes[name]) / 1024 for name in ("Rss", "Pss", "Pss_Anon")]


def _size(path: Path) -> float:
    """MB of a file, 0 where there is none."""
    return path.stat().st_size / 2**20 if path.exists() else 0.0


# ---------------------------------------------------------------------- the load


def _write_rows(workspace: Workspace, path: Path) -> None:
    """The events of a world in the order of time, one a line, as a client sends them but for their ids."""
    take_in(workspace)
    table, _, _ = workspace.intake.read(workspace.intake.days())
    table = table.sort_by("event_time")
    with path.open("w", encoding="utf-8") as stream:
        for row in table.to_pylist():
            sent = {name: row[name] for name in _COLUMNS} | {"event_time": row["event_time"].isoformat(), "file_id": 1}
            stream.write(json.dumps(sent | {"location_id": row["location_id"] or row["location_text"]}) + "\n")


def bodies(rows: list[dict[str, Any]]) -> Iterator[bytes]:
    """Requests without end: the rows over and over."""
    for start in count(0, EVENTS):
        data = []
        for number in range(start, start + EVENTS):
            again, row = divmod(number, len(rows))
            data.append(rows[row] | {"event_id": number, "epc_code": _of_another_product(rows[row]["epc_code"], again)})
        yield json.dumps({"data": data}).encode()


def _of_another_product(code: str | None, again: int) -> str | None:
    parts = code.split(".") if code else []
    if len(parts) != 6 or not parts[2].isdecimal():
        return code
    parts[2] = f"{(int(parts[2]) + 10_007 * again) % 10_000_000:07}"
    return ".".join(parts)


async def _send(port: int, seconds: float, rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
    answered: list[tuple[float, float]] = []
    started = time.perf_counter()

    def note(ms: float) -> None:
        answered.append((time.perf_counter() - started, ms))

    shared = bodies(rows)
    await asyncio.gather(*(client(port, shared, started + seconds, note) for _ in range(CLIENTS)))
    return answered


if __name__ == "__main__":
    with open(sys.argv[3], encoding="utf-8") as lines:
        given = [json.loads(line) for line in lines]
    print("ready", flush=True)
    print(json.dumps(asyncio.run(_send(int(sys.argv[1]), float(sys.argv[2]), given))))
