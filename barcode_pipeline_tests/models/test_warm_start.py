"""Training that goes on from a model: its weights and scaling, and never worse on validation than it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import train_lstm
from barcode_pipeline.models.network import Architecture
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline_tests.models.journeys_by_hand import random_journeys
from barcode_pipeline_tests.models.untrained import random_second

ARCHITECTURE = Architecture(len(FEATURE_NAMES), 2, 8, 0.1, 10)
SETTINGS = TrainingSettings(epochs=4, patience=4, batch_events=256, learning_rate=0.01, seed=5)


@pytest.fixture(scope="module")
def data():
    journeys, targets = random_journeys(1, 200)
    use = np.repeat(np.arange(200) % 3 > 0, np.diff(journeys.offsets))
    return journeys, targets, use, ~use


def train(data, settings=SETTINGS, start=None, checkpoint=None, architecture=ARCHITECTURE, say=lambda _: None):
    return train_lstm(*data, architecture, settings, Compute(), {}, checkpoint, say, start)


@pytest.fixture(scope="module")
def first(data):
    return train(data)


def loss_of(model):
    return min(row["validation_loss"] for row in model.about["history"])


def test_it_begins_where_the_other_ended(data, first):
    said = []
    warm = train(data, replace(SETTINGS, learning_rate=0.002), first, say=said.append)
    before = float(next(line for line in said if line.startswith("validation loss before"))[24:])
    assert before == pytest.approx(loss_of(first), abs=1e-4)
    assert loss_of(warm) < loss_of(first)
    assert torch.equal(warm.network.mean, first.network.mean) and torch.equal(warm.network.spread, first.network.spread)
    assert not torch.equal(warm.network.head.weight, first.network.head.weight)


def test_its_second_opinion_goes_on_as_it_is(data, first):
    second = random_second(3)
    assert train(data, start=first).second is None
    assert train(data, start=replace(first, second=second)).second is second


def test_the_model_gone_on_from_is_left_as_it_is(data, first):
    weights = {name: value.clone() for name, value in first.network.state_dict().items()}
    train(data, start=first)
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_what_only_makes_it_worse_leaves_it_as_it_was(data, first):
    wild = train(data, replace(SETTINGS, learning_rate=5.0, epochs=1), first)
    for name, value in wild.network.state_dict().items():
        assert torch.equal(value, first.network.state_dict()[name]), name


def test_its_architecture_is_kept_and_calibration_made_anew(data, first):
    journeys, targets, use, validation = data
    other = Architecture(len(FEATURE_NAMES), 1, 16, 0.0, 10)
    few = np.where(validation & (np.arange(len(validation)) % 2 == 0), 1.0, 0.0)
    warm = train((journeys, targets, use, few), replace(SETTINGS, learning_rate=1e-9), first, architecture=other)
    assert warm.network.architecture == first.network.architecture
    assert not np.array_equal(warm.calibration.threshold, first.calibration.threshold)


def test_killed_and_gone_on_with_gives_the_same(data, first, tmp_path):
    undisturbed = train(data, start=first)
    lines = []

    def killed_after_two(line):
        lines.append(line)
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, start=first, checkpoint=tmp_path / "c.pt", say=killed_after_two)
    resumed = train(data, start=first, checkpoint=tmp_path / "c.pt")
    for name, value in resumed.network.state_dict().items():
        assert torch.equal(value, undisturbed.network.state_dict()[name]), name
