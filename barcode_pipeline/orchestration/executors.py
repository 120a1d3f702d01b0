"""How the steps of a run are carried out. No asset depends on it."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from barcode_pipeline.errors import UserError
from barcode_pipeline.orchestration.dead_runs import ending_dead_runs

EXECUTOR_VARIABLE = "BARCODE_PIPELINE_EXECUTOR"


def executor(lock: Path | None = None) -> dg.ExecutorDefinition:
    """In one process; with BARCODE_PIPELINE_EXECUTOR=multiprocess, a process per step, forked from a warm one.

    lock: of the data that runs work on, one at a time.

    The chain is close to linear: a process per step costs seconds and gains little.
    """
    name = os.environ.get(EXECUTOR_VARIABLE) or "in_process"
    if name == "in_process":
        return ending_dead_runs(dg.in_process_executor, lock)
    if name == "multiprocess":
        return ending_dead_runs(dg.multiprocess_executor, lock).configured(
            {"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": ["barcode_pipeline.definitions"]}}}
        )
    raise UserError(f"{EXECUTOR_VARIABLE} is {name!r}: set it to in_process or multiprocess.")
