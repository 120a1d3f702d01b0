"""Figures of the data plane: raw files to the training set on disk, by the functions that the assets call."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from barcode_pipeline import chain
from barcode_pipeline.taking_in import dates_with_rows, take_in
from barcode_pipeline.workspace import Workspace
from benchmarks.results import Figure, rounded
from benchmarks.worlds import Worlds

ROUNDS = 3
Stages = dict[str, float]


def data_plane_ratio(worlds: Worlds) -> dict[str, Figure]:
    """Our data plane over the floor: pyarrow reading the same files and writing them once as Parquet."""
    workspace = worlds.workspace("data_plane_ratio")
    floor = workspace.root / "floor"
    run_data_plane(workspace)
    run_floor(workspace, floor)
    ours: list[Stages] = []
    floors: list[float] = []
    for _ in range(ROUNDS):
        ours.append(run_data_plane(workspace))
        floors.append(run_floor(workspace, floor))
    totals = [sum(stages.values()) for stages in ours]
    how = (
        f"{worlds.events:,} simulated events (seed 1), {len(workspace.sequences.days())} dates: raw files → intake, "
        "merged, enriched, labels, sequences, split, all on disk, by the functions that the assets call, over "
        "pyarrow.csv reading the same files and pyarrow.parquet writing each once, both with their defaults on all "
        f"cores. Median ratio of {ROUNDS} rounds, ours and the floor in turn, both warmed up."
    )
    more = {"stages": _middle(ours), "seconds": [*map(rounded, totals)], "floor_seconds": [*map(rounded, floors)]}
    ratio = statistics.median(total / base for total, base in zip(totals, floors, strict=True))
    return {"data_plane_ratio": Figure(ratio, "ratio", how, at_most=4, more=more)}


def growth_ratio(worlds: Worlds) -> dict[str, Figure]:
    """Seconds of the data plane at twice the events over those at once."""
    once, twice = (worlds.workspace("growth_ratio", worlds.events * times) for times in (1, 2))
    for workspace in (once, twice):
        run_data_plane(workspace)
    small: list[Stages] = []
    large: list[Stages] = []
    for _ in range(ROUNDS):
        small.append(run_data_plane(once))
        large.append(run_data_plane(twice))
    seconds = [[sum(stages.values()) for stages in some] for some in (small, large)]
    how = (
        f"Seconds of the data plane (as in data_plane_ratio) at {2 * worlds.events:,} simulated events over those at "
        f"{worlds.events:,}. Median ratio of {ROUNDS} rounds, one size after the other, both warmed up."
    )
    more = {
        "stages": _middle(small),
        "stages_twice": _middle(large),
        "seconds": [*map(rounded, seconds[0])],
        "seconds_twice": [*map(rounded, seconds[1])],
    }
    ratio = statistics.median(double / single for single, double in zip(*seconds, strict=True))
    return {"growth_ratio": Figure(ratio, "ratio", how, at_most=2.2, more=more)}


def run_data_plane(workspace: Workspace) -> Stages:
    """From nothing but raw files to the training set; returns the seconds of each stage."""
    for folder in (workspace.interim, workspace.quarantine, workspace.training):
        _set_aside(workspace, folder)
    gc.collect()
    workspace = Workspace.open(workspace.root)  # The assets open it anew too, and read the reference tables.
    stages: Stages = {}

    def timed(name: str, step: Callable[[], object]) -> None:
        started = time.perf_counter()
        step()
        stages[name] = time.perf_counter() - started

    timed("intake", lambda: take_in(workspace))
    days = dates_with_rows(workspace)
    timed("merged", lambda: chain.make_merged(workspace, days))
    timed("enriched", lambda: chain.make_enriched(workspace, days))
    timed("labels", lambda: chain.make_labels(workspace, days))
    timed("sequences", lambda: chain.make_sequences(workspace, days))
    timed("split", lambda: chain.make_split(workspace))
    return stages


def run_floor(workspace: Workspace, folder: Path) -> float:
    """Seconds that pyarrow takes to read the raw files and to write each as Parquet."""
    _set_aside(workspace, folder)
    folder.mkdir()
    gc.collect()
    started = time.perf_counter()
    for path in workspace.intake.raw_files():
        table = pacsv.read_csv(path, parse_options=pacsv.ParseOptions(delimiter="\t"))
        pq.write_table(table, folder / f"{path.stem}.parquet")
    return time.perf_counter() - started


def _set_aside(workspace: Workspace, folder: Path) -> None:
    """Move what the round before has left away. No user's run begins by deleting a thousand files, and for some
    seconds after that ext4 looks twice at every place that became free."""
    if folder.exists():
        aside = workspace.root / "rounds_before"
        aside.mkdir(exist_ok=True)
        folder.rename(aside / f"{folder.name}_{len(list(aside.iterdir()))}")


def _middle(rounds: list[Stages]) -> Stages:
    """Median seconds of each stage."""
    return {name: rounded(statistics.median(stages[name] for stages in rounds)) for name in rounds[0]}
