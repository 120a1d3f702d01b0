"""Nights that are killed at random moments, each followed by the next night: it ends where undisturbed nights end."""

from __future__ import annotations

import datetime
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from barcode_pipeline.learning import train_baselines
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.nightly import note_model
from barcode_pipeline.retraining import make_training_set, train
from barcode_pipeline.simulator import World, write_simulation
from barcode_pipeline.stale_dates import stale_dates
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.events.projects import assert_nothing_is_lost, interim_bytes
from barcode_pipeline_tests.nightly.nights import MAKERS
from barcode_pipeline_tests.nightly.retraining_projects import silent
from barcode_pipeline_tests.test_commands import REPOSITORY, bare_environment

pytestmark = pytest.mark.slow

PARTS, KILLS = 5, 10
"""Fifty kills, in parts that can be run by themselves."""
CONFIGURATION = """
[model]
width = 16
[planting]
passes = 1
[training]
epochs = 2
[evaluation]
bootstrap_replicates = 20
"""
DATES = ("2025-11-28", "2025-11-29")
"""The night that is killed, and the next one."""


def started(root: Path, date: str) -> subprocess.Popen[bytes]:
    """`make night DATE=...`, but for the installation."""
    environment = bare_environment() | {
        "BARCODE_PIPELINE_ROOT": str(root),
        "DAGSTER_HOME": str(root / ".dagster_home"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "PYTHONPATH": str(REPOSITORY),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "barcode_pipeline.cli", "night", date],
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=(root / "night.log").open("ab"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finished(root: Path, date: str) -> float:
    """Seconds of a night that ends well."""
    begun = time.monotonic()
    assert started(root, date).wait(300) == 0, (root / "night.log").read_text(errors="replace")[-3000:]
    return time.monotonic() - begun


def deliver(root: Path, date: str) -> None:
    """The files of a day, as its night finds them."""
    (root / "coming" / date).rename(root / "data" / "raw" / date)


def scored_rows(workspace: Workspace) -> dict[int, int | None]:
    return {day: workspace.scores.rows(day) for day in workspace.scores.days()}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 events of history with a model in service; the files of the last days have not come yet."""
    root = tmp_path_factory.mktemp("before") / "project"
    write_simulation(root, World(events=20_000, seed=3, layout="daily", end=datetime.datetime(2025, 11, 30)))
    (root / "configuration.toml").write_text(CONFIGURATION)
    (root / ".dagster_home").mkdir()
    shutil.copy(REPOSITORY / "dagster.yaml", root / ".dagster_home")
    for folder in sorted((root / "data" / "raw").iterdir()):
        if folder.name >= DATES[0]:
            (root / "coming").mkdir(exist_ok=True)
            folder.rename(root / "coming" / folder.name)
    workspace = Workspace.open(root)
    workspace.intake.take_in()
    for make in MAKERS.values():
        make(workspace, workspace.intake.days())
    make_training_set(workspace, "challenger")
    train(workspace, "challenger", Compute(), silent)
    train_baselines(workspace, Compute(), silent)
    note_model(workspace, "baseline_models")
    return root


@pytest.fixture(scope="module")
def undisturbed(before: Path) -> tuple[dict[str, str], dict[int, int | None], float]:
    """(data files, rows of scores by day, seconds of a night) where nothing is killed."""
    root = shutil.copytree(before, before.parent / "undisturbed", symlinks=True)
    seconds = []
    for date in DATES:
        deliver(root, date)
        seconds.append(finished(root, date))
    workspace = Workspace.open(root)
    return interim_bytes(workspace), scored_rows(workspace), seconds[-1]


@pytest.mark.parametrize("part", range(PARTS))
def test_the_next_night_heals_a_killed_one(
    before: Path, undisturbed: tuple[dict[str, str], dict[int, int | None], float], tmp_path: Path, part: int
) -> None:
    expected, scored, seconds = undisturbed
    moments, killed = random.Random(part), 0
    for number in range(KILLS):
        root = shutil.copytree(before, tmp_path / str(number), symlinks=True)
        deliver(root, DATES[0])
        process = started(root, DATES[0])
        time.sleep(moments.uniform(0.05, 1.0) * seconds)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        assert ModelRegistry(root / "models").load_in_service(), "the pointer names a model that loads"
        deliver(root, DATES[1])
        finished(root, DATES[1])
        workspace = Workspace.open(root)
        found = interim_bytes(workspace)
        assert {name for name in expected if found.get(name) != expected[name]} == set()
        assert scored_rows(workspace) == scored
        assert stale_dates(workspace, list(MAKERS)) == {asset: [] for asset in MAKERS}
        assert_nothing_is_lost(workspace)
        assert ModelRegistry(workspace.models).load_in_service()
        shutil.rmtree(root)
    assert killed >= KILLS // 2, "the moments were too late to kill anything"
