"""The planter: ordinary journeys in, journeys with planted anomalies out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.journeys import EVENT_COLUMNS, Events
from barcode_pipeline.events.places import Reference
from barcode_pipeline.teachers.planting.board import Board, gathered, lay_out
from barcode_pipeline.teachers.planting.choosing import choose
from barcode_pipeline.teachers.planting.families import FAMILIES, FAMILY_NAMES, Family, labels_of
from barcode_pipeline.teachers.planting.ordinary import add_noise, miss_reads, read_again
from barcode_pipeline.teachers.planting.settings import PlantingSettings


@dataclass(frozen=True)
class Planted:
    """events: M events, those given without what was dropped, with what was inserted, in no particular order.
    targets: (M, 5) bool. family: (M,) int16 into the families, -1 where nothing was planted. weight: (M,) float32, 0
    for mere consequences and for EPCs under suspicion. source: (M,) int64, row of the events given, -1 where
    inserted."""

    events: Events
    targets: np.ndarray
    family: np.ndarray
    weight: np.ndarray
    source: np.ndarray


def plant(
    events: Events,
    suspects: np.ndarray,
    reference: Reference,
    v_max: float,
    settings: PlantingSettings,
    seed: Sequence[int],
    families: Sequence[Family] = FAMILIES,
) -> Planted:
    """Plant anomalies upon some events, and drop reads.

    suspects: (N,) bool, events that are no example of what is ordinary; nothing is planted upon their EPCs and
    nothing learnt from them, but they stay part of their lots' shipments. v_max: km/h of the fastest truck.
    families: those that are planted, but for what the settings leave out. The same arguments give the same result.
    """
    board = lay_out(events, ~_of_same_epc(events, suspects), reference, v_max, tuple(seed))
    add_noise(board, settings.noise)
    _check_families(settings.leave_out)
    chosen = [family for family in families if family.name not in settings.leave_out]
    weight, labels = sum(family.weight for family in chosen), labels_of(families)
    planted_epcs = settings.share * len(np.unique(board.journey[board.free]))
    # The rarer its candidates, the earlier a family chooses.
    for family in sorted(chosen, key=lambda family: int(np.count_nonzero(family.candidates(board) & board.free))):
        number = families.index(family)
        board.planting = (number, int(labels[number]))
        anchors = choose(
            board,
            family.candidates(board),
            max(1, round(planted_epcs * family.weight / weight)),
            family.grouped,
            family.largest,
        )
        if len(anchors):
            board.free &= ~np.isin(board.journey, board.journey[anchors.row])
            family.plant(board, anchors)
    read_again(board, settings.noise.rereads)
    miss_reads(board, settings.noise.missed_reads)
    return _finish(board, events)


def _check_families(names: Sequence[str]) -> None:
    for name in names:
        if name not in FAMILY_NAMES:
            raise UserError(
                f"There is no family of planted anomalies {name!r}; planting.leave_out takes {', '.join(FAMILY_NAMES)}."
            )


def _of_same_epc(events: Events, some: np.ndarray) -> np.ndarray:
    """(N,) bool, events of the EPCs that some events are of; those without an EPC are of none but their own."""
    of_code = np.zeros(len(events.codes) + 1, dtype=bool)
    of_code[events.epc[some]] = True
    of_code[-1] = False
    return of_code[events.epc] | some


def _finish(board: Board, events: Events) -> Planted:
    parts = list(gathered(board))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    codes = pa.concat_arrays([board.codes.cast(pa.string()), *board.new_codes]).dictionary_encode()
    number = np.append(codes.indices.to_numpy(zero_copy_only=False).astype(np.int32), np.int32(-1))
    columns["epc"] = number[columns["epc"]]
    targets = np.zeros((len(columns["epc"]), 5), dtype=bool)
    bearing = np.flatnonzero(columns["label"] >= 0)
    targets[bearing, columns["label"][bearing]] = True
    weight = np.where(columns["label"] >= 0, np.float32(1), columns["weight"])
    made = replace(
        events, **{name: columns[name] for name in EVENT_COLUMNS}, codes=codes.dictionary, places=board.places
    )
    return Planted(made, targets, columns["family"], weight, columns["source"])
