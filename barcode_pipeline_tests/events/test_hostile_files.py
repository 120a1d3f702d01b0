"""A hostile raw file beside a good one: quarantine or a sentence, nothing lost, nothing else affected."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.events.hostile import CASES, Case
from barcode_pipeline_tests.events.projects import (
    FIRST_DAY,
    GOOD_EPCS,
    GOOD_FILE,
    LAST_DAY,
    assert_nothing_is_lost,
    line,
    make_all,
    make_project,
    merged_rows,
    quarantine_of,
    text,
)

Outcome = dict[str, list[dict[str, Any]]]


def outcome(workspace: Workspace, epcs: tuple[str, ...]) -> Outcome:
    """Rows of every asset of some EPCs."""
    stores = (workspace.merged, workspace.enriched, workspace.labels, workspace.sequences)
    return {
        store.folder.name: [row for row in store.read(store.days()).to_pylist() if row["epc_code"] in epcs]
        for store in stores
    }


@pytest.fixture(scope="module")
def good_alone(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    workspace = make_project(tmp_path_factory.mktemp("good"))
    (workspace.raw / "good.csv").write_bytes(GOOD_FILE)
    workspace.intake.take_in()
    make_all(workspace)
    return outcome(workspace, GOOD_EPCS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile_file(case: Case, tmp_path: Path, good_alone: Outcome) -> None:
    workspace = make_project(tmp_path)
    (workspace.raw / "good.csv").write_bytes(GOOD_FILE)
    if isinstance(case.content, bytes):
        (workspace.raw / case.file).write_bytes(case.content)
    else:
        case.content(workspace.raw / "hostile.csv")
    workspace.intake.take_in()
    make_all(workspace)

    assert outcome(workspace, GOOD_EPCS) == good_alone
    assert len(good_alone["rule_labels"]) == 9
    assert_nothing_is_lost(workspace)
    ledger = workspace.intake.files(FIRST_DAY, LAST_DAY).set_index("path")
    assert list(ledger.index) == sorted(filter(None, ("good.csv", case.file)))
    if not case.file:
        return
    whole = case.reason.startswith("whole file") or (not case.kept and not case.quarantined and bool(case.reason))
    entry = ledger.loc[case.file]
    assert (entry["rows_kept"], entry["rows_quarantined"]) == (case.kept, case.quarantined)
    assert entry["rows_held_before_first_date"] + entry["rows_held_beyond_newest_partition"] == case.held
    assert pd.notna(entry["problem"]) == whole
    rejected = quarantine_of(workspace, case.file)
    assert all(list(row) == ["file", "line", "reason", "raw"] for row in rejected)
    assert all(case.reason in row["reason"] and row["file"] == case.file for row in rejected)
    if not whole:
        assert_lines_stand_in_the_file(workspace.raw / case.file, rejected)
    hostile = [row for row in merged_rows(workspace) if row["epc_code"] not in GOOD_EPCS]
    for column, expected in (case.values or {}).items():
        found = [row[column] if column != "event_time" else str(row[column]) for row in hostile]
        assert found == expected, column


def assert_lines_stand_in_the_file(path: Path, rejected: list[dict[str, str]]) -> None:
    """Each quarantined row is the line of its number, bytes that are no text written out."""
    if not rejected:
        return
    lines = path.read_bytes().split(b"\n")
    for row in rejected:
        raw = lines[int(row["line"]) - 1].removesuffix(b"\r").decode("utf-8", errors="backslashreplace")
        assert row["raw"] == raw


def test_enough_cases() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_unreadable_permission_is_tried_again(tmp_path: Path) -> None:
    workspace = make_project(tmp_path)
    (workspace.raw / "good.csv").write_bytes(GOOD_FILE)
    locked = workspace.raw / "locked.csv"
    locked.write_bytes(text(line()))
    locked.chmod(0)
    problems = [taken.problem for taken in workspace.intake.take_in()]
    assert problems[0] is None and "check its permissions" in str(problems[1])
    locked.chmod(0o600)
    assert [(taken.path, taken.rows_kept) for taken in workspace.intake.take_in()] == [("locked.csv", 1)]


def test_file_that_the_system_does_not_hand_out_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with a refusal that also root meets, such as a broken disk."""
    workspace = make_project(tmp_path)
    for name, content in (("good.csv", GOOD_FILE), ("locked.csv", text(line()))):
        (workspace.raw / name).write_bytes(content)
    real = Path.open

    def refuse(path: Path, *arguments: Any, **more: Any) -> Any:
        if path.name == "locked.csv":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **more)

    monkeypatch.setattr(Path, "open", refuse)
    for _ in range(2):
        taken = {entry.path: entry for entry in workspace.intake.take_in()}
        assert "check its permissions" in str(taken["locked.csv"].problem)
    assert "check its permissions" in quarantine_of(workspace, "locked.csv")[0]["reason"]
    monkeypatch.undo()
    assert [(entry.path, entry.rows_kept) for entry in workspace.intake.take_in()] == [("locked.csv", 1)]
    make_all(workspace)
    assert_nothing_is_lost(workspace)


def test_file_that_disappears_while_it_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_project(tmp_path)
    (workspace.raw / "good.csv").write_bytes(GOOD_FILE)
    intake = workspace.intake
    monkeypatch.setattr(intake, "raw_files", lambda: [workspace.raw / "gone.csv", workspace.raw / "good.csv"])
    assert [taken.path for taken in intake.take_in()] == ["good.csv"]
