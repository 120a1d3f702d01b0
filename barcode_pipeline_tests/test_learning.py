"""Train and score, end to end on a small project."""

from __future__ import annotations

import datetime
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from barcode_pipeline import learning
from barcode_pipeline.chain import make_enriched, make_sequences
from barcode_pipeline.configuration import Configuration
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import ALERTS, KEY_COLUMNS, LABELS, PROBABILITIES
from barcode_pipeline.learning import baseline_probabilities, make_scores, material_of, train_baselines, train_model
from barcode_pipeline.models.baselines.registry import BASELINES
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import KNOWN_LOTS, TRAIN, VALIDATION
from barcode_pipeline.sequences.training_set import read_training_set
from barcode_pipeline.teachers.planting.families import FAMILY_NAMES
from barcode_pipeline.teaching import learn
from barcode_pipeline.workspace import Workspace


def silent(_):
    pass


def numbers_of(table, names):
    return np.column_stack([table.column(name).to_numpy(zero_copy_only=False) for name in names])


def test_every_event_has_its_scores(small_project):
    workspace, days = small_project.workspace, small_project.days
    assert workspace.scores.days() == days
    assert small_project.rows == {day: workspace.merged.rows(day) for day in days}
    scores = workspace.scores.read(days)
    assert scores.select(KEY_COLUMNS).equals(workspace.enriched.read(days, KEY_COLUMNS))
    probability = numbers_of(scores, PROBABILITIES)
    assert ((probability >= 0) & (probability <= 1)).all()


def test_alerts_are_the_probabilities_that_reach_their_thresholds(small_project):
    scores = small_project.workspace.scores.read(small_project.days)
    probability, alerts = numbers_of(scores, PROBABILITIES), numbers_of(scores, ALERTS)
    budget = small_project.workspace.configuration.scoring.false_alerts_per_10k
    threshold = small_project.trained.model.at_budget(budget).calibration.threshold
    np.testing.assert_array_equal(alerts, probability >= threshold.astype(np.float32))
    assert alerts.any(), "a world without an alert tests nothing"


def test_a_second_opinion_stands_beside_and_gives_no_alert(small_project):
    workspace, model = small_project.workspace, small_project.trained.model
    assert model.second is not None
    training_set = read_training_set(workspace.training)
    journeys = JourneyFeatures(training_set.features, np.asarray(training_set.offsets))
    alone = replace(model, second=None)
    ours, theirs = model.probabilities(journeys), alone.probabilities(journeys)
    np.testing.assert_array_equal(model.calibration.alerts(ours), model.calibration.alerts(theirs))
    assert (ours != theirs).mean() > 0.2, "it is not heard"


def test_method_and_model_stand_beside_every_score_and_a_reason_beside_every_alert(small_project):
    scores = small_project.workspace.scores.read(small_project.days)
    assert set(scores.column("method").to_pylist()) == {"lstm"}
    assert set(scores.column("model_file").to_pylist()) == {small_project.trained.path.name}
    alerts = numbers_of(scores, ALERTS)
    reasons = scores.column("reason").to_pylist()
    np.testing.assert_array_equal([reason is not None for reason in reasons], alerts.any(axis=1))
    for reason, row in zip(reasons, alerts, strict=True):
        if reason is not None:
            assert [part.split(": ")[0] for part in reason.split(" | ")] == list(np.array(LABELS)[row])


def test_the_file_bears_the_day_and_is_in_service(small_project):
    trained, workspace = small_project.trained, small_project.workspace
    today = datetime.datetime.now(ZoneInfo("Asia/Seoul")).date()
    names = [f"lstm_model_{day:%Y%m%d}.pt" for day in (today, today - datetime.timedelta(days=1))]
    assert trained.path.name in names
    assert ModelRegistry(workspace.models).in_service() == trained.path
    assert any(line.startswith(f"in service: {trained.path.name} (") for line in small_project.said)
    assert not list(ModelRegistry(workspace.models).checkpoint.glob("*.pt")), "checkpoints of ended trainings"


def test_the_model_says_what_it_was_trained_on(small_project):
    about = small_project.trained.model.about
    training_set = read_training_set(small_project.workspace.training)
    by_rules = np.asarray(training_set.rule_labels).any(axis=1)
    time = np.asarray(training_set.time)[(training_set.part == TRAIN) & ~by_rules]
    assert about["data_fingerprint"] == training_set.about["fingerprint"]
    first, last = (np.datetime64(about[name], "s").astype(np.int64) for name in ("trained_from", "trained_to"))
    assert time.min() <= first < last <= time.max()
    assert about["trained_to"] < about["cut"] == training_set.about["cut"]
    assert about["teacher"] == "planted"
    assert about["events_trained_on"] > sum(about["planted"].values()) > 0


def test_one_date_alone_has_the_scores_it_has_among_all(small_project, copy_of_project):
    days = small_project.days
    for day in (days[0], days[len(days) // 2], days[-1]):
        before = copy_of_project.scores.read([day])
        assert make_scores(copy_of_project, [day]) == {day: len(before)}
        after = copy_of_project.scores.read([day])
        np.testing.assert_allclose(numbers_of(after, PROBABILITIES), numbers_of(before, PROBABILITIES), atol=1e-5)
        others = [name for name in after.column_names if name not in PROBABILITIES]
        if np.array_equal(numbers_of(after, ALERTS), numbers_of(before, ALERTS)):
            assert after.select(others).equals(before.select(others)) or any(
                "the model alone" in (reason or "") for reason in after.column("reason").to_pylist()
            )


def test_scores_are_those_of_the_training_sets_journeys(small_project):
    """Date by date for scoring, or journey by journey for training: the same features, the same scores."""
    workspace = small_project.workspace
    training_set = read_training_set(workspace.training)
    journeys = JourneyFeatures(training_set.features, np.asarray(training_set.offsets))
    scores = numbers_of(workspace.scores.read(small_project.days), PROBABILITIES)
    # As it is in service: what the second opinion lifts hangs on the thresholds.
    in_service = small_project.trained.model.at_budget(workspace.configuration.scoring.false_alerts_per_10k)
    expected = in_service.probabilities(journeys)
    np.testing.assert_allclose(scores[training_set.source], expected, atol=1e-5)


def test_training_again_gives_the_same_weights_in_another_file(small_project, copy_of_project):
    path = small_project.trained.path
    before = (copy_of_project.models / "lstm" / path.name).read_bytes()
    again = train_model(copy_of_project, Compute(), silent)
    assert again.path.name == f"{path.stem}_2.pt" or again.path.name[:-3] > path.stem  # the day may have changed
    assert (copy_of_project.models / "lstm" / path.name).read_bytes() == before
    assert ModelRegistry(copy_of_project.models).in_service() == again.path
    for name, value in again.model.network.state_dict().items():
        assert value.equal(small_project.trained.model.network.state_dict()[name]), name
    day = small_project.days[-1]
    make_scores(copy_of_project, [day])
    assert set(copy_of_project.scores.read([day]).column("model_file").to_pylist()) == {again.path.name}


def test_planted_anomalies_teach_after_a_search(copy_of_project):
    """All passes, end to end: suspects are kept from the ordinary, and the file says what it was taught."""
    configuration = copy_of_project.configuration
    configuration = configuration.model_copy(
        update={
            "training": configuration.training.model_copy(update={"teachers": ("planted",)}),
            "planting": configuration.planting.model_copy(update={"passes": 2, "events": 0, "share": 0.3}),
        }
    )
    place = replace(copy_of_project, configuration=configuration)
    said = []
    trained = train_model(place, Compute(), said.append)
    about = trained.model.about
    assert about["teacher"] == "planted"
    assert about["planting"] == configuration.planting.model_dump(mode="json")
    assert set(about["planted"]) == set(FAMILY_NAMES)
    assert sum(about["planted"].values()) == sum(about["positives_trained_on"].values()) > 100
    assert any(line.startswith("search 1 of 1: ") for line in said)
    training_set = read_training_set(place.training)
    assert 0 < about["suspects"] < np.isin(training_set.part, (TRAIN, VALIDATION)).sum() / 4
    assert about["trained_to"] < about["cut"]
    assert not list(ModelRegistry(place.models).checkpoint.glob("*.pt"))
    # Who learns from the same lesson finds the searches made; who learns from another does not.
    material = material_of(place, training_set)
    again: list[str] = []
    one_layer, _ = learn(place, material, 1, Compute(), again.append)
    assert one_layer.about["suspects"] == about["suspects"]
    assert any(line.startswith("the searches of this lesson have been made") for line in again)
    other: list[str] = []
    learn(place, replace(material, seed=99), 1, Compute(), other.append)
    assert any(line.startswith("search 1 of 1: ") for line in other)
    # What rules can see is found on events that no teacher looked at, without a rule's label in training.
    held_out = training_set.part >= KNOWN_LOTS
    journeys = JourneyFeatures(training_set.features, np.asarray(training_set.offsets))
    fake = np.asarray(training_set.rule_labels)[held_out, 0]
    found = trained.model.probabilities(journeys)[held_out, 0]
    assert np.median(found[fake]) > 20 * np.median(found[~fake])


def test_baselines_say_something_of_every_event(small_project):
    workspace = small_project.workspace
    training_set = read_training_set(workspace.training)
    journeys = JourneyFeatures(training_set.features, np.asarray(training_set.offsets))
    found = baseline_probabilities(workspace, journeys)
    assert (
        set(found)
        == set(small_project.seconds)
        == {"lstm_one_layer", "lstm_rule_labels", *(make().name for make in BASELINES)}
    )
    for name, (probability, alert) in found.items():
        assert probability.shape == alert.shape == (len(training_set), len(LABELS)), name
        assert ((probability >= 0) & (probability <= 1)).all(), name
        # Within validation no label's alerts exceed five per positive; elsewhere they must not be most events.
        assert alert.mean(axis=0).max() < 0.5, name


def test_killed_while_baselines_are_trained_leaves_the_old_ones(copy_of_project, small_project, monkeypatch):
    training_set = read_training_set(copy_of_project.training)
    journeys = JourneyFeatures(training_set.features, np.asarray(training_set.offsets)).select(
        np.arange(len(training_set.offsets) - 1) < 50
    )[0]
    before = baseline_probabilities(copy_of_project, journeys)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(learning, "calibrate", killed)
    with pytest.raises(KeyboardInterrupt):
        train_baselines(copy_of_project, Compute(), silent)
    after = baseline_probabilities(copy_of_project, journeys)
    for name, (probability, _) in before.items():
        np.testing.assert_array_equal(after[name][0], probability)


# --- where something is missing -------------------------------------------------------------------------


@pytest.fixture
def nothing(tmp_path):
    return Workspace(tmp_path, Configuration())


@pytest.mark.parametrize("train", [train_model, train_baselines])
def test_without_a_training_set_the_error_says_what_to_do(nothing, train):
    with pytest.raises(UserError, match=r"no training set.*make run"):
        train(nothing, Compute(), silent)


def test_without_a_model_the_error_says_what_to_do(nothing):
    with pytest.raises(UserError, match=r"No model is in service.*barcode-pipeline train"):
        make_scores(nothing, [20_000])


def test_without_baselines_the_error_says_what_to_do(nothing):
    with pytest.raises(UserError, match=r"no baselines.*materialise baseline_models"):
        baseline_probabilities(nothing, JourneyFeatures(np.zeros((0, 46), np.float16), np.zeros(1, np.int64)))


def test_too_few_events_to_train_on_are_a_sentence(copy_of_project):
    """So many validation lots that none is left to train on, or the other way round."""
    from barcode_pipeline.chain import make_split

    configuration = copy_of_project.configuration
    split = configuration.split.model_copy(update={"validation_lots": 10**9})
    place = replace(copy_of_project, configuration=configuration.model_copy(update={"split": split}))
    make_split(place)
    with pytest.raises(UserError, match=r"too few events to train on.*split\.validation_lots"):
        train_model(place, Compute(), silent)


def test_dates_made_from_other_events_are_refused(small_project, copy_of_project):
    """A date enriched anew, and its sequences not: scores must not be laid beside the wrong rows."""
    day = small_project.days[5]
    table = copy_of_project.merged.read([day])
    copy_of_project.merged.write(table.slice(1), np.full(len(table) - 1, day), [day])
    make_enriched(copy_of_project, [day])
    with pytest.raises(UserError, match=r"do not hold the same events"):
        make_scores(copy_of_project, [day])
    make_sequences(copy_of_project, [day])
    assert make_scores(copy_of_project, [day]) == {day: len(table) - 1}


def test_a_date_without_rows_has_an_empty_file(small_project, copy_of_project):
    day = small_project.days[-1] + 1
    for store in (copy_of_project.merged, copy_of_project.enriched, copy_of_project.sequences):
        store.write(store.schema.empty_table(), np.zeros(0, np.int64), [day])
    assert make_scores(copy_of_project, [day]) == {day: 0}
    assert copy_of_project.scores.read([day]).schema.equals(pa.schema(copy_of_project.scores.schema))
