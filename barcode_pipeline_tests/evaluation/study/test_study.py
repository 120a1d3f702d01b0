"""The whole of it once, tiny: worlds, teachers, detectors, verdicts, rows, page; then again, when all is there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from barcode_pipeline.cli import main
from barcode_pipeline.configuration import Configuration
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.study.arms import Arm, Decide, Fit, Peer, Teaching
from barcode_pipeline.evaluation.study.cells import Cell
from barcode_pipeline.evaluation.study.fitting import Fitter
from barcode_pipeline.evaluation.study.judging import Detail, calibration_of
from barcode_pipeline.evaluation.study.plan import in_service
from barcode_pipeline.evaluation.study.running import Session
from barcode_pipeline.evaluation.study.study import StudyOptions, make_study, numbers, planned
from barcode_pipeline.evaluation.study.worlds import OpenWorld, WorldKey, prepare
from barcode_pipeline.learning import material_of
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.simulator import AnomalyRates, World
from barcode_pipeline.teaching import learn
from barcode_pipeline.workspace import ROOT_VARIABLE, Workspace
from barcode_pipeline_tests.conftest import SmallProject

QUICK = StudyOptions(quick=True, events=3000)


@pytest.fixture(autouse=True, scope="module")
def rich_worlds() -> object:
    """Ten times the usual anomalies: so few events would else hold too few to judge by."""
    patch = pytest.MonkeyPatch()
    rates = {name: 10 * value for name, value in vars(AnomalyRates()).items()}

    def world(name: str, seed: int, events: int) -> World:
        made = World(events=events, seed=seed, anomalies=AnomalyRates(**rates))
        return replace(made, noise=replace(made.noise, missed_reads=0.1)) if name == "missed_10" else made

    patch.setattr("barcode_pipeline.evaluation.study.worlds.study_world", world)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[str]]:
    workspace = Workspace(tmp_path_factory.mktemp("study"), Configuration.model_validate({"planting": {"events": 0}}))
    said: list[str] = []
    make_study(workspace, QUICK, said.append)
    return workspace, said


def test_a_quick_study_leaves_rows_headline_and_page(studied: tuple[Workspace, list[str]]) -> None:
    workspace, said = studied
    folder = workspace.reports / "study_quick"
    found = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert {row["question"] for row in found["rows"]} == {"main", "left_out", "verdicts", "cold_start"}
    own = {"question", "arm", "world", "seed", "seconds"}
    form = {"model", "label", "stratum", "reference", "variants", "events", "positives", "precision", "recall", "f1",
            "specificity", "pr_auc", "false_alerts_per_10k", "calibration_error"}  # fmt: skip
    assert all(own | form <= set(row) for row in found["rows"])
    seen = {
        row["world"]: row["recall"]
        for row in found["rows"]
        if (row["question"], row["model"], row["label"], row["variants"]) == ("main", "rules", "any", "rule_visible")
    }
    assert seen["default"] > 0.9 and seen["missed_10"] <= seen["default"]
    rules = found["headline"]["truth_false_alerts_per_10k"]["models"]["rules"]
    assert rules["value"] is not None and rules["seeds"] == [1]
    assert found["cells"]["verdicts/list_100/default/1"]["facts"]["asked"] == 100
    assert (folder / "study.md").read_text(encoding="utf-8").startswith("# The study")
    assert said[0] == "12 cells, 0 of them there already"


def test_worlds_are_gone_and_a_second_run_does_nothing(studied: tuple[Workspace, list[str]]) -> None:
    workspace, _ = studied
    work = workspace.root / "data" / "study" / "quick"
    assert list((work / "worlds").glob("*")) == []
    before = (workspace.reports / "study_quick" / "study.json").read_bytes()
    said: list[str] = []
    make_study(workspace, QUICK, said.append)
    assert said[0] == "12 cells, 12 of them there already"
    assert not any("making" in line or "learning" in line for line in said)
    assert (workspace.reports / "study_quick" / "study.json").read_bytes() == before


def test_rows_that_were_lost_come_back_the_same_from_kept_models(studied: tuple[Workspace, list[str]]) -> None:
    workspace, _ = studied
    path = workspace.reports / "study_quick" / "study.json"
    before = json.loads(path.read_text(encoding="utf-8"))
    said: list[str] = []
    make_study(workspace, replace(QUICK, cells=("main/lstm/default/*",), again=True), said.append)
    assert not any("learning" in line for line in said)
    assert json.loads(path.read_text(encoding="utf-8"))["rows"] == before["rows"]


def test_the_arm_in_service_is_what_training_puts_into_service(small_project: SmallProject, tmp_path: Path) -> None:
    """The study teaches by its own few lines, so that arms can differ; left as it is, the same model comes out."""
    changed = {
        "training": {"teachers": ["planted"], "epochs": 2, "seed": 3},
        "model": {"width": 8},
        "planting": {"events": 15_000},  # three times
    }
    workspace = Workspace(small_project.workspace.root, Configuration.model_validate(changed))
    world = OpenWorld(workspace, 3)
    service = in_service(workspace.configuration, len(world.training_set))
    ours = Fitter(world, "world", tmp_path, Compute(), lambda _: None).fitted(service)
    theirs, lesson = learn(workspace, material_of(workspace, world.training_set), 2, Compute(), lambda _: None)
    some, _ = lesson.journeys.select(np.arange(len(lesson.journeys.offsets) - 1) < 300)
    np.testing.assert_array_equal(ours.score(some), theirs.scores(some))
    found = calibration_of(ours, Decide())
    np.testing.assert_array_equal(found.threshold, theirs.at_budget(Decide().budget).calibration.threshold)


def test_truth_plays_no_part_in_learning(tmp_path: Path) -> None:
    """Without the truth beside it a world teaches the same; only judging against it falls away."""
    key = WorldKey("default", 1, 2000)
    fit = Fit(Peer("decision_tree"), Teaching(("planted",)))
    one = Cell("main", Arm("decision_tree", (fit,)), key, key, Detail(replicates=20))
    found = []
    for name in ("with", "without"):
        session = Session(tmp_path / name, Configuration(), Compute(), lambda _: None)
        if name == "without":
            workspace = prepare(session.folder / "worlds", key, Configuration(), lambda _: None)
            shutil.rmtree(workspace.truth)
        found.append(session.answer(one).rows)
    with_truth, without = found
    assert {row["reference"] for row in without} == {"rules"}
    assert [row for row in with_truth if row["reference"] == "rules"] == without


def test_files_of_ones_own_are_judged_and_left_alone(small_project: SmallProject, tmp_path: Path) -> None:
    own = small_project.workspace.root
    before = {path: path.stat().st_mtime_ns for path in (own / "data" / "raw").rglob("*")}
    workspace = Workspace(tmp_path, small_project.workspace.configuration)
    options = StudyOptions(data=own, cells=("main/rules/*",))
    results = make_study(workspace, options, lambda _: None)
    assert {row["world"] for row in results.rows} == {"own"}
    assert any(row["reference"] == "truth" and row["positives"] for row in results.rows)
    assert {path: path.stat().st_mtime_ns for path in (own / "data" / "raw").rglob("*")} == before
    assert (tmp_path / "reports" / f"study_{own.name}" / "study.md").exists()
    with pytest.raises(UserError, match="There is no folder"):
        planned(workspace, StudyOptions(data=tmp_path / "nowhere"))


def test_open_worlds_give_events_and_truth_in_the_order_of_the_training_set(small_project: SmallProject) -> None:
    world = OpenWorld(small_project.workspace, 1)
    events = world.material.events
    np.testing.assert_array_equal(events.time, world.training_set.time)
    assert world.truth is not None
    assert world.truth.truth.sum() == sum(world.facts()["variants"].values())
    np.testing.assert_array_equal(world.rule_scores >= 1, world.training_set.rule_labels)


def test_the_command_writes_the_page_of_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    assert main(["study", "--write-up"]) == 0
    assert "study.md" in capsys.readouterr().out
    assert (tmp_path / "docs" / "study.md").exists()
    assert main(["study", "--seeds", "1", "--worlds", "nowhere"]) == 2
    assert "There is no world 'nowhere'" in capsys.readouterr().err


def test_what_is_asked_for_is_checked() -> None:
    assert numbers(["1", "2,3"]) == (1, 2, 3)
    with pytest.raises(UserError, match="not 'x'"):
        numbers(["x"])
    workspace = Workspace(Path("/nowhere"), Configuration())
    with pytest.raises(UserError, match="No cell matches nothing"):
        planned(workspace, StudyOptions(cells=("nothing",)))
