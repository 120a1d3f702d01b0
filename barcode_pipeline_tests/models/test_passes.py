"""Passes against the textbook: each event's window built by itself, zero-padded, and run one by one."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.models.network import Architecture, SequenceNetwork
from barcode_pipeline.models.passes import distinct_scoring_passes, distinct_training_passes, lay_out
from barcode_pipeline.models.training import Batch, weighted_loss
from barcode_pipeline.sequences.journey_features import JourneyFeatures

FEATURES = 4
LONGEST = st.integers(1, 12)


@st.composite
def cases(draw):
    """(journeys, targets, use): some journeys longer than L, rows out of a small pool so that passes are equal."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = draw(st.lists(st.integers(1, 25), min_size=1, max_size=8))
    kinds = draw(st.sampled_from((1, 2, 200)))
    pool = random.normal(size=(kinds, FEATURES)).astype(np.float16)
    said = random.random((kinds, 5)) < 0.3
    kind = random.integers(0, kinds, sum(lengths))
    use = random.random(sum(lengths)) < draw(st.sampled_from((0.1, 0.5, 1.0)))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return JourneyFeatures(pool[kind], offsets), said[kind], use


def network_of(longest, layers=2):
    torch.manual_seed(3)
    return SequenceNetwork(Architecture(FEATURES, layers, 6, 0.0, longest)).eval()


def windows(journeys, longest):
    """(rows of the window) of each event, the textbook way."""
    position = journeys.position()
    return [np.arange(row - min(position[row], longest - 1), row + 1) for row in range(len(journeys))]


def textbook_logits(network, journeys, longest):
    """(N, 5): each window zero-padded to L, read out at its true length."""
    logits = []
    for rows in windows(journeys, longest):
        padded = torch.zeros(1, longest, FEATURES)
        padded[0, : len(rows)] = torch.from_numpy(journeys.values[rows].astype(np.float32))
        logits.append(network(padded)[0, len(rows) - 1])
    return torch.stack(logits)


@settings(max_examples=100, deadline=None)
@given(cases(), LONGEST)
def test_every_event_is_read_once_after_its_own_window(case, longest):
    journeys, _, _ = case
    wanted, read = windows(journeys, longest), []
    for passes in lay_out(journeys.offsets, longest):
        assert passes.length <= longest
        for one, step in zip(*np.nonzero(passes.read()), strict=True):
            row = passes.rows[one, step]
            np.testing.assert_array_equal(passes.rows[one, : step + 1], wanted[row])
            read.append(row)
    assert sorted(read) == list(range(len(journeys)))


@settings(max_examples=100, deadline=None)
@given(cases(), LONGEST)
def test_a_journey_that_fits_costs_one_step_per_event(case, longest):
    journeys, _, _ = case
    steps = sum(passes.rows.size for passes in lay_out(journeys.offsets, longest))
    beyond = np.maximum(np.diff(journeys.offsets) - longest, 0).sum()
    assert steps == len(journeys) - beyond + beyond * longest


@settings(max_examples=30, deadline=None)
@given(cases(), LONGEST, st.sampled_from((1, 2)))
def test_loss_and_gradient_are_those_of_all_windows_one_by_one(case, longest, layers):
    journeys, targets, use = case
    if not use.any():
        return
    network = network_of(longest, layers)
    logits = textbook_logits(network, journeys, longest)[torch.from_numpy(use)]
    wanted = torch.from_numpy(targets[use].astype(np.float32))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    expected_gradient = torch.autograd.grad(expected, list(network.parameters()))

    total = torch.zeros(())
    for some in distinct_training_passes(journeys, targets, use, longest):
        batch = Batch(
            *(torch.from_numpy(array.astype(np.float32)) for array in (some.features, some.targets, some.weights))
        )
        total = total + weighted_loss(network(batch.features), batch)
    gradient = torch.autograd.grad(total, list(network.parameters()))
    torch.testing.assert_close(total, expected, rtol=1e-5, atol=1e-4)
    for found, known in zip(gradient, expected_gradient, strict=True):
        torch.testing.assert_close(found, known, rtol=1e-3, atol=1e-3)


@settings(max_examples=100, deadline=None)
@given(cases(), LONGEST)
def test_weights_count_the_events_in_use_and_passes_are_distinct(case, longest):
    journeys, targets, use = case
    found = distinct_training_passes(journeys, targets, use, longest)
    assert sum(some.weights.sum() for some in found) == use.sum()
    positives = sum((some.targets * some.weights[:, :, None]).sum(axis=(0, 1)) for some in found)
    np.testing.assert_array_equal(positives if len(found) else np.zeros(5), targets[use].sum(axis=0))
    for some in found:
        contents = [
            one.tobytes() + said.tobytes() + (weight > 0).tobytes()
            for one, said, weight in zip(some.features, some.targets, some.weights, strict=True)
        ]
        assert len(set(contents)) == len(contents)
        assert (some.weights.max(axis=1) > 0).all(), "a pass of which nothing is learnt"


@settings(max_examples=60, deadline=None)
@given(cases(), LONGEST)
def test_what_comes_after_the_last_event_in_use_plays_no_part(case, longest):
    journeys, targets, use = case
    changed, other = journeys.values.copy(), targets.copy()
    for start, stop in zip(journeys.offsets[:-1], journeys.offsets[1:], strict=True):
        after = start + (np.flatnonzero(use[start:stop])[-1] + 1 if use[start:stop].any() else 0)
        changed[after:stop] = 9
        other[after:stop] = True
    before = distinct_training_passes(journeys, targets, use, longest)
    after = distinct_training_passes(JourneyFeatures(changed, journeys.offsets), other, use, longest)
    assert len(before) == len(after)
    for one, two in zip(before, after, strict=True):
        for name in ("features", "targets", "weights"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_nothing_in_use_is_nothing_to_learn():
    journeys = JourneyFeatures(np.zeros((5, FEATURES), np.float16), np.array([0, 2, 5]))
    assert distinct_training_passes(journeys, np.zeros((5, 5), bool), np.zeros(5, bool), 3) == []


@settings(max_examples=60, deadline=None)
@given(cases(), LONGEST)
def test_scoring_passes_hold_every_pass(case, longest):
    journeys, _, _ = case
    for features, passes, inverse in distinct_scoring_passes(journeys, longest):
        np.testing.assert_array_equal(features[inverse], journeys.values[passes.rows])
        assert len({one.tobytes() for one in features}) == len(features)


def test_a_thousand_equal_journeys_are_computed_once():
    """Items of a shipment are near copies: what they cost hangs on how many of them differ."""
    journeys = JourneyFeatures(np.tile(np.arange(12, dtype=np.float16).reshape(3, 4), (1000, 1)), np.arange(0, 3001, 3))
    targets, use = np.zeros((3000, 5), bool), np.ones(3000, bool)
    (some,) = distinct_training_passes(journeys, targets, use, 10)
    assert some.features.shape == (1, 3, FEATURES)
    assert some.weights.tolist() == [[1000, 1000, 1000]]


def test_weights_of_equal_passes_are_added_and_zero_is_not_learnt_from():
    journeys = JourneyFeatures(np.tile(np.arange(6, dtype=np.float16).reshape(3, 2), (3, 1)), np.arange(0, 10, 3))
    weight = np.array([1, 0, 0.5, 2, 0, 0.25, 1, 3, 0.5], dtype=np.float32)
    found = distinct_training_passes(journeys, np.zeros((9, 5), bool), weight, 10)
    (passes,) = found
    # The first two hold the same and are learnt from at the same steps; the third is learnt from at all.
    np.testing.assert_allclose(passes.weights, [[3, 0, 0.75], [1, 3, 0.5]])
