"""The speed of training: one of our epochs beside a textbook loop over padded windows."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from barcode_pipeline.learning import material_of
from barcode_pipeline.models.adam import Adam
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.network import Architecture, SequenceNetwork
from barcode_pipeline.models.passes import DistinctPasses, distinct_training_passes
from barcode_pipeline.models.training import Batch, to_device, train_epoch
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.training_set import read_training_set
from barcode_pipeline.teachers.rule_labels import RuleLabels
from benchmarks.data_plane import run_data_plane
from benchmarks.results import Figure, rounded, usable_cores
from benchmarks.worlds import Worlds

ROUNDS = 3
TEXTBOOK_EVENTS = 30_720
"""Events of the batches of the textbook loop that are timed: 120 of 256, or 30 of 1,024."""
BEST_TEXTBOOKS = 3
"""Settings of the textbook loop that run in every round."""
TEXTBOOK_WINDOWS = 200_000
"""Windows that the textbook loop draws from; all of them would take more memory and run no faster."""


@dataclass(frozen=True)
class Textbook:
    """One way to run the textbook loop."""

    batch_size: int
    workers: int
    threads: int


@dataclass(frozen=True)
class Material:
    """What both sides train on. windows: (W, L, F), standardised, zeros in front; targets: (W, 5)."""

    distinct: list[DistinctPasses]
    windows: torch.Tensor
    targets: torch.Tensor
    network: SequenceNetwork
    settings: TrainingSettings
    compute: Compute


def train_speedup(worlds: Worlds) -> dict[str, Figure]:
    """Our target events per second over those of the best textbook loop, and what of it comes from where."""
    material = prepare(worlds)
    compute = material.compute
    ours = to_device(material.distinct, compute)
    every = to_device(a_fifth_of_every_pass(material.distinct), compute)
    tried = {way: textbook_speed(material, way) for way in ways_of_the_textbook()}
    # The best ones run in every round, and the round's best counts: a way that is slow once does not flatter us.
    best = sorted(tried, key=lambda way: tried[way], reverse=True)[:BEST_TEXTBOOKS]
    our_speed(material, ours)
    our_speed(material, every)
    rounds = [
        (our_speed(material, ours), our_speed(material, every), max(textbook_speed(material, way) for way in best))
        for _ in range(ROUNDS)
    ]
    mine, uncounted, textbook = ([*map(rounded, column)] for column in zip(*rounds, strict=True))
    speedup = statistics.median(row[0] / row[2] for row in rounds)
    without = statistics.median(row[1] / row[2] for row in rounds)
    events = sum(float(some.weights.sum(dtype=np.float64)) for some in material.distinct)
    steps = sum(int((some.weights > 0).sum()) for some in material.distinct)
    how = (
        f"Target events per second of one training epoch ({events:,.0f} of {worlds.events:,} simulated events, "
        f"{steps:,} distinct, batches of {material.settings.batch_events} distinct events; L = 10, two layers of 64, "
        f"{compute.describe()}, one thread) over a textbook loop: the same LSTM, Adam, zero-padded windows from an "
        f"in-memory TensorDataset and a DataLoader that shuffles, {TEXTBOOK_EVENTS:,} events of it, the best of its "
        f"{BEST_TEXTBOOKS} best settings in each round (of {len(tried)} tried; the best is B = {best[0].batch_size}, "
        f"{best[0].workers} workers, threads: {best[0].threads}). Median ratio of {ROUNDS} rounds in one process, one "
        "after the other, both warmed up."
    )
    more = {
        "events_per_second": mine,
        "events_per_second_every_pass_computed": uncounted,
        "textbook_events_per_second": textbook,
        "textbooks_tried": [{**asdict(way), "events_per_second": rounded(speed)} for way, speed in tried.items()],
    }
    return {
        "train_speedup": Figure(speedup, "ratio", how, at_least=8, more=more),
        "train_speedup_every_pass_computed": Figure(
            without,
            "ratio",
            "As train_speedup, but equal passes are each computed, on a random fifth of them: what is left comes from "
            "reading a pass out at every step, from the lack of padding and from the lack of a DataLoader.",
        ),
        "train_epoch_seconds": Figure(
            statistics.median(events / row[0] for row in rounds),
            "s",
            f"One training epoch of train_speedup ({events:,.0f} events), validation not included.",
        ),
    }


def prepare(worlds: Worlds) -> Material:
    """The training events of a world, as passes for our loop and as windows for the textbook's."""
    workspace = worlds.workspace("train_speedup")
    run_data_plane(workspace)
    training_set = read_training_set(workspace.training)
    training = workspace.configuration.training
    # Real journeys as they are: what is timed does not hang on what a planter draws.
    lesson = RuleLabels().lesson(material_of(workspace, training_set))
    journeys = lesson.journeys
    architecture = Architecture(len(FEATURE_NAMES))
    distinct = distinct_training_passes(journeys, lesson.targets, lesson.train, architecture.longest)
    torch.manual_seed(0)
    network = SequenceNetwork(architecture)
    learnt = np.flatnonzero(lesson.train > 0)
    values = np.asarray(journeys.values)
    network.set_scaling(values[learnt].astype(float), np.ones(len(learnt)))
    chosen = np.random.default_rng(0).choice(learnt, min(TEXTBOOK_WINDOWS, len(learnt)), replace=False)
    standardised = (values.astype(np.float32) - network.mean.numpy()) / network.spread.numpy()
    windows = padded_windows(standardised, journeys.position(), chosen, architecture.longest)
    return Material(
        distinct,
        torch.from_numpy(windows),
        torch.from_numpy(lesson.targets[chosen].astype(np.float32)),
        network,
        training.settings(),
        Compute.choose(training.device, training.precision),
    )


def padded_windows(values: np.ndarray, position: np.ndarray, chosen: np.ndarray, longest: int) -> np.ndarray:
    """(W, L, F): the last L events up to each chosen one, zeros where its journey has not begun."""
    back = np.arange(longest - 1, -1, -1)
    windows = values[np.maximum(chosen[:, None] - back, 0)]
    windows[back > position[chosen][:, None]] = 0
    return windows


def a_fifth_of_every_pass(distinct: list[DistinctPasses]) -> list[DistinctPasses]:
    """A random fifth of all passes, equal ones each on its own: nothing is gained from counting them."""
    draw = np.random.default_rng(0)
    out = []
    for some in distinct:
        each = np.repeat(np.arange(len(some.weights)), some.weights.max(axis=1).astype(np.int64))
        rows = draw.choice(each, max(1, len(each) // 5), replace=False)
        weights = (some.weights[rows] > 0).astype(np.float32)
        out.append(DistinctPasses(some.features[rows], some.targets[rows], weights))
    return out


def our_speed(material: Material, passes: list[Batch]) -> float:
    """Target events per second of one epoch of our training; an event counts as often as its pass stands for it."""
    network, compute = material.network.to(material.compute.device), material.compute
    optimizer = Adam(network.parameters())
    # What a batch holds are square roots of the numbers of equal passes.
    events = sum(float(batch.weights.double().square().sum()) for batch in passes)
    with compute.few_threads():
        started = time.perf_counter()
        train_epoch(network, optimizer, passes, material.settings, 1, compute)
        return events / (time.perf_counter() - started)


def ways_of_the_textbook() -> Iterator[Textbook]:
    """The settings of which the textbook loop may take its best: batch, workers, and threads one or all."""
    cores = len(usable_cores()) or os.cpu_count() or 1
    for choice in itertools.product((256, 1024), (0, 2), sorted({1, cores})):
        yield Textbook(*choice)


def textbook_speed(material: Material, way: Textbook) -> float:
    """Target events per second of the textbook loop, once it is running: starting workers is not counted."""
    device = material.compute.device
    network = material.network.to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    loader = DataLoader(
        TensorDataset(material.windows, material.targets), way.batch_size, True, num_workers=way.workers
    )
    count = min(max(1, TEXTBOOK_EVENTS // way.batch_size), len(loader) - 1)
    with threads(way.threads):
        batches = iter(loader)
        for _ in range(min(max(1, count // 6), len(loader) - count)):
            _textbook_step(network, optimizer, next(batches), device)
        started = time.perf_counter()
        for _ in range(count):
            loss = _textbook_step(network, optimizer, next(batches), device)
        float(loss)  # On a card the loop is done only now.
        return count * way.batch_size / (time.perf_counter() - started)


def _textbook_step(
    network: SequenceNetwork, optimizer: torch.optim.Optimizer, batch: Sequence[torch.Tensor], device: str
) -> torch.Tensor:
    windows, targets = batch
    optimizer.zero_grad()
    states, _ = network.lstm(windows.to(device))
    logits = network.head(network.dropout(states[:, -1]))
    loss = nn.functional.binary_cross_entropy_with_logits(logits, targets.to(device))
    loss.backward()
    optimizer.step()
    return loss.detach()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many CPU threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
