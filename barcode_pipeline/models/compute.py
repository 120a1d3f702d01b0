"""Which device computes, and how precisely. The one place where CUDA is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch

from barcode_pipeline.errors import UserError


@dataclass(frozen=True)
class Compute:
    """device: `cpu` or `cuda`. precision: `float32`, or `bfloat16` for the matrix products on CUDA."""

    device: str = "cpu"
    precision: str = "float32"

    @classmethod
    def choose(cls, device: str = "auto", precision: str = "float32") -> Compute:
        """`auto` takes CUDA where there is a card and the CPU otherwise."""
        there = torch.cuda.is_available()
        if device == "cuda" and not there:
            raise UserError(
                "training.device is cuda, and PyTorch finds no CUDA device: set it to auto or cpu, or install a "
                "CUDA build of PyTorch (see README, GPU)."
            )
        chosen = "cuda" if device == "cuda" or (device == "auto" and there) else "cpu"
        return cls(chosen, precision if chosen == "cuda" else "float32")

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the forward pass runs."""
        if self.precision == "bfloat16":
            return torch.autocast(self.device, dtype=torch.bfloat16)
        return nullcontext()

    @contextmanager
    def few_threads(self) -> Iterator[None]:
        """One CPU thread within the block: matrices as small as a batch's lose more by sharing than they gain."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def describe(self) -> str:
        """`cpu` or the card's name, with the precision."""
        if self.device == "cpu":
            return f"cpu ({self.precision})"
        return f"{torch.cuda.get_device_name()} ({self.precision})"
