"""The network: a stacked LSTM over an event's window, read out at each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from barcode_pipeline.events.formats import LABELS


@dataclass(frozen=True)
class Architecture:
    """features: F. layers: stacked LSTM layers. width: hidden units of each. dropout: between the layers and
    before the head. longest: L, the events of a window."""

    features: int
    layers: int = 2
    width: int = 64
    dropout: float = 0.1
    longest: int = 10


class SequenceNetwork(nn.Module):
    """Features -> standardised -> LSTM -> dropout -> five log-odds, at every step.

    Causal: the output at a step depends on that step and those before it. Mean and spread of the features are
    part of the weights; they are set once, from training events.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.register_buffer("mean", torch.zeros(architecture.features))
        self.register_buffer("spread", torch.ones(architecture.features))
        self.lstm = nn.LSTM(
            architecture.features,
            architecture.width,
            architecture.layers,
            batch_first=True,
            dropout=architecture.dropout if architecture.layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(architecture.dropout)
        self.head = nn.Linear(architecture.width, len(LABELS))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, T, F) float -> (B, T, 5) log-odds."""
        states, _ = self.lstm((features - self.mean) / self.spread)
        return self.head(self.dropout(states))

    def set_base_rates(self, rates: np.ndarray) -> None:
        """Start from the share of positives of each label, (5,) between 0 and 1.

        Labels are rare: a network that starts at one half spends its first epochs on learning no more than that, and
        the few positives do not get through. T.-Y. Lin et al., "Focal loss for dense object detection", 2017.
        """
        with torch.no_grad():
            self.head.bias.copy_(torch.from_numpy(np.log(rates / (1 - rates)).astype(np.float32)))

    def set_scaling(self, values: np.ndarray, weights: np.ndarray) -> None:
        """Take mean and spread of the features from training events: values (n, F), weights (n,)."""
        total = weights.sum()
        mean = (values * weights[:, None]).sum(axis=0) / total
        spread = np.sqrt((weights[:, None] * (values - mean) ** 2).sum(axis=0) / total)
        self.mean.copy_(torch.from_numpy(mean.astype(np.float32)))
        # A feature that never varies in training would explode when it does later.
        self.spread.copy_(torch.from_numpy(np.maximum(spread, 0.05).astype(np.float32)))
