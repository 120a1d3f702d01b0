"""Training the network of `next_event`: windows of symbols in, plain arrays out. No detector here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from barcode_pipeline.models.compute import Compute


@dataclass(frozen=True)
class Training:
    """symbols: V, how many there are to expect. width: hidden units of each layer. batches: steps of learning, each of
    `batch_windows` windows. learning_rate: at the start, falling to nothing. seed."""

    symbols: int
    width: int
    batches: int
    batch_windows: int
    learning_rate: float
    seed: int


class NextEventNetwork(nn.Module):
    """Symbols before -> two LSTM layers -> log-odds of each symbol that may come, at every step.

    The input is as in the paper one place per symbol; V + 2 of them: one for a symbol that training never saw, one
    for a journey's start.
    """

    def __init__(self, symbols: int, width: int) -> None:
        super().__init__()
        self.entry = nn.Embedding(symbols + 2, width)
        self.lower = nn.LSTM(width, width, batch_first=True)
        self.upper = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, symbols)

    def forward(self, before: torch.Tensor) -> torch.Tensor:
        """(B, T) int -> (B, T, V)."""
        states, _ = self.lower(self.entry(before))
        states, _ = self.upper(states)
        return self.head(states)

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights as the compiled loop takes them: rows are what goes in."""
        weights = self.state_dict()
        inputs = weights["lower.bias_ih_l0"] + weights["lower.bias_hh_l0"]
        found = {
            "entry_": weights["entry.weight"] @ weights["lower.weight_ih_l0"].T + inputs,
            "recurrent_": weights["lower.weight_hh_l0"].T,
            "upward_": weights["upper.weight_ih_l0"].T,
            "bias_": weights["upper.bias_ih_l0"] + weights["upper.bias_hh_l0"],
            "recurrent_above_": weights["upper.weight_hh_l0"].T,
            "head_": weights["head.weight"].T,
            "head_bias_": weights["head.bias"],
        }
        return {name: np.ascontiguousarray(value.numpy()) for name, value in found.items()}


def train(before: np.ndarray, came: np.ndarray, weight: np.ndarray, settings: Training) -> dict[str, np.ndarray]:
    """Learn which symbol comes; before, came: (U, T) int32; weight: (U, T), 0 at steps that are not learnt from.

    Windows are drawn by their weight, so that the time it takes does not grow with the data. Without a window the
    network stays as it began.
    """
    with torch.random.fork_rng(devices=[]), Compute().few_threads():
        torch.manual_seed(settings.seed)
        network = NextEventNetwork(settings.symbols, settings.width)
        if len(before):
            _learn(network, before, came, weight, settings)
        return network.arrays()


def _learn(
    network: NextEventNetwork, before: np.ndarray, came: np.ndarray, weight: np.ndarray, settings: Training
) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.batches)
    random = np.random.default_rng(settings.seed)
    of_window = weight.sum(axis=1)
    share = weight / of_window[:, None]
    drawn = random.choice(len(before), (settings.batches, settings.batch_windows), p=of_window / of_window.sum())
    for windows in drawn:
        logits = network(torch.from_numpy(before[windows].astype(np.int64)))
        wanted, counts = torch.from_numpy(came[windows].astype(np.int64)), torch.from_numpy(share[windows])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
        optimizer.zero_grad(set_to_none=True)
        (loss * counts.flatten().float()).sum().div(settings.batch_windows).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
