"""One small project, from simulated files to the report, for the tests that look at the whole."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
import torch

from barcode_pipeline import chain
from barcode_pipeline.configuration import Configuration
from barcode_pipeline.learning import TrainedModel, make_scores, train_baselines, train_model
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.reporting import Report, make_report
from barcode_pipeline.simulator import AnomalyRates, World, write_simulation
from barcode_pipeline.workspace import Workspace

# Matrices as small as these lose more by being shared among threads than they gain, above all beside other work.
torch.set_num_threads(1)

CONFIGURATION = Configuration.model_validate(
    {
        "training": {"epochs": 3, "learning_rate": 0.01},
        "model": {"width": 32},
        "planting": {"events": 0},
        "evaluation": {"bootstrap_replicates": 20, "suspicious_epcs": 6},
    }
)

# Six times the usual anomalies: so few events would else hold too few to learn from and to judge by.
WORLD = World(events=5000, seed=11, anomalies=AnomalyRates(**{k: 6 * v for k, v in asdict(AnomalyRates()).items()}))


@dataclass
class SmallProject:
    """What became of each step. Tests that change a file ask for `copy_of_project`."""

    workspace: Workspace
    days: list[int]
    trained: TrainedModel
    seconds: dict[str, float]
    rows: dict[int, int]
    report: Report
    said: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def small_project(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """About 5,000 events, all models trained, all dates scored, one report."""
    workspace = Workspace(tmp_path_factory.mktemp("project"), CONFIGURATION)
    write_simulation(workspace.root, WORLD)
    workspace.intake.take_in()
    days = workspace.intake.days()
    for make in (chain.make_merged, chain.make_enriched, chain.make_labels, chain.make_sequences):
        make(workspace, days)
    chain.make_split(workspace)
    said: list[str] = []
    trained = train_model(workspace, Compute(), said.append)
    seconds = train_baselines(workspace, Compute(), said.append)
    rows = make_scores(workspace, days)
    report = make_report(workspace, "20250901-120000", "2025-09-01 12:00:00", said.append)
    return SmallProject(workspace, days, trained, seconds, rows, report, said)


@pytest.fixture
def copy_of_project(small_project: SmallProject, tmp_path: Path) -> Workspace:
    """The same project in a folder of the test's own."""
    root = tmp_path / "project"
    shutil.copytree(small_project.workspace.root, root, symlinks=True)
    return Workspace(root, small_project.workspace.configuration)
