"""Our Adam does what PyTorch's does, to the bit, and does not bring its compiler along."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable

import torch

from barcode_pipeline.models.adam import Adam


def fitted(step_of: Callable[[torch.nn.Module], Callable[[float], None]], steps: int = 12) -> list[torch.Tensor]:
    torch.manual_seed(1)
    network = torch.nn.LSTM(5, 8, num_layers=2, batch_first=True)
    unused = torch.nn.Linear(2, 2)
    network.add_module("unused", unused)
    step = step_of(network)
    for number in range(steps):
        network.zero_grad(set_to_none=True)
        network(torch.randn(4, 3, 5))[0].pow(2).sum().backward()
        step(0.01 / (number + 1))
    return [one.detach().clone() for one in network.parameters()]


def theirs(network: torch.nn.Module) -> Callable[[float], None]:
    optimizer = torch.optim.Adam(network.parameters())

    def step(rate: float) -> None:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()

    return step


def ours(network: torch.nn.Module) -> Callable[[float], None]:
    return Adam(network.parameters()).step


def ours_interrupted(network: torch.nn.Module) -> Callable[[float], None]:
    """Each step by another one that goes on from a copy of the state."""
    kept: dict[str, list[torch.Tensor]] = Adam(network.parameters()).state_dict()

    def step(rate: float) -> None:
        optimizer = Adam(network.parameters())
        optimizer.load_state_dict(kept)
        optimizer.step(rate)
        kept.update(copy.deepcopy(optimizer.state_dict()))

    return step


def test_the_weights_are_the_same_to_the_bit() -> None:
    expected = fitted(theirs)
    for step_of in (ours, ours_interrupted):
        assert all(torch.equal(one, other) for one, other in zip(fitted(step_of), expected, strict=True))


def test_the_compiler_is_not_imported() -> None:
    code = (
        "import sys, torch; from barcode_pipeline.models.adam import Adam; one = torch.nn.Linear(2, 1)\n"
        "optimizer = Adam(one.parameters()); one(torch.ones(1, 2)).sum().backward(); optimizer.step(0.1)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
