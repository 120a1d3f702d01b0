"""A small project folder with a simulated world, and runs of the assets in it, in process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from barcode_pipeline.definitions import build_definitions
from barcode_pipeline.orchestration.resources import ComputeResource, WorkspaceResource
from barcode_pipeline.simulator import World, write_simulation
from barcode_pipeline.workspace import Workspace

CONFIGURATION = """
[training]
epochs = 2
device = "cpu"

[planting]
events = 0

[evaluation]
bootstrap_replicates = 20
suspicious_epcs = 3
"""
DATES = ("2025-07-01", "2025-08-31")
LEARNING_ASSETS = ("train_eval_split", "lstm_model", "baseline_models", "event_scores", "alerts", "evaluation_report")
DATA_ASSETS = ("merged_events", "enriched_events", "rule_labels", "epc_sequences")


def make_project(root: Path, events: int = 3_000, seed: int = 5) -> Path:
    """A project folder with a small simulated world and quick settings."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "configuration.toml").write_text(CONFIGURATION)
    write_simulation(root, World(events=events, seed=seed))
    return root


def copied(project: Path, target: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(project, target, symlinks=True)
    return target


def definitions(root: Path, **compute: str) -> dg.Definitions:
    return build_definitions(WorkspaceResource(root=str(root)), ComputeResource(**compute))


def workspace(root: Path) -> Workspace:
    return Workspace.open(root)


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(
    root: Path,
    selection: Sequence[str],
    instance: dg.DagsterInstance,
    dates: tuple[str, str] | str | None = None,
    **compute: str,
) -> dg.ExecuteInProcessResult:
    """Materialise assets with their checks: over a range of dates, on one, or unpartitioned."""
    job = definitions(root, **compute).resolve_job_def("chain")
    tags = {}
    if isinstance(dates, tuple):
        tags = {"dagster/asset_partition_range_start": dates[0], "dagster/asset_partition_range_end": dates[1]}
    return job.execute_in_process(
        instance=instance,
        partition_key=dates if isinstance(dates, str) else None,
        tags=tags,
        asset_selection=[dg.AssetKey(name) for name in selection],
        raise_on_error=False,
    )
