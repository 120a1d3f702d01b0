"""What moved the score of an alert: groups of features are replaced by what is ordinary for the step.

An approximation (occlusion): of an alerted event one group of features at a time is set to the median of ordinary
training events of the same step, and what the score loses by it is the group's part. The greatest comes first; the
second is what the score loses further, with the first replaced. What came before in the journey is a group, too: to
replace it is to read the event alone. Parts do not add up to the score: groups work together in a model. Words for
groups are not said here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.detector import Detector
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.models.ordinary import step_numbers
from barcode_pipeline.models.unique_rows import unique_rows
from barcode_pipeline.sequences.feature_groups import FEATURE_GROUPS, group_masks
from barcode_pipeline.sequences.journey_features import JourneyFeatures

GROUPS = (*FEATURE_GROUPS, "history")
"""The groups by number; `history`: what came before in the journey."""
HISTORY = len(GROUPS) - 1
NO_GROUP = -1
_MEDIAN = 1
_LEAST = 1e-4
"""Parts below it are rounding."""
_BATCH = 256
_PIECE = 4096
"""Alerts whose windows are in memory at once."""

ScoreLast = Callable[[JourneyFeatures, np.ndarray], np.ndarray]
"""(W journeys, (W, V, F) others in place of the last event of each) -> (W, V, 5) scores of that last event."""


@dataclass(frozen=True)
class Attribution:
    """What moved the score of some alerts, (A,) each, by event, then label.

    row: int64, the event. label: int64. group: (A, 2) int16 into `GROUPS`, the two that moved the score most, -1 where
    no other did. part: (A, 2) float32, what the score loses by replacing the first, and further by the second.
    earlier: (A,) int64, where the history moved it: the earlier event that did so most, when set to what is ordinary
    for its step; -1 where none did, or where another group moved the score.
    values: (A, F) float32, the event's features. ordinary: (A, 3, F) float32, what is ordinary for its step, as
    `ordinary.OrdinaryValues` has it.
    """

    row: np.ndarray
    label: np.ndarray
    group: np.ndarray
    part: np.ndarray
    earlier: np.ndarray
    values: np.ndarray
    ordinary: np.ndarray

    def take(self, alerts: np.ndarray) -> Attribution:
        """Some of the alerts, in that order."""
        return Attribution(*(getattr(self, one.name)[alerts] for one in fields(self)))

    def by_source(self, source: np.ndarray) -> Attribution:
        """The same with rows numbered as they came. source: (N,), where each event stands there."""
        return replace(self, row=source[self.row], earlier=np.where(self.earlier >= 0, source[self.earlier], -1))


def attribute(
    score_last: ScoreLast, journeys: JourneyFeatures, alerts: np.ndarray, ordinary: np.ndarray, longest: int
) -> Attribution:
    """Why each alert. alerts: (N, 5) bool; ordinary: `ordinary.ordinary_values`; longest: L, events of a window.

    Alerts with the same window are looked at once. The cost is that of a few dozen events per distinct alert.
    """
    row, label = np.nonzero(alerts)
    pieces = [
        _attribute(score_last, journeys, row[begin : begin + _PIECE], label[begin : begin + _PIECE], ordinary, longest)
        for begin in range(0, max(len(row), 1), _PIECE)
    ]
    return Attribution(*(np.concatenate([getattr(piece, one.name) for piece in pieces]) for one in fields(Attribution)))


def _attribute(
    score_last: ScoreLast,
    journeys: JourneyFeatures,
    row: np.ndarray,
    label: np.ndarray,
    ordinary: np.ndarray,
    longest: int,
) -> Attribution:
    group = np.full((len(row), 2), NO_GROUP, dtype=np.int16)
    part = np.zeros((len(row), 2), dtype=np.float32)
    events, of_alert = np.unique(row, return_inverse=True)
    own = np.asarray(journeys.values[events])
    typical = ordinary[step_numbers(own)]
    windows, first, same = _distinct_windows(journeys, events, longest)
    asked, which = np.unique(same[of_alert] * len(LABELS) + label, return_inverse=True)
    found_group, found_part = group[: len(asked)].copy(), part[: len(asked)].copy()
    found_back = np.zeros(len(asked), dtype=np.int64)
    # Windows of a length beside each other: they are computed together.
    order = np.argsort(np.diff(windows.offsets)[asked // len(LABELS)], kind="stable")
    for begin in range(0, len(asked), _BATCH):
        batch = order[begin : begin + _BATCH]
        window, wanted = np.divmod(asked[batch], len(LABELS))
        read = _chosen(windows, window)
        found_group[batch], found_part[batch] = _two_greatest(score_last, read, typical[first[window], _MEDIAN], wanted)
        by_history = np.flatnonzero((found_group[batch] == HISTORY).any(axis=1))
        found_back[batch[by_history]] = _events_back(
            score_last, _chosen(read, by_history), ordinary[:, _MEDIAN], wanted[by_history]
        )
    group[:], part[:], back = found_group[which], found_part[which], found_back[which]
    earlier = np.where(back > 0, row - back, -1)
    return Attribution(
        row, label, group, part, earlier, own[of_alert].astype(np.float32), typical[of_alert].astype(np.float32)
    )


def _two_greatest(
    score_last: ScoreLast, windows: JourneyFeatures, typical: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(groups, parts), (W, 2) each. typical: (W, F) float16; label: (W,)."""
    count, masks = len(label), group_masks()
    each = np.arange(count)
    own = np.asarray(windows.values[windows.offsets[1:] - 1])
    replaced = np.zeros((count, masks.shape[1]), dtype=bool)
    alone = np.zeros(count, dtype=bool)
    groups = np.full((count, 2), NO_GROUP, dtype=np.int16)
    parts = np.zeros((count, 2), dtype=np.float32)
    before = _scores(score_last, windows, own[:, None], alone)[each, 0, label]
    for turn in range(2):
        without = replaced[:, None] | masks
        others = np.where(without, typical[:, None], own[:, None])
        after = np.empty((count, len(GROUPS)), dtype=np.float32)
        after[:, :HISTORY] = _scores(score_last, windows, others, alone)[each, :, label]
        kept = np.where(replaced, typical, own)[:, None]
        after[:, HISTORY] = _scores(score_last, windows, kept, np.ones(count, dtype=bool))[each, 0, label]
        lost = before[:, None] - after
        greatest = np.argmax(lost, axis=1)
        # A group that was replaced before, or that already was as it ordinarily is, loses nothing.
        some = lost[each, greatest] > _LEAST
        groups[some, turn], parts[some, turn] = greatest[some], lost[each, greatest][some]
        replaced |= np.where((some & (greatest != HISTORY))[:, None], masks[np.minimum(greatest, HISTORY - 1)], False)
        alone |= some & (greatest == HISTORY)
        before = np.where(some, after[each, greatest], before)
    return groups, parts


def _events_back(score_last: ScoreLast, windows: JourneyFeatures, typical: np.ndarray, label: np.ndarray) -> np.ndarray:
    """How many events before the last stands the one that moved the score most, (W,), 0 where none did.

    typical: (steps + 1, F) float16, by step; label: (W,).
    """
    own = windows.values[windows.offsets[1:] - 1][:, None]
    each, alone = np.arange(len(label)), np.zeros(len(label), dtype=bool)
    before = _scores(score_last, windows, own, alone)[each, 0, label]
    lengths = np.diff(windows.offsets)
    most, back = np.full(len(label), _LEAST, dtype=np.float32), np.zeros(len(label), dtype=np.int64)
    for behind in range(1, int(lengths.max(initial=1))):
        there = np.flatnonzero(lengths > behind)
        changed = _chosen(windows, there)
        rows = changed.offsets[1:] - 1 - behind
        changed.values[rows] = typical[step_numbers(changed.values[rows])]
        lost = (
            before[there]
            - _scores(score_last, changed, own[there], alone[there])[np.arange(len(there)), 0, label[there]]
        )
        more = lost > most[there]
        most[there[more]], back[there[more]] = lost[more], behind
    return back


def _scores(score_last: ScoreLast, windows: JourneyFeatures, others: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """(W, V, 5); alone: (W,) bool, windows of which the last event is read by itself."""
    out = np.empty((*others.shape[:2], len(LABELS)), dtype=np.float32)
    for by_itself in np.unique(alone):
        chosen = np.flatnonzero(alone == by_itself)
        read = _chosen(windows, chosen)
        if by_itself:
            read = JourneyFeatures(read.values[read.offsets[1:] - 1], np.arange(len(chosen) + 1))
        out[chosen] = score_last(read, others[chosen])
    return out


def whole_windows(detector: Detector) -> ScoreLast:
    """For any detector: each window is scored anew with each other last event."""

    def score_last(windows: JourneyFeatures, others: np.ndarray) -> np.ndarray:
        count, variants = others.shape[:2]
        repeated = _chosen(windows, np.repeat(np.arange(count), variants))
        last = repeated.offsets[1:] - 1
        repeated.values[last] = others.reshape(len(last), -1)
        return detector.score(repeated)[last].reshape(count, variants, len(LABELS))

    return score_last


def continued_by(model: LstmModel) -> ScoreLast:
    """For the LSTM: what stands before the last event is read once, and each other last event goes on from there."""
    network, device = model.network.to(model.compute.device).eval(), model.compute.device

    def states(features: np.ndarray) -> torch.Tensor:
        return (torch.from_numpy(features.astype(np.float32)).to(device) - network.mean) / network.spread

    def score_last(windows: JourneyFeatures, others: np.ndarray) -> np.ndarray:
        count, variants = others.shape[:2]
        out = np.empty((count, variants, len(LABELS)), dtype=np.float32)
        lengths = np.diff(windows.offsets)
        with torch.inference_mode():
            for length in np.unique(lengths):
                chosen = np.flatnonzero(lengths == length)
                begun = None
                if length > 1:
                    rows = windows.offsets[chosen][:, None] + np.arange(length - 1)
                    _, (state, memory) = network.lstm(states(windows.values[rows]))
                    begun = (state.repeat_interleave(variants, 1), memory.repeat_interleave(variants, 1))
                last, _ = network.lstm(states(others[chosen].reshape(-1, 1, others.shape[2])), begun)
                logits = network.head(last[:, 0]).cpu().numpy()
                out[chosen] = logits.reshape(len(chosen), variants, len(LABELS))
        return out

    return score_last


def _distinct_windows(
    journeys: JourneyFeatures, events: np.ndarray, longest: int
) -> tuple[JourneyFeatures, np.ndarray, np.ndarray]:
    """(distinct windows, the first of the events with each, the window of each event)."""
    start = journeys.offsets[np.searchsorted(journeys.offsets, events, side="right") - 1]
    length = np.minimum(events - start + 1, longest)
    back = np.arange(longest - 1, -1, -1)
    there = back < length[:, None]
    rows = np.where(there, events[:, None] - back, 0)
    values = np.where(there[:, :, None], journeys.values[rows], 0).astype(np.float16)
    content = np.concatenate(
        [values.reshape(len(events), longest * values.shape[2]), length[:, None].astype(np.float16)], axis=1
    )
    first, same = unique_rows(content)
    lengths = length[first]
    return JourneyFeatures(values[first][there[first]], np.concatenate([[0], np.cumsum(lengths)])), first, same


def _chosen(windows: JourneyFeatures, chosen: np.ndarray) -> JourneyFeatures:
    """Windows by number, in that order, also several times."""
    lengths = np.diff(windows.offsets)[chosen]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.repeat(windows.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return JourneyFeatures(windows.values[rows], offsets)
