"""Judging the scans of a request in the light of what is known of their EPCs: pure, over the kernels of the chain.

Nothing here knows a store, a clock or HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from barcode_pipeline.events.followed import Followed
from barcode_pipeline.events.journeys import Events, Journeys
from barcode_pipeline.events.places import Reference
from barcode_pipeline.models.baselines.one_class_svm import OneClassSvm
from barcode_pipeline.models.calibration import Calibration
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.models.steps import SYMBOLS, symbols_of
from barcode_pipeline.models.unique_rows import unique_rows
from barcode_pipeline.rules.labels import score_followed
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.sequences.features import features_of
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.lot_moves import ReadyLots
from barcode_pipeline.serving.readings import ReadingTable
from barcode_pipeline.serving.rows import BY_MODEL, NO_MODEL, TOO_EARLY, VERDICT, label_bits

_STEPS_AT_ONCE = 65_536
_FEW_PASSES = 500


@dataclass(frozen=True)
class Svm:
    """The one-class machines, one per label, and from where on their scores are alerts."""

    detector: OneClassSvm
    calibration: Calibration


@dataclass(frozen=True)
class Models:
    """The models in service; None where there is none. lstm_file: the name of the LSTM's file."""

    lstm: LstmModel | None = None
    svm: Svm | None = None
    lstm_file: str | None = None


@dataclass(frozen=True)
class Settings:
    """What a verdict depends on beside scans and models. cold_start: earlier events that an EPC needs for its event to
    be judged by the LSTM; with fewer the rules do."""

    reference: Reference
    rules: RuleSettings
    cold_start: int = 0


@dataclass(frozen=True)
class Given:
    """Rows as they come: those of the history, then those of the request.

    key: (N,) int32, the journey of each row; rows without an EPC share one where their second is the same. time,
    event_id: (N,) int64. reading: (N,) int64 into `table`. history: how many of the rows are history.
    """

    key: np.ndarray
    time: np.ndarray
    event_id: np.ndarray
    reading: np.ndarray
    history: int
    table: ReadingTable

    def __len__(self) -> int:
        return len(self.key)


def find_scans(given: Given) -> np.ndarray:
    """The row that stands for each row's scan, (N,) int64: itself, or the one of the same scan that stays.

    A row of the history stays before one of the request; then the lowest event id, then the smallest by all columns.
    """
    count = len(given)
    identity, rank = given.table.identity[given.reading], given.table.rank[given.reading]
    new = np.arange(count) >= given.history
    order = np.lexsort((rank, given.event_id, new, identity, given.time, given.key))
    same = np.ones(max(count - 1, 0), dtype=bool)
    for column in (given.key, given.time, identity):
        ordered = column[order]
        same &= ordered[1:] == ordered[:-1]
    first = np.append(True, ~same)[:count]
    stays = np.empty(count, dtype=np.int64)
    stays[order] = order[np.flatnonzero(first)[np.cumsum(first) - 1]]
    return stays


def known_events(given: Given, rows: np.ndarray, code_of_key: np.ndarray, codes: pa.Array) -> Events:
    """Some rows as events. code_of_key: int32 into `codes`, -1 for keys of rows without an EPC."""
    reading, table = given.reading[rows], given.table
    return Events(
        epc=code_of_key[given.key[rows]],
        time=given.time[rows],
        level=table.level[reading],
        direction=table.direction[reading],
        place=table.place[reading],
        words=table.words[reading],
        event_id=given.event_id[rows],
        codes=codes,
        places=table.places,
    )


def judge(
    followed: Followed, fresh: np.ndarray, moves: ReadyLots | None, models: Models, settings: Settings
) -> np.ndarray:
    """The verdicts of the events in `fresh`, (F,) `VERDICT`.

    followed: the whole known journeys of their EPCs. fresh: rows of them. moves: of their lots, as `features_of` takes
    them; not needed without a model.
    """
    rules = settings.rules
    scored = score_followed(followed, settings.reference, rules)
    out = np.zeros(len(fresh), dtype=VERDICT)
    out["rule"] = scored.scores[fresh]
    out["rule_labels"] = label_bits(scored.labels(rules)[fresh])
    for name in ("lstm", "svm"):
        _by_rules(out, name, np.ones(len(fresh), dtype=bool), NO_MODEL)
    if models.lstm is None and models.svm is None:
        return out
    features = features_of(followed, settings.reference, rules.v_max, moves)
    if models.lstm is not None:
        journeys = followed.travel.journeys
        scores = last_scores(models.lstm, features.values, journeys, fresh)
        surprise = last_surprises(models.lstm, features.values, journeys, fresh)
        probabilities = models.lstm.probabilities_of(scores, surprise)
        out["lstm"], out["lstm_method"] = probabilities, BY_MODEL
        out["lstm_labels"] = label_bits(models.lstm.calibration.alerts(probabilities))
        _by_rules(out, "lstm", features.position[fresh] < settings.cold_start, TOO_EARLY)
    if models.svm is not None:
        values = features.values[fresh]
        outside = models.svm.detector.score(JourneyFeatures(values, np.arange(len(values) + 1)))
        alerts = models.svm.calibration.alerts(models.svm.calibration.probabilities(outside))
        out["svm"], out["svm_method"] = models.svm.detector.share_below(outside), BY_MODEL
        out["svm_labels"] = label_bits(alerts)
    return out


def _by_rules(out: np.ndarray, name: str, chosen: np.ndarray, method: int) -> None:
    """The rules' verdict in the place of a model's. Its score times 100 is the rule's again."""
    out[name][chosen] = (out["rule"][chosen] / 100).astype(np.float32)
    out[f"{name}_labels"][chosen] = out["rule_labels"][chosen]
    out[f"{name}_method"][chosen] = method


def last_scores(model: LstmModel, values: np.ndarray, journeys: Journeys, wanted: np.ndarray) -> list[np.ndarray]:
    """Log-odds of some events by each of a model's networks, read out at the end of its window, (W, 5) float32 each.

    values: (N, F) features by row. journeys: all of them. wanted: (W,) rows. The windows of a journey's first L events
    are one pass; each later event has one of its own (`models.passes`). Passes are padded at the end, which a causal
    network does not see.
    """
    longest = model.network.architecture.longest
    order, offsets = journeys.order, journeys.offsets
    at = _places(order)[wanted]
    # Rows without an EPC stand after the last journey, each alone.
    journey = np.searchsorted(offsets, at, side="right") - 1
    start = np.where(at < offsets[-1], offsets[np.minimum(journey, len(offsets) - 1)], at)
    begin = np.where(at - start < longest, start, at - longest + 1)
    begins, passes = np.unique(begin, return_inverse=True)
    steps = at - begin
    lengths = np.zeros(len(begins), dtype=np.int64)
    np.maximum.at(lengths, passes, steps + 1)
    networks = [network.eval() if network.training else network for network in model.networks]
    out = [np.empty((len(wanted), 5), dtype=np.float32) for _ in networks]
    by_length = np.argsort(lengths, kind="stable")
    done, many = 0, max(1, _STEPS_AT_ONCE // longest)
    rank = np.empty(len(begins), dtype=np.int64)
    rank[by_length] = np.arange(len(begins))
    while done < len(begins):
        some = by_length[done : done + many]
        length = int(lengths[some].max())
        index = begins[some][:, None] + np.arange(length)
        inside = np.arange(length) < lengths[some][:, None]
        features = values[order[np.where(inside, index, 0)]]
        features[~inside] = 0
        # Items of a shipment are near copies of each other; looking for equal ones pays where there are many.
        first, same = _distinct(features) if len(some) > _FEW_PASSES else (slice(None), slice(None))
        distinct = features[first]
        inputs = torch.zeros(batch_size(len(distinct)), *distinct.shape[1:])
        inputs[: len(distinct)] = torch.from_numpy(distinct)
        here = np.flatnonzero((rank[passes] >= done) & (rank[passes] < done + len(some)))
        with torch.inference_mode():
            for network, found in zip(networks, out, strict=True):
                scores = network(inputs.to(model.compute.device)).cpu().numpy()[same]
                found[here] = scores[rank[passes[here]] - done, steps[here]]
        done += len(some)
    return out


def last_surprises(model: LstmModel, values: np.ndarray, journeys: Journeys, wanted: np.ndarray) -> np.ndarray | None:
    """(W,) float32, how surprising some events are after those before them; None without a second opinion. Arguments as
    `last_scores` has them."""
    if model.second is None:
        return None
    order, offsets = journeys.order, journeys.offsets
    at = _places(order)[wanted]
    follows = (at < offsets[-1]) & ~np.isin(at, offsets)
    before = np.full(len(wanted), SYMBOLS)
    before[follows] = symbols_of(values[order[at[follows] - 1]])
    return model.second.foresight.of_symbols(symbols_of(values[wanted]), before)


def _places(order: np.ndarray) -> np.ndarray:
    """(N,) int64, where in the order each row stands."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


def batch_size(passes: int) -> int:
    """The next number of three binary digits and zeros. The library that computes the layers prepares code and memory
    for each size of a batch that it meets, which takes milliseconds and stays: few sizes, therefore."""
    step = 1 << max(0, (passes - 1).bit_length() - 3)
    return -(-passes // step) * step


def _distinct(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of each distinct pass, and the distinct one of each. features: (P, T, F) float16."""
    return unique_rows(features.view(np.uint16).reshape(len(features), -1))
