"""How surprising an event is to a network that has learnt which event comes next: DeepLog's detector.

M. Du, F. Li, G. Zheng & V. Srikumar, "DeepLog: anomaly detection and diagnosis from system logs through deep
learning", CCS 2017: two stacked LSTM layers read the last h events and give the probability of each event that may
come next. An event is its key alone; here its step (level, direction, same place or another) with the time since the
event before in one of a dozen ranges, which stands in for the paper's second network over the values beside a key.
Training the network belongs here and to `next_event_training`; which journeys are ordinary is the teacher's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from barcode_pipeline.compiled import compiled, inlined
from barcode_pipeline.models.baselines.baseline import Baseline, for_every_label, ordinary
from barcode_pipeline.models.baselines.next_event_training import Training, train
from barcode_pipeline.models.passes import lay_out
from barcode_pipeline.models.steps import SYMBOLS, TIMES, read_steps, symbols_of
from barcode_pipeline.models.unique_rows import unique_rows
from barcode_pipeline.sequences.journey_features import JourneyFeatures

_UNFORESEEN = 1e-4
"""Probability kept for events that training never saw where they come, shared evenly by all symbols."""

_NONE = -1
"""Stands in the list of symbols where training saw none."""

SURPRISE, RANK = "surprise", "rank"


@dataclass(kw_only=True, eq=False)
class NextEvent(Baseline):
    """Score: -log of the probability of the event after those before it, the same for every label.

    Learnt from ordinary journeys. As in the paper a window holds the `longest` events before; a journey's start is
    marked, so that its first event has a probability as well.
    """

    name: ClassVar[str] = "next_event"
    grid: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"times": False}, {"form": RANK}, {"width": 64})
    symbol_: np.ndarray = field(init=False, repr=False)
    entry_: np.ndarray = field(init=False, repr=False)
    recurrent_: np.ndarray = field(init=False, repr=False)
    upward_: np.ndarray = field(init=False, repr=False)
    bias_: np.ndarray = field(init=False, repr=False)
    recurrent_above_: np.ndarray = field(init=False, repr=False)
    head_: np.ndarray = field(init=False, repr=False)
    head_bias_: np.ndarray = field(init=False, repr=False)

    form: str = SURPRISE
    """`rank` scores as the paper decides: how many events were more probable than the one that came."""
    times: bool = True
    """Whether the time since the event before is part of what comes next."""
    longest: int = 10
    width: int = 32
    batches: int = 400
    batch_windows: int = 128
    learning_rate: float = 0.01

    def surprise(self, journeys: JourneyFeatures) -> np.ndarray:
        """-log of the probability of each event after those before it in its journey, (N,) float32."""
        self._check_fitted()
        return self._read(journeys, False)

    def _learn(self, journeys: JourneyFeatures, targets: np.ndarray, weight: np.ndarray) -> None:
        if self.form not in (SURPRISE, RANK) or self.longest < 1 or self.width < 1:
            raise ValueError(f"next_event cannot be of form {self.form}, length {self.longest} and width {self.width}.")
        learnt = ordinary(journeys, targets, weight)
        symbol = self._symbols(journeys.values)
        self.symbol_ = np.unique(symbol[learnt > 0]) if learnt.any() else np.array([_NONE])
        came, before = self._numbered(journeys, symbol)
        # A symbol that training never saw is nothing to learn to expect.
        learnt = np.where(came < len(self.symbol_), learnt, 0)
        seen = _padded_windows(journeys.offsets, self.longest, before, came, learnt)
        settings = Training(
            len(self.symbol_), self.width, self.batches, self.batch_windows, self.learning_rate, self.seed
        )
        for name, values in train(*seen, settings).items():
            setattr(self, name, values)

    def _symbols(self, values: np.ndarray) -> np.ndarray:
        """(N,) int64, 0 to `SYMBOLS` - 1."""
        return symbols_of(values) if self.times else read_steps(values).number() * TIMES

    def _numbered(self, journeys: JourneyFeatures, symbol: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(what came, what came before it), (N,) int32 each, as places in `symbol_`; after these one more for a symbol
        that training never saw, and for what comes before a journey's first event one more."""
        place = np.minimum(np.searchsorted(self.symbol_, symbol), len(self.symbol_) - 1)
        came = np.where(self.symbol_[place] == symbol, place, len(self.symbol_)).astype(np.int32)
        before = np.where(journeys.position() > 0, np.roll(came, 1), np.int32(len(self.symbol_) + 1))
        return came, before.astype(np.int32)

    def _score(self, journeys: JourneyFeatures) -> np.ndarray:
        return for_every_label(self._read(journeys, self.form == RANK))

    def _read(self, journeys: JourneyFeatures, rank: bool) -> np.ndarray:
        out = np.zeros(len(journeys), dtype=np.float32)
        came, before = self._numbered(journeys, self._symbols(journeys.values))
        for passes in lay_out(journeys.offsets, self.longest):
            content = np.concatenate([before[passes.rows], came[passes.rows]], axis=1)
            first, inverse = unique_rows(content)
            found = surprises(
                content[first, : passes.length], content[first, passes.length :], rank, self.entry_, self.recurrent_,
                self.upward_, self.bias_, self.recurrent_above_, self.head_, self.head_bias_,
            )  # fmt: skip
            read = passes.read()
            out[passes.rows[read]] = found[inverse][read]
        return out

    def _verify(self) -> None:
        count, wide = len(self.symbol_), 4 * self.width
        expected = {
            "entry_": (count + 2, wide),
            "recurrent_": (self.width, wide),
            "upward_": (self.width, wide),
            "bias_": (wide,),
            "recurrent_above_": (self.width, wide),
            "head_": (self.width, count),
            "head_bias_": (count,),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape or getattr(self, name).dtype != np.float32:
                raise ValueError(f"{name} is not of shape {shape}")
        if count < 1 or self.longest < 1 or self.form not in (SURPRISE, RANK):
            raise ValueError("parameters do not fit")


def _padded_windows(
    offsets: np.ndarray, longest: int, before: np.ndarray, came: np.ndarray, learnt: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct windows that are learnt from: (before, came, weight), (U, longest) each.

    Shorter ones are filled up at their end with weight 0: a step reads only what stands before it.
    """
    parts = []
    for passes in lay_out(offsets, longest):
        weights = np.where(passes.read(), learnt[passes.rows], 0)
        some = weights.any(axis=1)
        padding = ((0, 0), (0, longest - passes.length))
        parts.append(
            [
                np.pad(before[passes.rows[some]], padding),
                np.pad(came[passes.rows[some]], padding),
                np.pad(weights[some], padding),
            ]
        )
    inputs, wanted, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    wanted = np.where(weight > 0, wanted, 0)
    first, inverse = unique_rows(np.concatenate([inputs, wanted], axis=1))
    total = np.column_stack([np.bincount(inverse, column, minlength=len(first)) for column in weight.T])
    return inputs[first], wanted[first], total


@inlined
def _cell(gates: np.ndarray, state: np.ndarray, memory: np.ndarray) -> None:
    """One step of an LSTM layer in place; gates: input, forget, cell, output, each of the layer's width."""
    width = len(state)
    one = np.float32(1)
    for unit in range(width):
        enter = one / (one + np.exp(-gates[unit]))
        forget = one / (one + np.exp(-gates[width + unit]))
        leave = one / (one + np.exp(-gates[3 * width + unit]))
        memory[unit] = forget * memory[unit] + enter * np.tanh(gates[2 * width + unit])
        state[unit] = leave * np.tanh(memory[unit])


@inlined
def _add_product(values: np.ndarray, matrix: np.ndarray, total: np.ndarray) -> None:
    for row in range(len(values)):
        for column in range(len(total)):
            total[column] += values[row] * matrix[row, column]


@compiled
def surprises(
    before: np.ndarray,
    came: np.ndarray,
    rank: bool,
    entry: np.ndarray,
    recurrent: np.ndarray,
    upward: np.ndarray,
    bias: np.ndarray,
    recurrent_above: np.ndarray,
    head: np.ndarray,
    head_bias: np.ndarray,
) -> np.ndarray:
    """(U, T) float32. Window by window: a matrix product's last digits would depend on the windows scored beside."""
    out = np.zeros(came.shape, dtype=np.float32)
    width, symbols = len(recurrent), head.shape[1]
    gates, logits = np.empty(4 * width, np.float32), np.empty(symbols, np.float32)
    for window in range(len(came)):
        state, memory = np.zeros(width, np.float32), np.zeros(width, np.float32)
        state_above, memory_above = np.zeros(width, np.float32), np.zeros(width, np.float32)
        for step in range(came.shape[1]):
            gates[:] = entry[before[window, step]]
            _add_product(state, recurrent, gates)
            _cell(gates, state, memory)
            gates[:] = bias
            _add_product(state, upward, gates)
            _add_product(state_above, recurrent_above, gates)
            _cell(gates, state_above, memory_above)
            logits[:] = head_bias
            _add_product(state_above, head, logits)
            symbol = came[window, step]
            if rank:
                # What training never saw comes after all that it did.
                more = symbols
                if symbol < symbols:
                    more = 0
                    for other in range(symbols):
                        more += logits[other] > logits[symbol]
                out[window, step] = more
                continue
            highest = np.float32(-np.inf)
            for other in range(symbols):
                highest = max(highest, logits[other])
            total = 0.0
            for other in range(symbols):
                total += np.exp(logits[other] - highest)
            known = np.exp(logits[symbol] - highest) / total if symbol < symbols else 0.0
            out[window, step] = -np.log((1 - _UNFORESEEN) * known + _UNFORESEEN / SYMBOLS)
    return out
