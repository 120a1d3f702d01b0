"""Adam, without the machinery of `torch.optim.Optimizer`.

That one imports PyTorch's compiler with its first step: 800 modules, 2.4 s, which nothing here uses, and a night waits
for. The arithmetic is PyTorch's own, so that the weights are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.optim.adam import adam

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


class Adam:
    """D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015, with the customary constants.

    parameters: what is fitted, in place.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._steps = [torch.tensor(0.0) for _ in self._parameters]
        self._means = [torch.zeros_like(one) for one in self._parameters]
        self._squares = [torch.zeros_like(one) for one in self._parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the parameters by their gradients. rate: the learning rate."""
        gradients = [one.grad for one in self._parameters if one.grad is not None]
        moved = [place for place, one in enumerate(self._parameters) if one.grad is not None]
        adam(
            [self._parameters[place] for place in moved],
            gradients,
            [self._means[place] for place in moved],
            [self._squares[place] for place in moved],
            [],
            [self._steps[place] for place in moved],
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=rate,
            weight_decay=0.0,
            eps=_EPSILON,
            maximize=False,
        )

    def state_dict(self) -> dict[str, list[torch.Tensor]]:
        """What a training that goes on needs."""
        return {"steps": self._steps, "means": self._means, "squares": self._squares}

    def load_state_dict(self, state: dict[str, list[torch.Tensor]]) -> None:
        """Go on from a state."""
        for own, found in zip(self.state_dict().values(), state.values(), strict=True):
            for one, other in zip(own, found, strict=True):
                one.copy_(other)
