"""The training of a night: what it learns from, what it costs, what it lets in."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from barcode_pipeline import admission, reporting
from barcode_pipeline.admission import about_in_service, cut_of, kept_challenger, models_table
from barcode_pipeline.chain import READ_COLUMNS, make_split, rows_of_training_set
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import PROBABILITIES, SCORES
from barcode_pipeline.events.times import day_number
from barcode_pipeline.feedback import judged_in, make_verdicts
from barcode_pipeline.learning import make_scores
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import save_lstm
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.night_split import judging_window, make_night_split
from barcode_pipeline.nightly import note_training_set
from barcode_pipeline.retraining import make_training_set, needs_full_training, night_lesson, train
from barcode_pipeline.sequences.split import HELD_OUT_LOTS, KNOWN_LOTS, TRAIN, VALIDATION
from barcode_pipeline.sequences.training_set import newest_training_set, read_training_set
from barcode_pipeline.simulator import World
from barcode_pipeline.teachers.planting.settings import FEWEST_COPIES
from barcode_pipeline.teachers.teacher import NO_ROW
from barcode_pipeline.training_events import events_of, rule_scores_of
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.nightly.retraining_projects import (
    CONFIGURATION,
    constant_feature,
    copied,
    flipped,
    flipped_family,
    made_project,
    night,
    poisoned_night,
    silent,
)
from barcode_pipeline_tests.test_feedback import verdict, write_feedback

WORLD = World(events=12_000, seed=4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A project whose model in service has learnt from nothing all but the days that judge models."""
    workspace = made_project(tmp_path_factory.mktemp("trained") / "project", WORLD)
    make_training_set(workspace, "challenger")
    train(workspace, "challenger", Compute(), silent)
    return workspace


@pytest.fixture
def project(trained: Workspace, tmp_path: Path) -> Workspace:
    return copied(trained, tmp_path / "project")


def configured(workspace: Workspace, section: str, **keys: object) -> Workspace:
    changed = getattr(workspace.configuration, section).model_copy(update=keys)
    return replace(workspace, configuration=workspace.configuration.model_copy(update={section: changed}))


def in_service(workspace: Workspace) -> str:
    registry = ModelRegistry(workspace.models)
    _, path = registry.load_in_service()
    return path.name


# ------------------------------------------------------------------ what a night learns from


def test_the_newest_days_judge_and_teach_nothing(project: Workspace) -> None:
    window = judging_window(project)
    assert window.newest - window.first + 1 == 7
    make_training_set(project, "night")
    night_set = read_training_set(project.night_training)
    part, time = np.asarray(night_set.part), np.asarray(night_set.time)
    assert night_set.about["cut"] == str(np.datetime64(window.first_second, "s"))
    assert (time[np.isin(part, (TRAIN, VALIDATION))] < window.first_second).all()
    assert (time[np.isin(part, (KNOWN_LOTS, HELD_OUT_LOTS))] >= window.first_second).all()
    assert {KNOWN_LOTS, HELD_OUT_LOTS} <= set(part.tolist())
    champion, _ = ModelRegistry(project.models).load_in_service()
    assert cut_of(champion) == window.first_second
    lesson, material = night_lesson(project, champion, night_set)
    assert material.planting.copies == FEWEST_COPIES, "there is room for all"
    used = lesson.row[((lesson.train > 0) | (lesson.validation > 0)) & (lesson.row != NO_ROW)]
    assert set(part[used].tolist()) == {TRAIN, VALIDATION}
    assert lesson.targets[lesson.train > 0].any(axis=0).all(), "every label is taught"


def test_a_nights_events_are_those_of_the_dates(project: Workspace) -> None:
    """Row by row the same features, labels and parts as in the training set of all events."""
    make_split(project, CONFIGURATION.nightly.judged_days)
    make_night_split(configured(project, "nightly", live_events=4000, replay_events=2000), 0)
    every, some = read_training_set(project.training), read_training_set(project.night_training)
    keys = [rows_of_training_set(project, project.enriched, one, READ_COLUMNS) for one in (every, some)]
    texts = [
        [f"{row}" for row in zip(*(table.column(name).to_pylist() for name in READ_COLUMNS), strict=True)]
        for table in keys
    ]
    place = {text: row for row, text in enumerate(texts[0])}
    assert len(place) == len(every) > len(some) > 1000
    rows = np.array([place[text] for text in texts[1]])
    for name in ("features", "rule_labels", "time", "part"):
        np.testing.assert_array_equal(getattr(some, name), getattr(every, name)[rows], err_msg=name)
    assert events_of(project, some).to_pydict() == keys[1].to_pydict(), "kept beside it is what the dates hold"
    scores = rows_of_training_set(project, project.labels, some, SCORES).to_pandas().to_numpy()
    np.testing.assert_array_equal(rule_scores_of(project, some), scores)
    assert events_of(project, every).to_pydict() == keys[0].to_pydict(), "of all events they are read from the dates"
    # Journeys and lots of the night are whole as far as they are looked at.
    assert len(np.unique(rows)) == len(rows)
    lots = np.unique(np.asarray(every.lot)[rows[np.asarray(keys[1].column("epc_code").is_valid())]])
    assert np.isin(np.asarray(every.lot), lots).sum() <= len(rows)


def test_what_is_read_has_a_bound(project: Workspace) -> None:
    small = configured(project, "nightly", live_events=1000, replay_events=500, journeys=40)
    about = make_night_split(small, 0)
    largest = max(np.bincount(np.asarray(read_training_set(project.training).lot)))
    assert about["events"] <= 1500 + 2 * largest + 20
    champion, _ = ModelRegistry(small.models).load_in_service()
    lesson, material = night_lesson(small, champion, read_training_set(small.night_training))
    assert lesson.journeys.with_any(lesson.train > 0).sum() == 40
    assert material.planting.copies == 1 < FEWEST_COPIES, "more would be thinned out"


def test_verdicts_on_other_lots_are_taught_too(project: Workspace) -> None:
    place = configured(project, "nightly", live_events=1000, replay_events=300, verdict_epcs=6)
    place = configured(place, "training", teachers=("planted", "verdicts"))
    make_night_split(place, 0)
    first = read_training_set(place.night_training)
    table = place.enriched.read(place.enriched.days(), READ_COLUMNS)
    known = set(rows_of_training_set(place, place.enriched, first, ("epc_code",)).column("epc_code").to_pylist())
    rows = table.slice(0, 6000).filter(table.slice(0, 6000).column("epc_code").is_valid()).to_pylist()
    others = {row["epc_code"]: row for row in rows if row["epc_code"] not in known}
    judged = [verdict(row, when=f"2025-12-{day:02}") for day, row in enumerate(list(others.values())[:10], 1)]
    write_feedback(place.feedback / "a.csv", judged)
    assert make_verdicts(place).unknown == 0
    assert make_night_split(place, 0)["epcs_with_verdicts"] == 6
    again = read_training_set(place.night_training)
    found = judged_in(place, again)
    codes = rows_of_training_set(place, place.enriched, again, ("epc_code",)).column("epc_code").to_pylist()
    there = {codes[row] for row in np.flatnonzero(found.judged.any(axis=1))}
    assert there == {row["epc_code"] for row in judged[4:]}, "the latest"
    champion, _ = ModelRegistry(place.models).load_in_service()
    lesson, _ = night_lesson(place, champion, again)
    taught = {codes[row] for row in lesson.row[lesson.train > 1]}
    held_out = {codes[row] for row in np.flatnonzero(found.judged.any(axis=1) & (np.asarray(again.part) >= KNOWN_LOTS))}
    validation = {
        codes[row] for row in np.flatnonzero(found.judged.any(axis=1) & (np.asarray(again.part) == VALIDATION))
    }
    assert taught == there - held_out - validation


# ------------------------------------------------------------------ from what it starts


def test_a_night_goes_on_from_the_model_in_service(project: Workspace) -> None:
    before = in_service(project)
    trained = night(project)
    about = trained.model.about
    assert about["warm_from"] == trained.entry.warm_from == before and trained.entry.start == "warm"
    assert about["training"]["epochs"] == CONFIGURATION.nightly.epochs >= len(about["history"]) - 1
    assert about["history"][0]["epoch"] == 0, "how the champion did before"
    assert about["trained_from"] <= ModelRegistry(project.models).load_in_service()[0].about["trained_from"]
    assert about["trained_to"] < about["cut"]
    assert trained.entry.figures["PR-AUC"] > 0.5 and trained.entry.reason
    told = about_in_service(ModelRegistry(project.models))
    assert told["model in service"] == in_service(project) and told["in service since"]


def test_by_hand_starts_from_nothing_and_past_the_gate(project: Workspace) -> None:
    make_training_set(project, "by hand")
    said: list[str] = []
    trained = train(project, "by hand", Compute(), said.append)
    assert trained.entry.start == "nothing" and trained.entry.warm_from is None
    assert trained.entry.status in ("promoted", "kept") and "beyond the noise" in trained.entry.reason
    assert any(line.startswith("examined against lstm_model_") for line in said)


def test_what_needs_a_training_from_nothing(project: Workspace) -> None:
    assert needs_full_training(project) == []
    assert needs_full_training(project, ["features have drifted"]) == ["features have drifted"]
    wider = configured(project, "model", width=16)
    assert needs_full_training(wider) == ["features or settings are others than those of the last training"]
    assert needs_full_training(configured(project, "nightly", epochs=9)) == [], "how a night trains is no reason"
    path = ModelRegistry(project.models).in_service()
    assert path is not None
    path.write_bytes(b"no model")
    (reason,) = needs_full_training(project)
    assert reason.startswith("the model in service cannot be gone on from") and "is no model file" in reason
    project.model_pointer.unlink()
    assert needs_full_training(project) == ["no model is in service"]


def test_a_night_that_has_to_starts_from_nothing_and_lets_the_newest_days_judge(project: Workspace) -> None:
    for path in (project.models / "lstm").glob("*"):
        path.unlink() if path.is_file() else None
    said: list[str] = []
    trained = night(project, said.append)
    assert "trained from nothing: no model is in service" in said
    assert trained.entry.start == "nothing" and trained.entry.reason == "the first model: none was in service"
    assert cut_of(trained.model) == judging_window(project).first_second
    assert in_service(project) == trained.path.name
    assert needs_full_training(project) == []


def test_a_model_of_another_program_gives_way(project: Workspace) -> None:
    path = ModelRegistry(project.models).in_service()
    assert path is not None
    path.write_bytes(b"no model")
    trained = night(project)
    assert trained.entry.status == "promoted" and "cannot answer" in trained.entry.reason
    assert in_service(project) == trained.path.name


# ------------------------------------------------------------------ what is let in


@pytest.mark.parametrize(
    "change",
    [flipped(0.05), flipped(0.2), flipped_family, constant_feature],
    ids=["5 % flipped", "20 % flipped", "one product flipped", "a feature constant"],
)
def test_a_poisoned_night_leaves_the_champion(
    project: Workspace, monkeypatch: pytest.MonkeyPatch, change: object
) -> None:
    before, pointer = in_service(project), project.model_pointer.read_bytes()
    trained = poisoned_night(project, monkeypatch, change)  # type: ignore[arg-type]
    assert trained.entry.status == "kept"
    assert trained.entry.reason.startswith(("worse beyond the noise", "the night's lesson "))
    assert change is not constant_feature or "one value of log_hours_since_previous on" in trained.entry.reason
    assert project.model_pointer.read_bytes() == pointer and in_service(project) == before
    assert trained.path.exists()
    table = models_table(ModelRegistry(project.models))
    assert f"* {before}" in table and trained.entry.reason in table
    challenger = kept_challenger(project)
    assert challenger is not None and challenger.about["warm_from"] == before
    # The next night goes on from the champion, not from what was kept.
    assert night(project).entry.warm_from == before


def test_killed_during_the_exam_leaves_the_model_in_service(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    before = in_service(project)
    with monkeypatch.context() as patched:
        patched.setattr(admission, "examine", killed)
        with pytest.raises(KeyboardInterrupt):
            night(project)
    registry = ModelRegistry(project.models)
    assert in_service(project) == before and [entry.status for entry in registry.entries()] == ["promoted", "new"]
    assert night(project).entry.status in ("promoted", "kept")
    in_service(project)


def test_without_events_on_the_newest_days_nothing_can_be_told(project: Workspace) -> None:
    """The champion has learnt all there is: no day is left that neither has seen."""
    champion, path = ModelRegistry(project.models).load_in_service()
    champion.about["cut"] = "2026-06-01T00:00:00"
    save_lstm(champion, path)
    entry = admission.admit(project, champion, silent)
    assert entry.status == "kept" and "no event" in entry.reason


def test_a_world_where_all_is_new_breaks_nothing(project: Workspace, tmp_path: Path) -> None:
    """Sites, products, lots and companies that no model has met: nothing is learnt by name."""
    other = made_project(tmp_path / "other", World(events=6_000, seed=9, network=3))
    (other.models).mkdir(exist_ok=True)
    for path in (project.models / "lstm").glob("*.*"):
        (other.models / "lstm").mkdir(exist_ok=True)
        (other.models / "lstm" / path.name).write_bytes(path.read_bytes())
    codes = [set(place.merged.read(place.merged.days(), ("epc_code",)).column("epc_code").to_pylist()) - {None}
             for place in (project, other)]  # fmt: skip
    products = [{".".join(code.split(".")[1:3]) for code in some if code.count(".") == 5} for some in codes]
    assert len(products[1] - products[0]) >= 3
    days = other.sequences.days()
    assert sum(make_scores(other, days).values()) == sum(other.merged.rows(day) or 0 for day in days)
    scores = other.scores.read(days, PROBABILITIES)
    assert all(np.isfinite(scores.column(name).to_numpy()).all() for name in PROBABILITIES)
    assert make_night_split(other, 0)["events"]
    trained = night(other)
    assert trained.entry.status in ("promoted", "kept")


def test_a_shifted_world_gets_its_retrained_model(tmp_path: Path) -> None:
    """From one day on all routes take 30 % longer; the champion has learnt what was before."""
    shift = datetime.date(2025, 11, 1)
    workspace = made_project(tmp_path / "shifted", World(events=12_000, seed=6, slower_routes=(shift, 1.3)))
    before = judging_window(workspace).newest - day_number(shift.isoformat()) + 1
    make_split(workspace, before)
    note_training_set(workspace)
    train(workspace, "challenger", Compute(), silent)
    champion = in_service(workspace)
    assert cut_of(ModelRegistry(workspace.models).load_in_service()[0]) == day_number(shift.isoformat()) * 86_400
    went_on = night(workspace)
    assert went_on.entry.status == "promoted" and went_on.entry.warm_from == champion, went_on.entry.reason
    assert in_service(workspace) == went_on.path.name != champion


# ------------------------------------------------------------------ who reads it


def test_the_report_of_a_night_judges_on_its_days_and_shows_who_was_kept(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "baseline_probabilities", lambda *_: {})
    poisoned_night(project, monkeypatch, flipped(0.2))
    make_scores(project, project.sequences.days()[-10:])
    night_set = newest_training_set([project.training, project.night_training])
    assert night_set.about["night"] == night_set.about["last_date"]
    report = reporting.make_report(project, "20250901-120000", "2025-09-01 12:00:00", silent)
    assert {row["model"] for row in report.rows} >= {"lstm", "lstm_challenger", "rules"}
    evaluated = {
        row["stratum"]: row["events"] for row in report.rows if (row["model"], row["reference"]) == ("lstm", "rules")
    }
    assert evaluated["known_lots"] == int((np.asarray(night_set.part) == KNOWN_LOTS).sum())
    facts = json.loads((report.folder / "metrics.json").read_text())["model"]
    assert facts["model in service"] == in_service(project) and facts["trained from"] == "nothing"


def test_a_model_is_not_judged_on_what_it_has_learnt(project: Workspace) -> None:
    """An older split, whose cut lies before what the model has learnt since: known lots count from there on alone."""
    make_split(project)
    training_set = read_training_set(project.training)
    model, _ = ModelRegistry(project.models).load_in_service()
    rows = reporting._evaluated(training_set, model)
    part, time = np.asarray(training_set.part)[rows], np.asarray(training_set.time)[rows]
    known = time[part == KNOWN_LOTS]
    assert len(known) and known.min() >= cut_of(model) > int(np.datetime64(training_set.about["cut"], "s").astype(int))
    assert (time[part == HELD_OUT_LOTS] < cut_of(model)).any(), "of lots that it never saw all counts"


def test_by_hand_there_and_back(
    project: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from barcode_pipeline.cli import main
    from barcode_pipeline.workspace import ROOT_VARIABLE

    monkeypatch.setenv(ROOT_VARIABLE, str(project.root))
    first = in_service(project)
    with pytest.raises(UserError, match="nothing to roll back to"):
        admission.roll_back(project)
    second = poisoned_night(project, monkeypatch, flipped(0.2)).path.name
    assert main(["models", "promote", second]) == 0 and in_service(project) == second
    assert main(["models", "rollback"]) == 0 and in_service(project) == first
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert f"* {first}" in listed and f"  {second}" in listed and "PR-AUC" in listed and "in service since" in listed
    (project.models / "lstm" / second).write_bytes(b"no model")
    for wrong in (["models", "promote", second], ["models", "promote", "other.pt"], ["models", "promote"]):
        assert main(wrong) == 2
    assert main(["models", "rollback", first]) == 2 and in_service(project) == first
