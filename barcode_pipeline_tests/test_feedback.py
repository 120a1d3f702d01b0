"""Verdicts from file to asset, to teacher, review list and what-if, in a small project."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest

from barcode_pipeline.chain import READ_COLUMNS
from barcode_pipeline.cli import main
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import KEY_COLUMNS, LABELS
from barcode_pipeline.events.times import day_number
from barcode_pipeline.events.verdicts import read_verdicts
from barcode_pipeline.feedback import judged_in, judged_on, make_verdicts, read_accounts
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.replaying import ALL_SITES, Change, by_label, by_name, replay, replay_json, replay_text
from barcode_pipeline.reviewing import REVIEW_COLUMNS, make_review, review_table, write_review
from barcode_pipeline.sequences.split import HELD_OUT_LOTS, HELD_OUT_LOTS_EARLIER
from barcode_pipeline.sequences.training_set import read_training_set
from barcode_pipeline.workspace import ROOT_VARIABLE, Workspace
from barcode_pipeline_tests.conftest import SmallProject

COLUMNS = (*KEY_COLUMNS, "label", "verdict", "who", "when")


def some_events(workspace: Workspace, count: int) -> list[dict[str, object]]:
    """Keys of events spread over all dates."""
    table = workspace.enriched.read(workspace.enriched.days(), READ_COLUMNS)
    rows = np.linspace(0, len(table) - 1, count).astype(int)
    return [table.slice(int(row), 1).to_pylist()[0] for row in rows]


def write_feedback(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def verdict(event: dict[str, object], **said: object) -> dict[str, object]:
    return {**event, "label": "jump", "verdict": "yes", "who": "kim", "when": "2025-12-01", **said}


def tree(root: Path) -> dict[str, str]:
    """Hash of every file of a folder."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


# ---------------------------------------------------------------------- the asset


def test_every_row_is_accounted_for(copy_of_project: Workspace) -> None:
    workspace = copy_of_project
    events = some_events(workspace, 6)
    write_feedback(
        workspace.feedback / "kim" / "a.csv",
        [verdict(events[0]), verdict(events[1], verdict=""), verdict(events[2], label="theft"), verdict(events[3])],
    )
    write_feedback(
        workspace.feedback / "b.csv",
        [verdict(events[0], verdict="no", when="2025-12-02"), verdict({**events[4], "event_time": "2025-07-01T00:00"})],
    )
    (workspace.feedback / "c.csv").write_bytes(b"a,b\n1,2\n")
    accounts = make_verdicts(workspace)
    assert [(file.path, file.rows, file.verdicts, file.unanswered, file.quarantined) for file in accounts.files] == [
        ("b.csv", 2, 2, 0, 0), ("c.csv", 0, 0, 0, 0), ("kim/a.csv", 4, 2, 1, 1),
    ]  # fmt: skip
    assert "header lacks" in str(accounts.files[1].problem)
    # The verdict on an event that is not known is kept, and counted.
    assert (accounts.standing, accounts.replaced, accounts.unknown) == (3, 1, 1)
    assert read_accounts(workspace) == accounts
    assert read_verdicts(workspace.verdicts).column("verdict").to_pylist().count(False) == 1
    rejected = list((workspace.quarantine / "_feedback").rglob("*.rejected.csv"))
    assert sorted(path.name for path in rejected) == ["a.csv.rejected.csv", "c.csv.rejected.csv"]
    told = list(csv.DictReader((workspace.quarantine / "_feedback" / "kim" / "a.csv.rejected.csv").open()))
    assert [(row["file"], row["line"]) for row in told] == [("kim/a.csv", "4")] and "theft" in told[0]["reason"]
    # A file that was put right, and one that was taken away, leave nothing in quarantine.
    write_feedback(workspace.feedback / "kim" / "a.csv", [verdict(events[3])])
    (workspace.feedback / "c.csv").unlink()
    assert make_verdicts(workspace).standing == 3
    assert not list((workspace.quarantine / "_feedback").rglob("*.rejected.csv"))


def test_the_asset_is_the_same_whatever_order_files_came_in(copy_of_project: Workspace) -> None:
    workspace = copy_of_project
    rows = [
        verdict(event, label=label, when=f"2025-12-{1 + place % 9:02}", verdict=word)
        for place, (event, label, word) in enumerate(
            zip(some_events(workspace, 20) * 3, LABELS * 12, ("yes", "no", "no") * 20, strict=True)
        )
    ]
    names = [f"{place}.csv" for place in range(6)]
    made = set()
    for seed in range(3):
        for path in workspace.feedback.glob("*.csv"):
            path.unlink()
        for place in random.Random(seed).sample(range(6), 6):
            write_feedback(workspace.feedback / names[place], rows[place * 10 : place * 10 + 10])
        make_verdicts(workspace)
        made.add(workspace.verdicts.read_bytes())
    assert len(made) == 1
    # The same rows in one file, twice over.
    for path in workspace.feedback.glob("*.csv"):
        path.unlink()
    write_feedback(workspace.feedback / "0.csv", rows)
    write_feedback(workspace.feedback / "1.csv", rows)
    accounts = make_verdicts(workspace)
    assert workspace.verdicts.read_bytes() in made
    assert accounts.standing + accounts.replaced == 2 * len(rows)


def test_without_feedback_there_are_no_verdicts(copy_of_project: Workspace) -> None:
    assert judged_in(copy_of_project, read_training_set(copy_of_project.training)).judged.sum() == 0
    accounts = make_verdicts(copy_of_project)
    assert accounts.files == () and accounts.standing == 0
    assert len(read_verdicts(copy_of_project.verdicts)) == 0


def test_verdicts_find_their_events_in_the_training_set(copy_of_project: Workspace) -> None:
    workspace = copy_of_project
    events = some_events(workspace, 40)
    rows = [verdict(event, label=LABELS[place % 5]) for place, event in enumerate(events)]
    write_feedback(workspace.feedback / "a.csv", rows)
    assert make_verdicts(workspace).unknown == 0
    training_set = read_training_set(workspace.training)
    judged = judged_in(workspace, training_set)
    assert judged.judged.sum() == judged.holds.sum() == 40
    table = workspace.enriched.read(workspace.enriched.days(), READ_COLUMNS)
    found = {
        (table.column("epc_code")[int(training_set.source[row])].as_py(), int(training_set.time[row]), int(label))
        for row, label in zip(*np.nonzero(judged.judged), strict=True)
    }
    seconds = [int(np.datetime64(event["event_time"], "s").astype(int)) for event in events]
    assert found == {
        (event["epc_code"], time, place % 5) for place, (event, time) in enumerate(zip(events, seconds, strict=True))
    }
    days = workspace.enriched.days()
    half = judged_on(workspace, days[: len(days) // 2])
    assert 0 < half.judged.sum() < 40
    assert judged_on(workspace, days).judged.sum() == 40


def test_lost_accounts_say_what_to_do(copy_of_project: Workspace) -> None:
    with pytest.raises(UserError, match="--select verdicts"):
        read_accounts(copy_of_project)
    make_verdicts(copy_of_project)
    (copy_of_project.verdicts.parent / "_accounts.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be read"):
        read_accounts(copy_of_project)


# ---------------------------------------------------------------------- the review list


def test_a_filled_in_review_file_becomes_verdicts_and_is_not_asked_again(
    copy_of_project: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = copy_of_project
    monkeypatch.setenv(ROOT_VARIABLE, str(workspace.root))
    target = workspace.feedback / "review.csv"
    assert main(["review", "--count", "30", "--csv", str(target)]) == 0
    assert "30 questions" in capsys.readouterr().out
    with target.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == REVIEW_COLUMNS and len(rows) == 30
    # As it is, it holds no verdict and nothing wrong.
    accounts = make_verdicts(workspace)
    assert accounts.files[0].unanswered == accounts.files[0].rows == 30
    # A file that may hold answers is not written over.
    assert main(["review", "--csv", str(target)]) == 2
    assert "may hold answers" in capsys.readouterr().err
    for row in rows[:20]:
        row |= {"verdict": "no", "who": "kim", "when": "2025-12-24"}
    with target.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, REVIEW_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    accounts = make_verdicts(workspace)
    assert (accounts.standing, accounts.unknown, accounts.files[0].unanswered) == (20, 0, 10)

    def question(row: dict[str, object]) -> tuple[str, ...]:
        names = ("label", "epc_code", "event_time", "location_id", "business_step", "event_type")
        return tuple(str(row[name] if row[name] is not None else "") for name in names)

    answered = {question(row) for row in rows[:20]}
    again = {question(row) for row in make_review(workspace, 200)}
    assert len(answered) == 20 and not answered & again and again & {question(row) for row in rows[20:]}


def test_lots_that_are_held_out_are_not_asked_about(small_project: SmallProject) -> None:
    workspace = small_project.workspace
    rows = make_review(workspace, 300, seed=4)
    assert len(rows) == 300 and {row["label"] for row in rows} == set(LABELS)
    training_set = read_training_set(workspace.training)
    held_out = np.isin(training_set.part, (HELD_OUT_LOTS, HELD_OUT_LOTS_EARLIER))
    codes = workspace.enriched.read(workspace.enriched.days(), ("epc_code",)).column("epc_code").to_pylist()
    never = {codes[row] for row in np.asarray(training_set.source)[held_out]} - {None}
    assert never and not never & {row["epc_code"] for row in rows}
    assert len({row["why"].split(":")[0] for row in rows}) >= 3


def test_the_list_is_read_by_people(small_project: SmallProject, tmp_path: Path) -> None:
    rows = make_review(small_project.workspace, 5)
    assert review_table(rows).count("\n") == 5 and rows[0]["why"] in review_table(rows)
    assert "nothing to ask" in review_table([])
    write_review(tmp_path / "empty.csv", [])
    assert (tmp_path / "empty.csv").read_text(encoding="utf-8-sig").strip() == ",".join(REVIEW_COLUMNS)
    page = (small_project.report.folder / "report.html").read_text()
    assert f"The {small_project.workspace.configuration.evaluation.review_questions} events most worth" in page
    assert rows[0]["why"] in page


# ---------------------------------------------------------------------- what if


def test_a_stricter_rule_loses_alerts_and_nothing_on_disk_changes(copy_of_project: Workspace) -> None:
    workspace = copy_of_project
    write_feedback(workspace.feedback / "a.csv", [verdict(event) for event in some_events(workspace, 30)])
    make_verdicts(workspace)
    before = tree(workspace.root)
    found = replay(workspace, Change({"locErr": 25.0, "jump": 96.0}))
    assert tree(workspace.root) == before
    assert set(found.tables) == {"rules"} and found.with_truth and found.verdicts == 30
    whole = found.tables["rules"].query("site == @ALL_SITES").set_index("label")
    labels = workspace.labels.read(workspace.labels.days(), ("locErr", "locErrScore", "jump"))
    assert whole.loc["jump", "before"] == np.count_nonzero(labels.column("jump")) > 0
    assert whole.loc["jump", "after"] == 0 == whole.loc["jump", "gained"]
    low = np.asarray(labels.column("locErr")) & (np.asarray(labels.column("locErrScore")) < 25)
    assert whole.loc["locErr", "lost"] == np.count_nonzero(low) > 0
    assert (whole.loc["epcFake", ["gained", "lost"]] == 0).all()
    confirmed = whole.loc["jump", ["lost_confirmed", "lost_rejected"]]
    assert confirmed.sum() == confirmed["lost_confirmed"] <= 30
    assert whole.loc["jump", "lost_true"] > whole.loc["jump", "lost_false"] >= 0
    assert ALL_SITES in set(found.tables["rules"]["site"]) and len(found.tables["rules"]) > 12


def test_a_slower_truck_touches_rules_and_model(small_project: SmallProject) -> None:
    before = tree(small_project.workspace.root)
    found = replay(small_project.workspace, Change(rules={"fastest_truck_km_per_hour": "20"}))
    assert tree(small_project.workspace.root) == before
    assert set(found.tables) == {"rules", "model"}
    whole = found.tables["rules"].query("site == @ALL_SITES").set_index("label")
    assert whole.loc["jump", "gained"] > 0 == whole.loc["jump", "lost"]
    # Before the change, it is what the report judged.
    model, _ = ModelRegistry(small_project.workspace.models).load_in_service()
    scores = small_project.workspace.scores.read(small_project.days, ("jumpAlert",))
    counted = found.tables["model"].query("site == @ALL_SITES").set_index("label").loc["jump", "before"]
    assert counted == np.count_nonzero(scores.column("jumpAlert"))
    assert model.calibration.threshold.shape == (5,)


def test_thresholds_and_files_of_the_model_can_be_tried(small_project: SmallProject) -> None:
    workspace = small_project.workspace
    found = replay(workspace, Change(alert_thresholds={"epcFake": 1.0}))
    assert set(found.tables) == {"model"}
    whole = found.tables["model"].query("site == @ALL_SITES").set_index("label")
    assert whole.loc["epcFake", "gained"] == 0 < whole.loc["epcFake", "before"]
    assert (whole.loc[["jump", "locErr"], ["gained", "lost"]] == 0).all().all()
    same = replay(workspace, Change(model=ModelRegistry(workspace.models).in_service())).tables["model"]
    assert not same[["gained", "lost"]].any().any()


def test_dates_can_be_chosen(small_project: SmallProject) -> None:
    workspace = small_project.workspace
    first, last = day_number("2025-08-01"), day_number("2025-08-31")
    found = replay(workspace, Change({"locErr": 25.0}), first, last)
    assert found.events == sum(workspace.enriched.rows(day) or 0 for day in range(first, last + 1))
    assert found.first >= "2025-08-01" and found.last <= "2025-08-31"
    # A date judged by itself has the alerts it has within the whole.
    whole = replay(workspace, Change({"locErr": 25.0})).tables["rules"]
    parts = [
        replay(workspace, Change({"locErr": 25.0}), *span).tables["rules"]
        for span in ((None, first - 1), (first, last), (last + 1, None))
    ]
    wanted = whole.query("site == @ALL_SITES")["before"].to_numpy()
    np.testing.assert_array_equal(sum(part.query("site == @ALL_SITES")["before"].to_numpy() for part in parts), wanted)
    with pytest.raises(UserError, match="no events on these dates"):
        replay(workspace, Change({"locErr": 25.0}), day_number("1990-01-01"), day_number("1990-02-01"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (Change(), "Nothing would change"),
        (Change(rules={"fastest_truck_km_per_hour": "fast"}), "'fast' is no number"),
        (Change(rules={"fastest_truck_km_per_hour": "-1"}), "rules.fastest_truck_km_per_hour"),
        (Change(rules={"slowest_truck": "1"}), "rules.slowest_truck: there is no such key"),
        (Change(rules={"registered_companies": "88"}), "seven digits"),
        (Change(rules={"thresholds": "1"}), "--threshold"),
        (Change(model=Path("nowhere.pt")), "no model file nowhere.pt"),
    ],
)
def test_what_cannot_be_tried_is_refused(small_project: SmallProject, change: Change, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        replay(small_project.workspace, change)


def test_words_of_the_command_line() -> None:
    assert by_label(["jump=60", "locErr=2"], "--threshold", 100) == {"jump": 60.0, "locErr": 2.0}
    assert by_name(["registered_companies=8804823,8805843"], "--rule") == {"registered_companies": "8804823,8805843"}
    for pairs, problem in ((["jump"], "KEY=VALUE"), (["hop=1"], "is one of"), (["jump=x"], "no number"),
                           (["jump=0"], "above 0"), (["jump=2"], "at most 1")):  # fmt: skip
        with pytest.raises(UserError, match=problem):
            by_label(pairs, "--alert-threshold", 1)


def test_the_command_prints_a_table_or_json(
    small_project: SmallProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(small_project.workspace.root))
    before = tree(small_project.workspace.root)
    change = ["what-if", "--threshold", "jump=96", "--from", "2025-07-01", "--to", "2025-12-31"]
    assert main(change) == 0
    text = capsys.readouterr().out
    assert "Alerts of the rules, over all sites:" in text and "gained_true" in text
    assert main([*change, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (row,) = [row for row in told["rules"] if (row["label"], row["site"]) == ("jump", ALL_SITES)]
    assert row["lost"] > 0 == row["gained"]
    assert main(["what-if"]) == 2
    assert "Nothing would change" in capsys.readouterr().err
    assert tree(small_project.workspace.root) == before
    empty = replay(small_project.workspace, Change({"jump": 96.0}))
    assert replay_json(empty)["events"] == empty.events and str(empty.events)[:1] in replay_text(empty)
