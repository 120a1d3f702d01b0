"""Training: epochs over distinct passes, early stopping on validation, a checkpoint after each epoch.

Same data, settings and machine give the same weights, also where a killed training goes on from its checkpoint:
everything random in an epoch comes from the seed and the epoch's number.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import nn

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.models.adam import Adam
from barcode_pipeline.models.calibration import best_f1
from barcode_pipeline.models.compute import Compute
from barcode_pipeline.models.network import SequenceNetwork
from barcode_pipeline.models.passes import DistinctPasses
from barcode_pipeline.models.training_settings import TrainingSettings

Say = Callable[[str], None]

FEWEST_BATCHES = 400
"""Batches per epoch, at the least."""


@dataclass
class Progress:
    """What a training has come to: epochs done, the best state so far, and a row of figures per epoch."""

    epoch: int = 0
    best_loss: float = math.inf
    best_epoch: int = -1
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    def finished(self, settings: TrainingSettings) -> bool:
        stale = self.epoch - 1 - self.best_epoch >= settings.patience
        return self.epoch >= settings.epochs or (self.epoch > 0 and stale)


@dataclass(frozen=True)
class Batch:
    """Passes of one length on the device. features: (U, T, F); targets: (U, T, 5); weights: (U, T), the square root
    of each step's weight over all equal passes, 0 at steps that are not learnt from."""

    features: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


def train_network(
    network: SequenceNetwork,
    training: list[DistinctPasses],
    validation: list[DistinctPasses],
    settings: TrainingSettings,
    compute: Compute,
    checkpoint: Path | None = None,
    say: Say = print,
    warm: bool = False,
) -> list[dict[str, float]]:
    """Fit the network in place and leave it at its best epoch; returns a row of figures per epoch.

    warm: the network has been trained before; how it does is row 0, and unless an epoch makes it better it is left so.
    checkpoint: where the state after each epoch is kept; a training that was killed goes on from there, and the
    file is removed at the end. say: takes a line of progress per epoch.
    """
    network.to(compute.device)
    optimizer = Adam(network.parameters())
    averaged = copy.deepcopy(network) if settings.averaged_epochs else network
    progress = _resume(checkpoint, network, averaged, optimizer, compute, say)
    resumed_at = progress.epoch
    train_on, validate_on = to_device(training, compute), to_device(validation, compute)
    if warm and not progress.best_state:
        before = validate(network, validate_on, compute)
        progress.history.append({"epoch": 0, "train_loss": mean_loss(network, train_on), **before})
        progress.best_loss, progress.best_state = before["validation_loss"], _state_of(network)
        say(f"validation loss before: {progress.best_loss:.5f}")
    started = time.perf_counter()
    while not progress.finished(settings):
        torch.manual_seed(settings.seed * 100_003 + progress.epoch)
        begun = time.perf_counter()
        loss = train_epoch(network, optimizer, train_on, settings, progress.epoch, compute, averaged)
        seconds = time.perf_counter() - begun
        if not math.isfinite(loss):
            if checkpoint is not None:
                checkpoint.unlink(missing_ok=True)
            raise UserError(
                f"The training loss of epoch {progress.epoch + 1} is {loss}, no number to learn by: lower "
                "training.learning_rate in configuration.toml and train again."
            )
        figures = {"epoch": progress.epoch + 1, "train_loss": loss, **validate(averaged, validate_on, compute)}
        progress.history.append(figures)
        if figures["validation_loss"] < progress.best_loss:
            progress.best_loss, progress.best_epoch = figures["validation_loss"], progress.epoch
            progress.best_state = _state_of(averaged)
        progress.epoch += 1
        _keep(checkpoint, network, averaged, optimizer, progress)
        left = (time.perf_counter() - started) / (progress.epoch - resumed_at) * (settings.epochs - progress.epoch)
        say(
            f"epoch {progress.epoch}/{settings.epochs}  train loss {loss:.5f}  "
            f"validation loss {figures['validation_loss']:.5f}  macro F1 {figures['validation_macro_f1']:.4f}  "
            f"{seconds:.1f} s, at most {left:.0f} s left"
        )
    network.load_state_dict(progress.best_state)
    network.eval()
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return progress.history


def _state_of(network: SequenceNetwork) -> dict[str, torch.Tensor]:
    return copy.deepcopy({name: tensor.cpu() for name, tensor in network.state_dict().items()})


def to_device(passes: list[DistinctPasses], compute: Compute) -> list[Batch]:
    """Put passes where the computing happens, once.

    The square root of the counts is how class imbalance is handled: with the counts themselves the many equal
    ordinary journeys drown the few that are not.
    """
    return [
        Batch(
            torch.from_numpy(some.features.astype(np.float32)).to(compute.device),
            torch.from_numpy(some.targets).to(compute.device),
            torch.from_numpy(np.sqrt(some.weights)).to(compute.device),
        )
        for some in passes
    ]


def train_epoch(
    network: SequenceNetwork,
    optimizer: Adam,
    passes: list[Batch],
    settings: TrainingSettings,
    epoch: int,
    compute: Compute,
    averaged: SequenceNetwork | None = None,
) -> float:
    """One pass over the training data; returns the mean loss. Length by length in batches, all in random order."""
    network.train()
    batches = list(_batches(passes, settings, epoch))
    total, weight = torch.zeros((), device=compute.device), torch.zeros((), device=compute.device)
    for number, batch in enumerate(batches):
        network.zero_grad(set_to_none=True)
        with compute.autocast():
            loss = weighted_loss(network(batch.features), batch)
        mean = loss / batch.weights.sum().clamp(min=1e-6)
        mean.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step(_learning_rate(settings, epoch + number / len(batches)))
        if averaged is not None and averaged is not network:
            _average(averaged, network, epoch * len(batches) + number, settings.averaged_epochs * len(batches))
        total += loss.detach()
        weight += batch.weights.sum()
    return float(total / weight)


def weighted_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Sum over steps of the binary cross-entropy of five labels, weighted."""
    loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), batch.targets, reduction="none")
    return (loss.sum(dim=2) * batch.weights).sum()


def mean_loss(network: SequenceNetwork, passes: list[Batch]) -> float:
    """The loss as it is, nothing dropped out; NaN without passes."""
    network.eval()
    loss, weight = 0.0, 0.0
    with torch.no_grad():
        for some in passes:
            loss += float(weighted_loss(network(some.features), some))
            weight += float(some.weights.sum())
    return loss / weight if weight else math.nan


def validate(network: SequenceNetwork, passes: list[Batch], compute: Compute) -> dict[str, float]:
    """Loss and, over labels with positives, macro F1 and average precision on validation."""
    network.eval()
    loss, weight = 0.0, 0.0
    scores, targets, counts = [], [], []
    with torch.no_grad():
        for batch in passes:
            logits = network(batch.features)
            loss += float(weighted_loss(logits, batch))
            weight += float(batch.weights.sum())
            read = batch.weights > 0
            scores.append(logits[read].cpu().numpy())
            targets.append(batch.targets[read].cpu().numpy() > 0.5)
            counts.append((batch.weights[read] ** 2).cpu().numpy())
    if not scores:
        return {"validation_loss": math.inf, "validation_macro_f1": math.nan, "validation_macro_pr_auc": math.nan}
    score, target, count = np.concatenate(scores), np.concatenate(targets), np.concatenate(counts)
    labels = [label for label in range(target.shape[1]) if target[:, label].any()]
    f1 = [best_f1(score[:, label], target[:, label], count) for label in labels]
    pr_auc = [average_precision_score(target[:, label], score[:, label], sample_weight=count) for label in labels]
    return {
        "validation_loss": loss / weight,
        "validation_macro_f1": float(np.mean(f1)) if f1 else math.nan,
        "validation_macro_pr_auc": float(np.mean(pr_auc)) if pr_auc else math.nan,
    }


def _batches(passes: list[Batch], settings: TrainingSettings, epoch: int) -> Iterator[Batch]:
    """Batches of passes of one length, each of about `batch_events` steps, in random order.

    Little data makes smaller batches, so that an epoch is never fewer than about `FEWEST_BATCHES` steps of learning.
    """
    draw = np.random.default_rng([settings.seed, epoch])
    steps = sum(some.weights.numel() for some in passes)
    batch_events = max(1, min(settings.batch_events, steps // FEWEST_BATCHES))
    plan: list[tuple[int, np.ndarray]] = []
    for bucket, some in enumerate(passes):
        count, length = some.weights.shape
        size = max(1, batch_events // length)
        order = draw.permutation(count)
        plan.extend((bucket, order[start : start + size]) for start in range(0, count, size))
    for place in draw.permutation(len(plan)):
        bucket, rows = plan[place]
        some = passes[bucket]
        index = torch.from_numpy(rows).to(some.features.device)
        yield Batch(some.features[index], some.targets[index], some.weights[index])


@torch.no_grad()
def _average(averaged: SequenceNetwork, network: SequenceNetwork, step: int, steps: float) -> None:
    """Move averaged weights towards those after a step. steps: over how many they are averaged; at first over fewer."""
    share = max(1 / steps, 9 / (10 + step))
    for mean, value in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, min(share, 1.0))


def _learning_rate(settings: TrainingSettings, epoch: float) -> float:
    """Half an epoch of warm-up, then a cosine down to a hundredth at the last epoch."""
    warm = min(1.0, 0.05 + epoch / 0.5)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, epoch / settings.epochs)))
    return settings.learning_rate * warm * (0.01 + 0.99 * cosine)


def _keep(
    checkpoint: Path | None,
    network: SequenceNetwork,
    averaged: SequenceNetwork,
    optimizer: Adam,
    progress: Progress,
) -> None:
    if checkpoint is None:
        return
    state: dict[str, Any] = {
        "network": network.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": {name: getattr(progress, name) for name in Progress.__dataclass_fields__},
    }
    with written_beside(checkpoint) as path:
        torch.save(state, path)


def _resume(
    checkpoint: Path | None,
    network: SequenceNetwork,
    averaged: SequenceNetwork,
    optimizer: Adam,
    compute: Compute,
    say: Say,
) -> Progress:
    if checkpoint is None or not checkpoint.exists():
        return Progress()
    state = torch.load(checkpoint, map_location=compute.device, weights_only=True)
    network.load_state_dict(state["network"])
    averaged.load_state_dict(state["averaged"])
    optimizer.load_state_dict(state["optimizer"])
    progress = Progress(**state["progress"])
    say(f"going on from the checkpoint after epoch {progress.epoch}")
    return progress
