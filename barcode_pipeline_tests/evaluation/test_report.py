"""The report as a browser would read it, its figures as JSON, the link to the newest, and the log."""

from __future__ import annotations

import base64
import csv
import json
import os
import threading
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation import report
from barcode_pipeline.evaluation.headline import headline
from barcode_pipeline.evaluation.metrics import ROW_COLUMNS, Row, evaluate
from barcode_pipeline.evaluation.performance_log import LOG_COLUMNS, append_log
from barcode_pipeline.evaluation.report import ReportContext, build_report, plain, write_report
from barcode_pipeline.evaluation.report_plots import LabelRates, ReportPlot, report_plots
from barcode_pipeline.evaluation.single_features import single_feature_power
from barcode_pipeline_tests.evaluation.fakes import made_up_detector, made_up_events, rules_as_detector

VOID = {"meta", "img", "br"}


class _Page(HTMLParser):
    """Collects tags, texts by id and cells; fails on tags that do not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.opening = ""
        self.in_opening = False
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self.in_opening = self.in_opening or dict(attrs).get("id") == "opening"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.in_opening = self.in_opening and tag != "p"

    def handle_data(self, data: str) -> None:
        self.text += data
        self.opening += data if self.in_opening else ""


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    events = made_up_events(2000)
    models = [rules_as_detector(events), made_up_detector(events, "lstm", 3.0)]
    models.append(made_up_detector(events, "gradient_boosting", 8.0))
    models.append(made_up_detector(events, "step_ngram", 3.0, silent=(0, 4)))
    return evaluate(events, models, 20, 0)


def _context(rows: list[Row], run_id: str = "run-1", **changes: object) -> ReportContext:
    random = np.random.default_rng(0)
    targets = random.random((500, 5)) < 0.1
    targets[:, 3] = False
    journey = [
        {"time": "2025-07-01 10:00:00", "place": "Here", "step": "HUB", "type": "HUB_Outbound", "probability": 0.01,
         "labels": []},
        {"time": "2025-07-01 12:00:00", "place": None, "step": "Wholesaler", "type": "W_Stock_Inbound",
         "probability": np.float32(0.97), "labels": ["jump"]},
    ]  # fmt: skip
    suspicious = {
        "epc": "001.1111111.2222222.333333.20250701.000000001",
        "score": 0.97,
        "label": "jump",
        "reason": "arrived 320 km away after 2 h; the fastest truck needs 3.2 h",
        "normal": "<b>5 h</b>",
        "journey": journey,
    }
    values: dict[str, object] = {
        "run_id": run_id,
        "created_at": "2025-12-17 02:00:00",
        "rows": rows,
        "headline": headline(rows),
        "data": {"events": 920_000, "epcs": 200_000, "held": 0, "last_date": pd.Timestamp("2025-12-16")},
        "model": {"file": "m.pt", "thresholds": {"jump": np.float64(0.123456789)}, "loss": float("nan")},
        "plots": [ReportPlot("A plot", "What it shows.", b"\x89PNG")],
        "deciding_features": single_feature_power(random.random((500, 2)), ["first", "second"], targets),
        "suspicious_epcs": [suspicious],
        "commands": ["make run"],
    }
    return ReportContext(**(values | changes))  # type: ignore[arg-type]


def test_page_is_whole_and_stands_alone(rows: list[Row]) -> None:
    page = _Page(build_report(_context(rows)))
    assert page.opening.startswith("The LSTM reproduces the rules with a macro F1 of ")
    assert "A simple detector wins: gradient boosting" in page.opening
    for tag, attributes in page.tags:
        assert tag not in ("script", "link")
        for name in ("src", "href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("data:", "#")), value
    images = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert [base64.b64decode((source or "").split(",")[1]) for source in images] == [b"\x89PNG"]
    for text in ("920,000", "the fastest truck needs 3.2 h", "<b>5 h</b>", "2025-07-01 12:00:00", "make run", "EPCs"):
        assert text in page.text
    assert "fewer than 30" in page.text, "a label without deciding features says why"


def test_page_has_a_line_per_model_and_group_and_dashes_with_reasons(rows: list[Row]) -> None:
    page = _Page(build_report(_context(rows)))
    models = [attributes["data-model"] for tag, attributes in page.tags if "data-model" in attributes]
    assert models == ["rules", "lstm", "gradient_boosting", "step_ngram"] * 12
    reasons = [attributes["title"] for tag, attributes in page.tags if tag == "td" and "title" in attributes]
    assert len(reasons) == 12 * 4 * 7 * 3
    assert "the detector does not speak for this label" in reasons
    assert any("calibration error" in (reason or "") for reason in reasons)


def test_page_of_an_empty_run() -> None:
    page = _Page(build_report(ReportContext("r", "now", [], headline([]), {}, {})))
    for text in ("cannot be said", "Nothing was evaluated", "No plots", "No EPC raised", "Nothing was recorded"):
        assert text in page.text


def test_metrics_are_json_with_nulls(rows: list[Row], tmp_path: Path) -> None:
    folder = write_report(tmp_path, _context(rows))
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "report.html"]
    found = json.loads((folder / "metrics.json").read_text())
    assert list(found) == ["rows", "headline", "data", "model"]
    assert found["rows"] == [plain(row) for row in rows]
    assert list(found["rows"][0]) == list(ROW_COLUMNS)
    assert found["model"] == {"file": "m.pt", "thresholds": {"jump": 0.123457}, "loss": None}
    assert found["data"]["last_date"] == "2025-12-16 00:00:00"
    assert set(found["headline"]["lstm_vs_rules_macro_f1"]) == {"value", "low", "high"}


def test_latest_points_at_the_newest_run(rows: list[Row], tmp_path: Path) -> None:
    for run in ("first", "second", "second"):
        write_report(tmp_path, _context(rows[:7], run))
        assert os.readlink(tmp_path / "latest") == run
        assert f"Run <code>{run}</code>" in (tmp_path / "latest" / "report.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "latest", "second"]


def test_latest_is_a_copy_where_links_are_not_possible(
    rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("no links here")

    write_report(tmp_path, _context(rows[:7], "linked"))
    with monkeypatch.context() as patched:
        patched.setattr(report.Path, "symlink_to", refused)
        for run in ("first", "second"):
            write_report(tmp_path, _context(rows[:7], run))
            assert not (tmp_path / "latest").is_symlink()
            assert f"Run <code>{run}</code>" in (tmp_path / "latest" / "report.html").read_text()
    write_report(tmp_path, _context(rows[:7], "third"))
    assert os.readlink(tmp_path / "latest") == "third"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "latest", "linked", "second", "third"]


@pytest.mark.parametrize("run_id", ["", "..", "latest", "a/b", "/etc"])
def test_a_run_id_that_is_no_folder_is_refused(rows: list[Row], tmp_path: Path, run_id: str) -> None:
    with pytest.raises(UserError, match="cannot name a folder"):
        write_report(tmp_path / "reports", _context(rows[:7], run_id))
    assert not list(tmp_path.iterdir())


def test_log_grows_and_keeps_what_it_has(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log.csv"
    append_log(path, rows, "one", "2025-12-17", "models/a, b.pt")
    before = path.read_bytes()
    append_log(path, rows[:7], "two", "2025-12-18", "c.pt")
    assert path.read_bytes().startswith(before)
    read = list(csv.DictReader(path.open()))
    assert tuple(read[0]) == LOG_COLUMNS
    assert len(read) == len(rows) + 7
    assert {row["run_id"] for row in read[-7:]} == {"two"} and read[0]["model_file"] == "models/a, b.pt"
    for written, row in zip(read, rows, strict=False):
        assert written["f1"] == "" if row["f1"] is None else float(written["f1"]) == round(row["f1"], 6)
        assert int(written["events"]) == row["events"] and written["note"] == (row["note"] or "")
    assert [item.name for item in path.parent.iterdir()] == ["log.csv"]


def test_log_without_a_last_newline_is_mended(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    append_log(path, rows[:2], "one", "now", "m")
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    append_log(path, rows[:1], "two", "now", "m")
    assert [row["run_id"] for row in csv.DictReader(path.open())] == ["one", "one", "two"]


def test_log_of_another_version_is_refused_and_left_alone(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("run_id,accuracy\nold,0.9\n")
    with pytest.raises(UserError, match=r"log of another version.*with accuracy.*Move the file away"):
        append_log(path, rows, "one", "now", "m")
    assert path.read_text() == "run_id,accuracy\nold,0.9\n"


def test_runs_that_end_together_both_keep_their_rows(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    runs = [threading.Thread(target=append_log, args=(path, rows[:5], f"run{i}", "now", "m")) for i in range(8)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(list(csv.DictReader(path.open()))) == 40


def test_plots_are_pictures_judged_by_truth_where_it_is_known(rows: list[Row]) -> None:
    events = made_up_events(2000)
    models = [rules_as_detector(events), made_up_detector(events, "lstm", 3.0)]
    models.append(made_up_detector(events, "step_ngram", 3.0, silent=(0, 4)))
    history = [{"epoch": 1, "train_loss": 0.2, "validation_loss": 0.1, "validation_macro_f1": 0.5}]
    rates = LabelRates([np.datetime64("2025-07-01"), np.datetime64("2025-07-02")], np.full((2, 5), 0.01), "2025-07-02")
    plots = report_plots(events, models, rows, history, rates)
    unknown = replace(events, truth=None, visible=None, aftermath=None)
    without = report_plots(unknown, models, [row for row in rows if row["reference"] != "truth"], history, rates)
    assert len(plots) == len(without) == 5 + 2
    assert sum("truth" in plot.title for plot in plots) == 5 and not any("truth" in plot.title for plot in without)
    assert len({plot.title for plot in plots}) == len(plots)
    assert all(plot.png.startswith(b"\x89PNG") and len(plot.png) > 5000 for plot in plots)
