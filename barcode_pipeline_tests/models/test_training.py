"""Training: the same again, the same after a kill, stopped early at its best, and able to learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from barcode_pipeline.errors import UserError
from barcode_pipeline.models import training
from barcode_pipeline.models.adam import Adam
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import train_lstm
from barcode_pipeline.models.network import Architecture, SequenceNetwork
from barcode_pipeline.models.passes import distinct_training_passes
from barcode_pipeline.models.training import to_device, train_network, validate
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline_tests.models.journeys_by_hand import COLUMN, random_journeys

WIDTH = len(FEATURE_NAMES)
SETTINGS = TrainingSettings(epochs=4, patience=4, batch_events=256, learning_rate=0.01, seed=5)


@pytest.fixture(scope="module")
def lesson():
    """(training passes, validation passes) of some random journeys."""
    journeys, targets = random_journeys(1, 150)
    use = np.repeat(np.arange(150) % 3 > 0, np.diff(journeys.offsets))
    return tuple(distinct_training_passes(journeys, targets, some, 10) for some in (use, ~use))


def network_of(layers=2, dropout=0.2, seed=0):
    torch.manual_seed(seed)
    return SequenceNetwork(Architecture(WIDTH, layers, 8, dropout, 10))


def run(lesson, settings=SETTINGS, layers=2, checkpoint=None, say=lambda _: None):
    network = network_of(layers)
    with Compute().few_threads():
        history = train_network(network, *lesson, settings, Compute(), checkpoint, say)
    return network.state_dict(), history


def assert_same(one, other):
    (state, history), (other_state, other_history) = one, other
    assert history == other_history
    for name, value in state.items():
        assert torch.equal(value, other_state[name]), name


def test_same_seed_same_weights(lesson):
    assert_same(run(lesson), run(lesson))


def test_another_seed_gives_other_weights(lesson):
    (state, _), (other, _) = run(lesson), run(lesson, replace(SETTINGS, seed=6))
    assert not torch.equal(state["head.weight"], other["head.weight"])


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_killed_after_an_epoch_and_resumed_is_as_if_undisturbed(lesson, tmp_path, after):
    checkpoint = tmp_path / "folder" / "training.pt"
    said = []

    def say(line):
        said.append(line)
        if len(said) == after:
            raise Killed

    with pytest.raises(Killed):
        run(lesson, checkpoint=checkpoint, say=say)
    assert checkpoint.exists()
    assert_same(run(lesson, checkpoint=checkpoint, say=said.append), run(lesson))
    assert any(f"checkpoint after epoch {after}" in line for line in said)
    assert not checkpoint.exists(), "a checkpoint of a training that has ended"


def test_killed_within_an_epoch_and_resumed_is_as_if_undisturbed(lesson, tmp_path, monkeypatch):
    checkpoint, epochs = tmp_path / "training.pt", []

    def killed_in_the_third(*arguments):
        epochs.append(1)
        if len(epochs) == 3:
            raise Killed
        return validate(*arguments)

    monkeypatch.setattr(training, "validate", killed_in_the_third)
    with pytest.raises(Killed):
        run(lesson, checkpoint=checkpoint)
    monkeypatch.undo()
    assert_same(run(lesson, checkpoint=checkpoint), run(lesson))


def test_killed_while_the_checkpoint_is_written_keeps_the_one_before(lesson, tmp_path, monkeypatch):
    checkpoint, save, saved = tmp_path / "training.pt", torch.save, []

    def killed_in_the_second(content, path):
        saved.append(1)
        if len(saved) == 2:
            path.write_bytes(b"half")
            raise Killed
        save(content, path)

    monkeypatch.setattr(torch, "save", killed_in_the_second)
    with pytest.raises(Killed):
        run(lesson, checkpoint=checkpoint)
    monkeypatch.undo()
    assert_same(run(lesson, checkpoint=checkpoint), run(lesson))


def test_stops_early_and_goes_back_to_its_best(lesson):
    """What is to be validated by contradicts what is learnt, so that it soon gets worse."""
    turned = [replace(some, targets=1 - some.targets) for some in lesson[1]]
    settings = replace(SETTINGS, epochs=30, patience=3)
    network = network_of()
    history = train_network(network, lesson[0], turned, settings, Compute(), say=lambda _: None)
    losses = [row["validation_loss"] for row in history]
    best = int(np.argmin(losses))
    assert len(history) == best + 1 + 3 < 30
    again = validate(network, to_device(turned, Compute()), Compute())
    assert again["validation_loss"] == pytest.approx(losses[best], rel=1e-6)
    assert losses[-1] > losses[best]


def test_ends_at_the_last_epoch_and_goes_back_to_its_best(lesson):
    network = network_of()
    history = train_network(network, *lesson, SETTINGS, Compute(), say=lambda _: None)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    found = validate(network, to_device(lesson[1], Compute()), Compute())["validation_loss"]
    assert found == pytest.approx(min(row["validation_loss"] for row in history), rel=1e-6)
    assert not network.training


@pytest.mark.parametrize("averaged_epochs", [0.0, 0.25, 1.0])
def test_what_is_kept_is_an_average_of_the_weights_after_each_step(lesson, monkeypatch, averaged_epochs):
    """The share of a new one falls until it is that of an average over so many steps; 0 keeps the last."""
    step, after = Adam.step, []

    def noted(optimizer, rate):
        step(optimizer, rate)
        after.append([one.detach().clone() for one in optimizer._parameters])

    monkeypatch.setattr(Adam, "step", noted)
    settings = replace(SETTINGS, epochs=1, averaged_epochs=averaged_epochs)
    network = network_of()
    with Compute().few_threads():
        train_network(network, *lesson, settings, Compute(), None, lambda _: None)
    expected = after[0]
    for number, weights in enumerate(after):
        share = 1.0 if averaged_epochs == 0 else max(1 / (averaged_epochs * len(after)), 9 / (10 + number))
        share = min(share, 1.0)
        expected = [(1 - share) * mean + share * one for mean, one in zip(expected, weights, strict=True)]
    for one, other in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(one.detach(), other, rtol=1e-4, atol=1e-6)


def test_says_a_line_per_epoch(lesson):
    said = []
    run(lesson, say=said.append)
    assert len(said) == SETTINGS.epochs
    assert all("validation loss" in line and "left" in line for line in said)


def test_a_training_that_diverges_is_a_sentence(lesson, tmp_path):
    broken = [replace(some, features=np.full_like(some.features, np.nan)) for some in lesson[0]]
    with pytest.raises(UserError, match=r"lower training\.learning_rate"):
        run((broken, lesson[1]), checkpoint=tmp_path / "training.pt")
    assert not (tmp_path / "training.pt").exists(), "the next training would go on from what diverged"


def test_a_batch_holds_about_so_many_events_and_an_epoch_all_of_them(lesson):
    passes = to_device(lesson[0], Compute())
    batches = list(training._batches(passes, SETTINGS, 0))
    assert max(batch.weights.numel() for batch in batches) <= SETTINGS.batch_events
    assert sum(batch.weights.sum() for batch in batches) == pytest.approx(
        sum(float(one.weights.sum()) for one in passes)
    )
    order = [batch.features.sum() for batch in batches]
    assert order != [batch.features.sum() for batch in training._batches(passes, SETTINGS, 1)]


def test_learning_rate_warms_up_and_falls_to_a_hundredth():
    rates = np.array([training._learning_rate(SETTINGS, epoch) for epoch in np.linspace(0, SETTINGS.epochs, 200)])
    top = int(rates.argmax())
    assert (np.diff(rates[:top]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates.max() <= SETTINGS.learning_rate
    assert rates[-1] == pytest.approx(SETTINGS.learning_rate / 100)


def shipments(seed, count, rare):
    """Journeys of six steps; label 0 where the step before had another level, label 4 on one event in `rare`."""
    random = np.random.default_rng(seed)
    values = np.zeros((count, 6, WIDTH), np.float16)
    mark = random.random((count, 6)) < 0.2
    values[:, :, COLUMN["level_hub"]] = mark
    values[:, :, COLUMN["log_distance"]] = random.integers(0, 6, (count, 6)) / 4
    seldom = random.random((count, 6)) < 1 / rare
    values[:, :, COLUMN["overtaken_levels"]] = seldom
    targets = np.zeros((count, 6, 5), bool)
    targets[:, 1:, 0] = mark[:, :-1] & ~mark[:, 1:]
    targets[:, :, 4] = seldom
    journeys = JourneyFeatures(values.reshape(-1, WIDTH), np.arange(0, count * 6 + 1, 6))
    return journeys, targets.reshape(-1, 5)


@pytest.mark.parametrize("layers", [1, 2])
def test_learns_what_came_before_and_a_label_of_one_in_a_thousand(layers):
    journeys, targets = shipments(3, 6000, 1000)
    part = np.repeat(np.arange(6000) % 3, 6)
    model = train_lstm(
        journeys, targets, part == 0, part == 1, Architecture(WIDTH, layers, 16, 0.0, 10),
        TrainingSettings(epochs=12, batch_events=256, learning_rate=0.02), Compute(), say=lambda _: None,
    )  # fmt: skip
    assert model.network.lstm.num_layers == layers
    alerts = model.calibration.alerts(model.probabilities(journeys))
    unseen = part == 2
    for label in (0, 4):
        alert, target = alerts[unseen, label], targets[unseen, label]
        assert target.sum() >= 5
        assert 2 * (alert & target).sum() / (alert.sum() + target.sum()) > 0.9
    assert not alerts[:, 1:4].any(), "labels of which there was no example"


def test_equal_passes_weigh_by_the_root_of_their_number():
    """A hundred equal ordinary items weigh ten times one that is not; what is not learnt from weighs nothing."""
    values = np.zeros((202, WIDTH), np.float16)
    values[200:] = 1
    journeys = JourneyFeatures(values, np.arange(0, 203, 2))
    use = np.arange(202) % 2 == 1
    passes = distinct_training_passes(journeys, np.zeros((202, 5), bool), use, 10)
    (batch,) = to_device(passes, Compute())
    assert batch.weights.tolist() == [[0, 10], [0, 1]]


def test_training_starts_from_the_base_rates():
    """Before anything is learnt the probabilities are about the shares of positives, and nothing is infinite."""
    journeys, targets = random_journeys(5, 100)
    targets[:, 2], targets[:, 3] = False, True
    use = np.ones(len(journeys), bool)
    settings = replace(SETTINGS, epochs=1, learning_rate=1e-9)
    architecture = Architecture(WIDTH, 2, 8, 0.0, 10)
    model = train_lstm(journeys, targets, use, use, architecture, settings, Compute(), say=lambda _: None)
    found = torch.sigmoid(torch.from_numpy(model.scores(journeys))).mean(dim=0).numpy()
    np.testing.assert_allclose(found, (targets.sum(axis=0) + 0.5) / (len(targets) + 1), rtol=0.5)


def test_validation_counts_an_event_as_often_as_it_stands():
    journeys, targets = random_journeys(4, 40)
    use = np.ones(len(journeys), bool)
    every = JourneyFeatures(np.tile(journeys.values, (3, 1)), np.concatenate([journeys.offsets, *(
        journeys.offsets[1:] + len(journeys) * times for times in (1, 2)
    )]))  # fmt: skip
    network = network_of()
    found = [
        validate(network, to_device(distinct_training_passes(*some, 10), Compute()), Compute())
        for some in ((journeys, targets, use), (every, np.tile(targets, (3, 1)), np.tile(use, 3)))
    ]
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(value, rel=1e-4), name
