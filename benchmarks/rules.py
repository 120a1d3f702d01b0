"""The speed of the five rules on one core, in a process of its own: how many threads there are is settled at start.

`python -m benchmarks.rules FOLDER` is that process.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from barcode_pipeline import chain
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.merging import number_events, read_events
from barcode_pipeline.events.text import dictionary_array
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.taking_in import dates_with_rows, take_in
from barcode_pipeline.workspace import Workspace
from benchmarks.results import REPOSITORY, Figure, rounded, usable_cores
from benchmarks.worlds import Worlds

ROUNDS = 7
THREAD_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_IO_THREADS")


def rules_events_per_second(worlds: Worlds) -> dict[str, Figure]:
    """Events that the five rules label and score per second, on one core."""
    workspace = worlds.workspace("rules_events_per_second")
    take_in(workspace)
    chain.make_merged(workspace, dates_with_rows(workspace))
    environment = {**os.environ, **dict.fromkeys(THREAD_POOLS, "1")}
    command = [sys.executable, "-m", "benchmarks.rules", str(workspace.root)]
    with on_one_core():
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise UserError(f"`{' '.join(command)}` ended with {done.returncode}: what went wrong stands above.")
    found = json.loads(done.stdout)
    seconds = found["seconds"]
    how = (
        f"{found['events']:,} simulated events of {found['codes']:,} EPCs, shuffled, as columns in memory (EPC, place, "
        "step and type dictionary-encoded) → five scores and five labels of each: reading the dictionaries, parsing "
        "the EPC codes and sorting by journey included. A process on one core with every thread pool 1, median of "
        f"{ROUNDS} after a warm-up."
    )
    more = {"seconds": [*map(rounded, seconds)]}
    speed = found["events"] / statistics.median(seconds)
    return {"rules_events_per_second": Figure(speed, "events/s", how, at_least=5_000_000, more=more)}


@contextmanager
def on_one_core() -> Iterator[None]:
    """Within the block this thread, and every process it starts, runs on one core, where the system can do that."""
    before = usable_cores()
    if not before:
        yield
        return
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure(workspace: Workspace) -> dict[str, object]:
    """Time the rules on the merged events of a workspace, shuffled, after one warm-up."""
    settings, reference = workspace.configuration.rules.settings(), workspace.reference
    table = workspace.merged.read(workspace.merged.days(), chain.READ_COLUMNS)
    shuffled = np.random.default_rng(0).permutation(len(table))
    table = table.take(pa.array(shuffled)).combine_chunks()
    known = read_events(table, reference.sites)
    words = {name: dictionary_array(table.column(name)) for name in ("epc_code", "scan_location", "business_step")}
    kind = dictionary_array(table.column("event_type"))
    seconds = []
    for _ in range(1 + ROUNDS):
        started = time.perf_counter()
        events = number_events(
            words["epc_code"], known.time, known.place, known.places, words["scan_location"],
            words["business_step"], kind, known.event_id,
        )  # fmt: skip
        score_events(events, reference, settings).labels(settings)
        seconds.append(time.perf_counter() - started)
    return {"events": len(table), "codes": len(known.codes), "seconds": seconds[1:]}


if __name__ == "__main__":
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    print(json.dumps(measure(Workspace.open(Path(sys.argv[1])))))
