"""The split of training and evaluation: by time, and by lots that training never sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.codes import lots_of
from barcode_pipeline.events.hashes import lot_buckets as lot_buckets  # the split is by them
from barcode_pipeline.events.text import dictionary_array, dictionary_codes

TRAIN, VALIDATION, KNOWN_LOTS, HELD_OUT_LOTS, HELD_OUT_LOTS_EARLIER = range(5)
"""What an event is for. Evaluation: known and held-out lots after the cut, held-out lots before it too."""
PART_NAMES = ("train", "validation", "known_lots", "held_out_lots", "held_out_lots_earlier")


@dataclass(frozen=True)
class JourneyOrder:
    """Sequences of all dates, journey by journey.

    source: (N,) int64, the row of each event in the tables of all dates, one after the other.
    offsets: (J + 1,) int64, events of journey j. lot: (J,) int32 into lots. lots: names, (L,) string.
    """

    source: np.ndarray
    offsets: np.ndarray
    lot: np.ndarray
    lots: pa.Array


def order_by_journey(epc_code: pa.ChunkedArray) -> JourneyOrder:
    """Group rows that stand by date, and within a date in the order of travel, into journeys.

    Journeys come in the order of their EPC codes; each row without an EPC is a journey, and a lot, of its own.
    """
    column = dictionary_array(epc_code)
    by_text = pc.sort_indices(column.dictionary).to_numpy()
    rank = np.empty(len(by_text) + 1, dtype=np.int64)
    rank[by_text] = np.arange(len(by_text))
    rank[-1] = len(by_text)
    epc = rank[dictionary_codes(column)]
    source = np.argsort(epc, kind="stable")
    ordered = epc[source]
    codes = column.dictionary.take(pa.array(by_text))
    starts = np.flatnonzero((np.diff(ordered, prepend=-1) != 0) | (ordered == len(by_text)))
    names = lots_of(codes)
    lot_of_code = names.indices.to_numpy(zero_copy_only=False).astype(np.int32)
    nameless = int((ordered[starts] == len(by_text)).sum())
    lot_of_journey = np.concatenate(
        [lot_of_code[ordered[starts[: len(starts) - nameless]]], len(names.dictionary) + np.arange(nameless)]
    ).astype(np.int32)
    lots = pa.concat_arrays([names.dictionary, pa.array([f"no EPC {i}" for i in range(nameless)], pa.string())])
    return JourneyOrder(source, np.append(starts, len(epc)).astype(np.int64), lot_of_journey, lots)


def cut_time(time: np.ndarray, train_share: float) -> int:
    """The second before which `train_share` of the events lie."""
    if not len(time):
        return 0
    place = min(int(len(time) * train_share), len(time) - 1)
    return int(np.partition(time, place)[place])


def is_held_out(buckets: np.ndarray, held_out_lots: int) -> np.ndarray:
    """(L,) bool, lots that are never trained on: one in `held_out_lots`. buckets: (L,) uint32, `lot_buckets`."""
    return np.asarray(buckets % held_out_lots == 0)


def is_validation(buckets: np.ndarray, held_out_lots: int, validation_lots: int) -> np.ndarray:
    """(L,) bool, of the other lots one in `validation_lots`: it serves validation."""
    return np.asarray(~is_held_out(buckets, held_out_lots) & (buckets // held_out_lots % validation_lots == 0))


def split_events(
    time: np.ndarray, lot: np.ndarray, buckets: np.ndarray, cut: int, held_out_lots: int, validation_lots: int
) -> np.ndarray:
    """What each event is for, (N,) uint8. time: seconds; lot: (N,) into buckets.

    One lot in `held_out_lots` is never trained on; one in `validation_lots` of the others serves validation
    before the cut. Validation lots are told apart by lot alone, over all dates before the cut: a second cut in
    time would leave too few positives to choose thresholds by.
    """
    held_out = is_held_out(buckets, held_out_lots)[lot]
    validation = is_validation(buckets, held_out_lots, validation_lots)[lot]
    late = time >= cut
    early_part = np.where(held_out, HELD_OUT_LOTS_EARLIER, np.where(validation, VALIDATION, TRAIN))
    return np.where(late, np.where(held_out, HELD_OUT_LOTS, KNOWN_LOTS), early_part).astype(np.uint8)
