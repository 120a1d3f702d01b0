"""An event's score: the same from a window or the journey, whatever L, after padding, and out of the file."""

from __future__ import annotations

import os
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import FORMAT_VERSION, LABELS
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.lstm import load_lstm, save_lstm, train_lstm
from barcode_pipeline.models.network import Architecture, SequenceNetwork
from barcode_pipeline.models.second_opinion import heard
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.sequences.features import FEATURE_NAMES, FEATURE_VERSION
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline_tests.models.journeys_by_hand import random_journeys
from barcode_pipeline_tests.models.untrained import random_model, random_pair, random_second

WIDTH = len(FEATURE_NAMES)


def with_longest(model, longest):
    network = SequenceNetwork(replace(model.network.architecture, longest=longest))
    network.load_state_dict(model.network.state_dict())
    return replace(model, network=network)


@st.composite
def journeys(draw, longest=25):
    lengths = draw(st.lists(st.integers(1, longest), min_size=1, max_size=6))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.normal(size=(sum(lengths), WIDTH)).astype(np.float16)
    if draw(st.booleans()):
        values = values[random.integers(0, min(3, len(values)), len(values))]
    return JourneyFeatures(values, np.concatenate([[0], np.cumsum(lengths)]))


def textbook_scores(model, some):
    """Each event's last L events alone, zero-padded to L, read out at the true length."""
    longest = model.network.architecture.longest
    position, out = some.position(), []
    with torch.inference_mode():
        for row in range(len(some)):
            length = min(int(position[row]) + 1, longest)
            window = torch.zeros(1, longest, WIDTH)
            window[0, :length] = torch.from_numpy(some.values[row - length + 1 : row + 1].astype(np.float32))
            out.append(model.network.eval()(window)[0, length - 1].numpy())
    return np.array(out)


@settings(max_examples=40, deadline=None)
@given(journeys(), st.integers(1, 12), st.sampled_from((1, 2)))
def test_a_window_alone_scores_as_the_journey_does(some, longest, layers):
    model = random_model(1, longest, layers)
    np.testing.assert_allclose(model.scores(some), textbook_scores(model, some), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(journeys(longest=12), st.integers(12, 60))
def test_any_length_from_the_journeys_own_on_scores_the_same(some, longest):
    model = random_model(2, int(np.diff(some.offsets).max()))
    np.testing.assert_allclose(with_longest(model, longest).scores(some), model.scores(some), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(journeys(), st.integers(1, 10), st.integers(0, 200))
def test_padding_does_not_influence_the_result(some, longest, padding):
    """Whatever stands after an event's window: zeros, many of them, or anything else."""
    model = random_model(3, longest)
    window = torch.from_numpy(some.values[:longest][: some.offsets[1]].astype(np.float32))[None]
    with torch.inference_mode():
        alone = model.network.eval()(window)
        for filler in (0.0, 7.0):
            padded = torch.cat([window, torch.full((1, padding, WIDTH), filler)], dim=1)
            torch.testing.assert_close(model.network(padded)[:, : window.shape[1]], alone, atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(journeys(), st.integers(1, 12), st.data())
def test_live_equals_batch(some, longest, data):
    """An event scored when it is the newest one has the score that it has later on, among all others."""
    model = random_model(4, longest)
    whole = model.probabilities(some)
    row = data.draw(st.integers(0, len(some) - 1))
    start = some.offsets[np.searchsorted(some.offsets, row, side="right") - 1]
    live = model.probabilities(JourneyFeatures(some.values[start : row + 1], np.array([0, row + 1 - start])))
    np.testing.assert_allclose(live[-1], whole[row], atol=1e-5)


def test_no_journeys_have_no_scores():
    empty = JourneyFeatures(np.zeros((0, WIDTH), np.float16), np.zeros(1, np.int64))
    assert random_model().scores(empty).shape == (0, 5)
    assert random_model().probabilities(empty).shape == (0, 5)


# --- the file -------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(journeys(), st.integers(1, 12), st.sampled_from((1, 2)))
def test_the_file_gives_the_same_scores(tmp_path_factory, some, longest, layers):
    path = tmp_path_factory.mktemp("model") / "model.pt"
    model = random_model(5, longest, layers)
    save_lstm(model, path)
    found = load_lstm(path)
    np.testing.assert_array_equal(found.scores(some), model.scores(some))
    np.testing.assert_array_equal(found.probabilities(some), model.probabilities(some))


def test_a_second_opinion_moves_probabilities_and_leaves_scores_and_alerts(tmp_path):
    some, _ = random_journeys(4, 60)
    pair = random_pair(4)
    alone, second = replace(pair, second=None), pair.second
    np.testing.assert_array_equal(pair.scores(some), alone.scores(some))
    log_odds, surprise = replace(alone, network=second.network).scores(some), second.foresight.of_journeys(some)
    expected = heard(pair.calibration, pair.scores(some), second.moved(pair.scores(some), log_odds, surprise))
    np.testing.assert_array_equal(pair.probabilities(some), expected)
    assert (expected != alone.probabilities(some)).mean() > 0.2, "hardly anything was moved"
    alerts = pair.calibration.alerts
    np.testing.assert_array_equal(alerts(pair.probabilities(some)), alerts(alone.probabilities(some)))
    save_lstm(pair, tmp_path / "model.pt")
    np.testing.assert_array_equal(load_lstm(tmp_path / "model.pt").probabilities(some), expected)


@pytest.mark.parametrize("lacks", ["second_opinion", "together"])
def test_a_file_of_before_second_opinions_were_heard_so_is_read(tmp_path, lacks):
    def older(content):
        (content if lacks == "second_opinion" else content["second_opinion"]).pop(lacks)

    changed_file(tmp_path / "model.pt", older, random_pair(7))
    assert load_lstm(tmp_path / "model.pt").second is None


def test_two_networks_that_read_other_windows_are_refused(tmp_path):
    save_lstm(replace(random_pair(4), second=random_second(5, longest=7)), tmp_path / "model.pt")
    with pytest.raises(UserError, match="windows of other lengths"):
        load_lstm(tmp_path / "model.pt")


@pytest.mark.parametrize("part", ["rarities", "alone", "place", "surprise"])
def test_a_second_opinion_that_lacks_a_part_is_refused(tmp_path, part):
    second = random_second(4)
    if part in ("rarities", "alone"):
        second = replace(second, **{part: getattr(second, part)[:, 1:]})
    else:
        second = replace(second, foresight=replace(second.foresight, **{part: getattr(second.foresight, part)[:-1]}))
    save_lstm(replace(random_model(4), second=second), tmp_path / "model.pt")
    with pytest.raises(UserError, match="second opinion is not complete"):
        load_lstm(tmp_path / "model.pt")


def test_the_file_holds_all_that_scoring_needs(tmp_path):
    model = random_model(6)
    save_lstm(model, tmp_path / "model.pt")
    found = load_lstm(tmp_path / "model.pt")
    assert found.network.architecture == model.network.architecture
    assert found.about == model.about
    assert not found.network.training
    for name, value in asdict(model.calibration).items():
        np.testing.assert_array_equal(getattr(found.calibration, name), value)
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    assert content["feature_version"] == FEATURE_VERSION
    assert tuple(content["feature_names"]) == FEATURE_NAMES
    assert {"mean", "spread"} <= content["weights"].keys(), "the scaling of the features"


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_code_in_a_file_is_not_run(tmp_path):
    bomb = tmp_path / "exploded"
    torch.save({"about": Bomb(bomb)}, tmp_path / "model.pt")
    with pytest.raises(UserError, match=r"model\.pt is no model file.*train again"):
        load_lstm(tmp_path / "model.pt")
    assert not bomb.exists()
    torch.load(tmp_path / "model.pt", weights_only=False)
    assert bomb.exists(), "the bomb would not have gone off anyway"


def changed_file(path, change, model=None):
    save_lstm(model or random_model(7), path)
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", FORMAT_VERSION + 1),
        ("feature_version", FEATURE_VERSION + 1),
        ("feature_names", [*FEATURE_NAMES[:-1], "another"]),
        ("feature_names", list(FEATURE_NAMES[::-1])),
        ("labels", list(LABELS[::-1])),
        ("feature_version", None),
    ],
)
def test_a_file_of_other_features_or_formats_is_refused(tmp_path, key, value):
    path = tmp_path / "model.pt"
    changed_file(path, lambda content: content.update({key: value}))
    with pytest.raises(UserError, match=rf"does not fit this program: its {key} is .*Train again"):
        load_lstm(path)


@pytest.mark.parametrize("key", ["architecture", "weights", "calibration", "about"])
def test_a_file_that_lacks_a_part_is_refused(tmp_path, key):
    path = tmp_path / "model.pt"
    changed_file(path, lambda content: content.pop(key))
    with pytest.raises(UserError, match=r"is damaged .*train again"):
        load_lstm(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["weights"].pop("head.bias"),
        lambda content: content["weights"].update({"head.bias": torch.zeros(4)}),
        lambda content: content["architecture"].update(width=9),
        lambda content: content["architecture"].update(layers=0),
        lambda content: content["architecture"].update(unheard_of=1),
        lambda content: content["calibration"].pop("threshold"),
        lambda content: content["calibration"].update(threshold=torch.zeros(4)),
        lambda content: content.update(about=None),
    ],
)
def test_a_file_with_a_wrong_part_is_refused(tmp_path, change):
    path = tmp_path / "model.pt"
    changed_file(path, change)
    with pytest.raises(UserError, match=r"is damaged .*train again") as raised:
        load_lstm(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "model.pt"
    save_lstm(random_model(8), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UserError, match=r"is no model file"):
        load_lstm(path)


@pytest.mark.parametrize("content", [b"not a model", b"{}", [1, 2], {"weights": {}}])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "model.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match=r"model\.pt"):
        load_lstm(path)


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"no model file .*barcode-pipeline train"):
        load_lstm(tmp_path / "model.pt")


# --- training to a model --------------------------------------------------------------------------------


def train(some, targets, use, validation, **more):
    return train_lstm(
        some, targets, use, validation, Architecture(WIDTH, 1, 4, 0.0, 10), TrainingSettings(epochs=1), Compute(),
        say=lambda _: None, **more,
    )  # fmt: skip


def test_a_trained_model_says_where_it_comes_from():
    some, targets = random_journeys(1, 60)
    use = np.arange(len(some)) % 3 > 0
    model = train(some, targets, use, ~use, about={"teacher": "rule_labels"})
    assert model.about["teacher"] == "rule_labels"
    assert model.about["events_trained_on"] == use.sum()
    assert model.about["positives_trained_on"] == dict(zip(LABELS, targets[use].sum(axis=0).tolist(), strict=True))
    assert len(model.about["history"]) == 1
    assert model.about["versions"]["torch"] == str(torch.__version__)


def test_scaling_comes_from_the_events_in_use_alone():
    some, targets = random_journeys(2, 80)
    use = some.position() < 2
    changed = JourneyFeatures(np.where(use[:, None], some.values, np.float16(5)), some.offsets)
    model, other = (train(one, targets, use, use) for one in (some, changed))
    for name in ("mean", "spread"):
        torch.testing.assert_close(getattr(model.network, name), getattr(other.network, name))
    expected = some.values[use].astype(float).mean(axis=0)
    np.testing.assert_allclose(model.network.mean.numpy(), expected, atol=1e-5)
    expected = np.maximum(some.values[use].astype(float).std(axis=0), 0.05)
    np.testing.assert_allclose(model.network.spread.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("lacking", ["use", "validation"])
def test_nothing_to_learn_from_is_a_sentence(lacking):
    some, targets = random_journeys(3, 10)
    masks = {"use": np.ones(len(some), bool), "validation": np.ones(len(some), bool)}
    masks[lacking] = np.zeros(len(some), bool)
    with pytest.raises(UserError, match=r"too few events to train on"):
        train(some, targets, **masks)
