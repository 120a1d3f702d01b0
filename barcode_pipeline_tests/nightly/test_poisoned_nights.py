"""What stops a poisoned night, and what a shifted world leads to: the figures of the note, measured. `pytest -s` shows
them, as lines of its tables."""

from __future__ import annotations

import datetime
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from barcode_pipeline.admission import models_table
from barcode_pipeline.configuration import Configuration
from barcode_pipeline.drifting import FINE, in_words, lasting_drift, sequences_drift
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.learning import TrainedModel
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.orchestration.checks import features_vary, label_rates
from barcode_pipeline.retraining import make_training_set, needs_full_training, train
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.tables import feature_matrix
from barcode_pipeline.simulator import World
from barcode_pipeline.teachers.teacher import Lesson, Material
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.nightly.retraining_projects import (
    CONFIGURATION,
    Change,
    constant_feature,
    copied,
    flipped,
    flipped_family,
    made_project,
    night,
    poisoned_night,
    silent,
)
from barcode_pipeline_tests.test_constant_features import constant, spoil

pytestmark = pytest.mark.slow

SHIFT = datetime.date(2025, 11, 1)
SHIFTED = World(events=500_000, seed=3, slower_routes=(SHIFT, 1.3))
QUIET_SEEDS = (11, 12)
QUICK = CONFIGURATION.model_dump(include={"model", "planting", "evaluation"})
CONFIGURED = Configuration.model_validate(QUICK)
"""A small model; nights as they are in service."""


def all_but_the_newest_learnt(workspace: Workspace) -> None:
    """A model that has learnt what a night's may: what it answers is not asked here."""
    make_training_set(workspace, "challenger")
    newest = date_text(workspace.sequences.days()[-1])
    workspace.model_pointer.parent.mkdir(parents=True, exist_ok=True)
    workspace.model_pointer.write_text(f'{{"model_file": "of_{newest}.pt"}}')


def in_service(workspace: Workspace) -> str:
    path = ModelRegistry(workspace.models).in_service()
    assert path is not None
    return path.name


def told(name: str, trained: TrainedModel) -> None:
    print(f"{name} | {trained.entry.status} | {trained.entry.reason}")


# ------------------------------------------------------------------ poison


@pytest.fixture(scope="module", params=(3, 4, 5), ids="seed {}".format)
def champion(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A project whose model has learnt from nothing all but the days that judge models."""
    world = World(events=60_000, seed=request.param)
    workspace = made_project(tmp_path_factory.mktemp("poisoned") / f"seed_{request.param}", world, CONFIGURED)
    make_training_set(workspace, "challenger")
    train(workspace, "challenger", Compute(), silent)
    return workspace


def never_said(label: str) -> Change:
    """One label is on no event."""

    def change(lesson: Lesson, _: Material) -> Lesson:
        targets = lesson.targets.copy()
        targets[:, LABELS.index(label)] = False
        return replace(lesson, targets=targets)

    return change


def unsaid(share: float) -> Change:
    """So many of the anomalies pass for ordinary events."""

    def change(lesson: Lesson, _: Material) -> Lesson:
        left_out = np.random.default_rng(6).random(len(lesson)) < share
        return replace(lesson, targets=lesson.targets & ~left_out[:, None])

    return change


def swapped(first: str, second: str) -> Change:
    """Two labels stand in each other's column."""
    order = [{first: second, second: first}.get(name, name) for name in LABELS]
    columns = [LABELS.index(name) for name in order]
    return lambda lesson, _: replace(lesson, targets=lesson.targets[:, columns])


LESSONS: dict[str, Change] = {
    "nothing": lambda lesson, _: lesson,
    "0.2 % flipped": flipped(0.002),
    "1 % flipped": flipped(0.01),
    "5 % flipped": flipped(0.05),
    "20 % flipped": flipped(0.2),
    "one family of lots flipped": flipped_family,
    "jump never said": never_said("jump"),
    "locErr and jump swapped": swapped("locErr", "jump"),
    "20 % of anomalies unsaid": unsaid(0.2),
    "a feature constant in the lesson": constant_feature,
}
"""Flipped: of so many events one of the five labels says the opposite."""
MAY_ENTER = ("nothing", "0.2 % flipped", "1 % flipped", "jump never said", "20 % of anomalies unsaid")
"""All others may not reach the model in service. What all points one way, the exam stops where one night does enough
harm to be told from noise."""


@pytest.mark.parametrize("name", LESSONS)
def test_a_poisoned_lesson(champion: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    place = copied(champion, tmp_path / champion.root.name)
    before = in_service(place)
    trained = poisoned_night(place, monkeypatch, LESSONS[name])
    told(f"{place.root.name}, {name}", trained)
    if name == "nothing":
        assert trained.entry.status == "promoted"
    if name not in MAY_ENTER:
        assert trained.entry.status == "kept" and in_service(place) == before
        page = models_table(ModelRegistry(place.models))
        assert f"* {before}" in page and trained.entry.reason in page


def test_the_night_after_a_poisoned_one_goes_on_from_the_champion(
    champion: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = copied(champion, tmp_path / "project")
    before = in_service(place)
    assert poisoned_night(place, monkeypatch, LESSONS["5 % flipped"]).entry.status == "kept"
    again = night(place).entry
    assert again.warm_from == before and again.status == "promoted"


@pytest.mark.parametrize("events", [60_000, 250_000, 1_000_000])
def test_a_feature_constant_on_a_date(tmp_path: Path, events: int) -> None:
    """Of each feature its most common value of a date on all its events: which are stopped before the model. The more
    lots move on a date, the more features are known to vary."""
    place = made_project(tmp_path / "project", World(events=events, seed=3), CONFIGURED)
    all_but_the_newest_learnt(place)
    assert all(finding.passed for finding in features_vary(place, place.sequences.days()))
    newest = place.sequences.days()[-7:]
    day = max(newest, key=lambda one: place.sequences.rows(one) or 0)
    whole, stopped = place.sequences.read([day]), []
    for feature in FEATURE_NAMES:
        spoil(place, day, constant(feature, most_common(whole, feature)))
        (finding,) = features_vary(place, [day])
        if not finding.passed:
            stopped.append(feature)
            assert feature in finding.reason
        place.sequences.write(whole, np.full(len(whole), day), [day])
    others = [feature for feature in FEATURE_NAMES if feature not in stopped]
    print(f"of {len(whole)} rows | {len(stopped)} of {len(FEATURE_NAMES)} stopped | not: {', '.join(others)}")
    assert {"log_hours_since_previous", "lot_log_events", "log_position"} <= set(stopped)


def most_common(table: pa.Table, feature: str) -> float:
    distinct, counts = np.unique(feature_matrix(table)[:, FEATURE_NAMES.index(feature)], return_counts=True)
    return float(distinct[counts.argmax()])


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_flipped_rule_labels_of_a_date(champion: Workspace, tmp_path: Path, share: float) -> None:
    """The gate's bands see it where a label is on more than a tenth of the rows; the planted teacher does not ask."""
    place = copied(champion, tmp_path / "project")
    day = max(place.labels.days()[-14:], key=lambda one: place.labels.rows(one) or 0)
    table, random = place.labels.read([day]), np.random.default_rng(5)
    for label in LABELS:
        column = table.column(label).to_numpy()
        at = table.schema.get_field_index(label)
        values = np.where(random.random(len(column)) < share, 1 - column, column).astype(column.dtype)
        table = table.set_column(at, table.schema.field(at), [values])
    place.labels.write(table, np.full(len(table), day), [day])
    gate = place.configuration.gate.model_copy(update={"lowest_rows": 100})
    judged = Workspace(place.root, place.configuration.model_copy(update={"gate": gate}))
    (finding,) = label_rates(judged, [day])
    print(f"{share:.0%} of each rule label flipped | {'passes' if finding.passed else finding.reason}")
    assert finding.passed == (share < 0.1)


# ------------------------------------------------------------------ a world that shifts


def up_to(workspace: Workspace, root: Path, day: int) -> Workspace:
    """The project as the night of a day finds it."""
    last = date_text(day)

    def later(_: str, names: list[str]) -> set[str]:
        return {name for name in names if name == "raw" or (name.endswith(".parquet") and last < name[:10] < "3")}

    def copy(source: str, target: str) -> None:
        if not Path(target).exists():
            (os.link if source.endswith(".parquet") else shutil.copy2)(source, target)

    shutil.copytree(workspace.root, root, ignore=later, copy_function=copy, dirs_exist_ok=True)
    return Workspace(root, workspace.configuration)


def judged_levels(workspace: Workspace, first: int, last: int) -> dict[int, str]:
    """What the nights from one to another are warned of."""
    found = sequences_drift(workspace, [day for day in workspace.sequences.days() if first <= day <= last])
    return {drift.day: in_words(drift) for drift in found if drift.level != FINE}


def test_a_shifted_world_is_reported_and_its_retrained_model_promoted(tmp_path: Path) -> None:
    """Routes take 30 % longer from a day on: told on that night or the next; once it has lasted, a model is trained
    from nothing, once, and enters."""
    shift = day_number(SHIFT.isoformat())
    every = made_project(tmp_path / "world", SHIFTED, CONFIGURED)
    place = up_to(every, tmp_path / "nights", shift - 1)
    make_training_set(place, "challenger")
    first = train(place, "challenger", Compute(), silent)
    assert judged_levels(place, shift - 25, shift - 1) == {} and needs_full_training(place) == []
    for night_after in range(25):
        day = shift + night_after
        place = up_to(every, tmp_path / "nights", day)
        warned = judged_levels(place, day, day)
        print(f"{date_text(day)} | {warned.get(day, 'nothing unusual')} | {needs_full_training(place)}")
        if night_after == 1:
            assert any("jump_rate" in words for words in judged_levels(place, shift, day).values())
        if needs_full_training(place):
            break
    assert 8 <= night_after <= 14 and "jump_rate has drifted for" in needs_full_training(place)[0]
    said: list[str] = []
    make_training_set(place, "night")
    trained = train(place, "night", Compute(), said.append)
    told(date_text(day), trained)
    assert any("trained from nothing: jump_rate has drifted" in line for line in said)
    assert trained.entry.start == "nothing" and trained.entry.status == "promoted"
    assert in_service(place) == trained.path.name != first.path.name
    # The nights that follow go on from it.
    for later in range(1, 4):
        place = up_to(every, tmp_path / "nights", day + later)
        judged_levels(place, day + later, day + later)
        assert needs_full_training(place) == []
    assert night(place).entry.start == "warm"


@pytest.mark.parametrize("seed", QUIET_SEEDS)
def test_a_quiet_world_is_hardly_warned_of_and_asks_for_no_training(tmp_path: Path, seed: int) -> None:
    """Worlds on which nothing was set, a new model every week. Their last three weeks are left out: nothing is made any
    more, and what is left lies longer and longer. A product that no lesson has had yet is news even there."""
    every = made_project(tmp_path / "world", World(events=500_000, seed=seed), CONFIGURED)
    first, end = day_number("2025-09-24"), day_number("2025-11-24")
    quiet, told_of, lasting = up_to(every, tmp_path / "quiet", first - 1), {}, []
    all_but_the_newest_learnt(quiet)
    judged_levels(quiet, first - 40, first - 1)
    for day in range(first, end + 1, 7):
        last = min(day + 6, end)
        quiet = up_to(every, tmp_path / "quiet", last)
        told_of |= judged_levels(quiet, day, last)
        lasting += lasting_drift(quiet)
        all_but_the_newest_learnt(quiet)
    judged = [day for day in quiet.sequences.days() if first <= day <= end]
    new_products = {day for day, words in told_of.items() if is_of_products_alone(words)}
    for day, words in told_of.items():
        print(f"{date_text(day)} | {words}")
    print(f"seed {seed} | {len(told_of)} of {len(judged)} nights, {len(new_products)} of them of new products alone")
    assert len(told_of) - len(new_products) <= 0.1 * len(judged)
    assert lasting == []


def is_of_products_alone(words: str) -> bool:
    return words.count(" in the nights before ") == words.count("unseen_products is") == 1
