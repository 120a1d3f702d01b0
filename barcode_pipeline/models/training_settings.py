"""How a network is trained, in plain values; what they do stands in `training`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """epochs: at most. patience: epochs without a better validation loss before it stops. batch_events: steps
    per batch, at most. learning_rate: the highest of a warm-up and cosine schedule over `epochs`. seed.
    averaged_epochs: over how many epochs, about, the weights are averaged (exponentially, step by step); 0: those of
    the last step are taken."""

    epochs: int = 12
    patience: int = 4
    batch_events: int = 768
    learning_rate: float = 0.004
    seed: int = 7
    averaged_epochs: float = 1.0
