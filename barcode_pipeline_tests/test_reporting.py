"""The report of a small project: files, rows, the log, and the journeys it shows."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from barcode_pipeline.configuration import Configuration
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.performance_log import LOG_COLUMNS
from barcode_pipeline.evaluation.truth import match_truth, read_truth
from barcode_pipeline.events.formats import KEY_COLUMNS
from barcode_pipeline.models.baselines.registry import BASELINES
from barcode_pipeline.reporting import make_report
from barcode_pipeline.sequences.training_set import read_training_set
from barcode_pipeline.workspace import Workspace

MODELS = {"rules", "lstm", "lstm_one_layer", "lstm_rule_labels", *(make().name for make in BASELINES)}


def log_of(workspace):
    with workspace.performance_log.open() as stream:
        return list(csv.DictReader(stream))


def test_the_report_lies_in_its_runs_folder(small_project):
    workspace, report = small_project.workspace, small_project.report
    assert report.folder == workspace.reports / "20250901-120000"
    assert (workspace.reports / "latest").resolve() == report.folder.resolve()
    html = (report.folder / "report.html").read_text(encoding="utf-8")
    metrics = json.loads((report.folder / "metrics.json").read_text(encoding="utf-8"))
    assert len(metrics["rows"]) == len(report.rows)
    assert small_project.trained.path.name in html
    assert any(str(report.folder / "report.html") in line for line in small_project.said)
    assert len(report.plots) > 0


def test_every_detector_is_judged_on_the_same_events(small_project):
    rows = small_project.report.rows
    assert {row["model"] for row in rows} == MODELS
    by_group = {}
    for row in rows:
        key = tuple(row[name] for name in ("stratum", "reference", "variants", "label"))
        by_group.setdefault(key, set()).add((row["events"], row["positives"]))
    assert all(len(found) == 1 for found in by_group.values()), "detectors were judged on different events"


def test_the_rules_agree_with_themselves_and_not_with_all_of_truth(small_project):
    rows = [row for row in small_project.report.rows if row["model"] == "rules"]
    assert {row["reference"] for row in rows} == {"rules", "truth"}
    for row in rows:
        if row["reference"] == "rules":
            assert row["f1"] in (None, 1.0)
            assert "its own reference" in row["note"]
    of_truth = [row["recall"] for row in rows if row["reference"] == "truth" and row["recall"] is not None]
    assert min(of_truth) < 1 and max(of_truth) > 0.5


def test_the_log_has_the_rows_of_the_report(small_project):
    logged = log_of(small_project.workspace)
    assert tuple(logged[0]) == LOG_COLUMNS
    assert len(logged) == len(small_project.report.rows)
    assert {row["run_id"] for row in logged} == {"20250901-120000"}
    assert {row["model_file"] for row in logged} == {small_project.trained.path.name}


def test_a_second_report_is_appended_and_becomes_the_latest(small_project, copy_of_project):
    before = copy_of_project.performance_log.read_bytes()
    report = make_report(copy_of_project, "20250902-120000", "2025-09-02 12:00:00", lambda _: None)
    assert copy_of_project.performance_log.read_bytes().startswith(before)
    assert len(log_of(copy_of_project)) == 2 * len(report.rows)
    assert (copy_of_project.reports / "latest").resolve() == report.folder.resolve()
    assert (copy_of_project.reports / "20250901-120000" / "report.html").exists()
    # The same data and models give the same figures.
    assert json.dumps(report.rows, default=str) == json.dumps(small_project.report.rows, default=str)
    assert report.headline == small_project.report.headline


def test_suspicious_journeys_are_shown_with_words(small_project):
    html = (small_project.report.folder / "report.html").read_text(encoding="utf-8")
    shown = html.split('id="suspicious"')[1].split('id="again"')[0]
    assert shown.count("<table") >= 1
    assert "nan" not in shown.lower().replace("normal", "")
    assert "None" not in shown


def test_without_truth_the_report_is_against_the_rules_alone(copy_of_project):
    for path in copy_of_project.truth.glob("*.parquet"):
        path.unlink()
    report = make_report(copy_of_project, "without", "2025-09-03 12:00:00", lambda _: None)
    references = {row["reference"] for row in report.rows}
    assert references
    assert not any("truth" in reference for reference in references)


def test_simulated_truth_is_found_among_the_events(small_project):
    """All but what was held back or quarantined: anomalies of these events have no row to match."""
    workspace = small_project.workspace
    keys = workspace.merged.read(small_project.days, KEY_COLUMNS)
    truth = read_truth(workspace.truth)
    found = match_truth(truth, keys)
    assert found.unmatched == 0
    assert found.truth.sum() == len(truth.anomalies)
    assert found.aftermath.sum() == len(truth.aftermath)


def test_facts_of_the_data_add_up(small_project):
    metrics = json.loads((small_project.report.folder / "metrics.json").read_text(encoding="utf-8"))
    data, about = metrics["data"], read_training_set(small_project.workspace.training).about
    assert data["events"] == sum(small_project.rows.values()) == about["events"]
    assert sum(data["events by part"].values()) == data["events"]
    assert data["rows read"] == data["events"] + data["exact duplicates"] + data["rows quarantined"] + data["rows held"]
    assert data["files not readable"] == []
    model = metrics["model"]
    assert model["file"] == small_project.trained.path.name
    assert model["epochs"] == len(small_project.trained.model.about["history"]) <= 3
    np.testing.assert_allclose(
        list(model["thresholds"].values()),
        small_project.trained.model.at_budget(
            small_project.workspace.configuration.scoring.false_alerts_per_10k
        ).calibration.threshold,
        atol=1e-6,
    )


def test_without_a_model_the_error_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"No model is in service.*barcode-pipeline train"):
        make_report(Workspace(tmp_path, Configuration()), "run", "now", lambda _: None)


def test_without_baselines_the_error_says_what_to_do(copy_of_project):
    (copy_of_project.models / "baselines" / "current.json").unlink()
    with pytest.raises(UserError, match=r"no baselines.*make run"):
        make_report(copy_of_project, "run", "now", lambda _: None)
    assert not (copy_of_project.reports / "run").exists()


def test_without_a_training_set_the_error_says_what_to_do(copy_of_project):
    (copy_of_project.training / "current.json").unlink()
    with pytest.raises(UserError, match=r"no training set"):
        make_report(replace(copy_of_project), "run", "now", lambda _: None)
