"""Projects with a model in service, and nights that are taught something wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from barcode_pipeline import chain, retraining
from barcode_pipeline.configuration import Configuration
from barcode_pipeline.learning import TrainedModel
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.retraining import make_training_set, train
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.simulator import World, write_simulation
from barcode_pipeline.teachers.teacher import Lesson, Material
from barcode_pipeline.workspace import Workspace

CONFIGURATION = Configuration.model_validate(
    {
        "model": {"width": 32},
        "planting": {"passes": 1, "events": 0},
        "evaluation": {"bootstrap_replicates": 100, "suspicious_epcs": 3, "review_questions": 5},
        "nightly": {"live_events": 20_000, "replay_events": 10_000, "questions": 6000},
    }
)

Change = Callable[[Lesson, Material], Lesson]


def silent(_: str) -> None:
    pass


def made_project(root: Path, world: World, configuration: Configuration = CONFIGURATION) -> Workspace:
    """The data side of a simulated world."""
    workspace = Workspace(root, configuration)
    write_simulation(root, world)
    workspace.intake.take_in()
    days = workspace.intake.days()
    for make in (chain.make_merged, chain.make_enriched, chain.make_labels, chain.make_sequences):
        make(workspace, days)
    return workspace


def copied(workspace: Workspace, root: Path) -> Workspace:
    shutil.copytree(workspace.root, root, symlinks=True)
    return Workspace(root, workspace.configuration)


def night(workspace: Workspace, say: Callable[[str], None] = lambda _: None) -> TrainedModel:
    """The training set and the training of a night."""
    make_training_set(workspace, "night")
    return train(workspace, "night", Compute(), say)


def poisoned_night(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, change: Change) -> TrainedModel:
    """A night whose teachers say something else than they should."""
    taught = retraining.teach
    with monkeypatch.context() as patched:
        patched.setattr(retraining, "teach", lambda teachers, material: change(taught(teachers, material), material))
        return night(workspace)


def flipped(share: float) -> Change:
    """One label of a share of all events says the opposite."""

    def change(lesson: Lesson, _: Material) -> Lesson:
        random, targets = np.random.default_rng(5), lesson.targets.copy()
        rows = np.flatnonzero(random.random(len(lesson)) < share)
        targets[rows, random.integers(0, 5, len(rows))] ^= True
        return replace(lesson, targets=targets)

    return change


def flipped_family(lesson: Lesson, material: Material) -> Lesson:
    """All labels of the lots of one product say the opposite."""
    products = [".".join(code.split(".")[1:3]) for code in material.events.codes.to_pylist()]
    product = np.array([*products, ""], dtype=object)[material.events.epc[np.maximum(lesson.row, 0)]]
    names, counts = np.unique(product, return_counts=True)
    family = (product == names[counts.argmax()]) & (lesson.row >= 0)
    return replace(lesson, targets=lesson.targets ^ family[:, None])


def constant_feature(lesson: Lesson, _: Material) -> Lesson:
    """The time since the previous event is the same for all."""
    values = np.array(lesson.journeys.values)
    values[:, FEATURE_NAMES.index("log_hours_since_previous")] = 1
    return replace(lesson, journeys=replace(lesson.journeys, values=values))
