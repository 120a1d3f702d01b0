"""What the model in service has learnt from, in few numbers: what its features are compared with, night by night. It is
kept beside the model, and made anew where another one is in service. No Dagster here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.alerts.journey_words import place_words
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.constancy import Usual, learn_usual
from barcode_pipeline.evaluation.drift import Reference, learn_reference, shipment_rows
from barcode_pipeline.events.codes import lot_names
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.steps import DIRECTION_NAMES, LEVEL_NAMES, LEVEL_UNKNOWN, MISSING
from barcode_pipeline.events.text import dictionary_array, dictionary_codes
from barcode_pipeline.events.times import day_of
from barcode_pipeline.models.ordinary import STEP_NUMBERS, step_numbers
from barcode_pipeline.sequences.feature_groups import LEVELS, STEP_FEATURES
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.split import TRAIN
from barcode_pipeline.sequences.training_set import TrainingSet, newest_training_set
from barcode_pipeline.workspace import Workspace

NEAR_SECONDS = 3600
"""Rows of a lot and step with no longer gap between them are one shipment."""
_PLACES_FROM_DAYS = 60
"""Days before the newest learnt from whose places and products count as known."""
_ALONE_FROM = 0.05
"""Of a place's steps one that makes up so much may well be the only one of a night: sales on a holiday."""
_MOST_ROWS = 400_000
_ROUTE_KNOWN = FEATURE_NAMES.index("route_known")


@dataclass(frozen=True)
class Learnt:
    """What the model in service has learnt from. usual: values of features by step; usual_of_places: of those of the
    step by place, in the order of the names. places, products: names. last: the newest day of all."""

    features: Reference
    usual: Usual
    usual_of_places: Usual
    places: frozenset[str]
    products: frozenset[str]
    last: int


def learnt_from(workspace: Workspace) -> Learnt | None:
    """Of the model in service: kept beside it, and made where another model is in service; None without one."""
    if not workspace.model_pointer.exists():
        return None
    of = {"model": workspace.model_pointer.read_text(), "features": list(FEATURE_NAMES)}
    path = workspace.models / "drift" / "learnt_from.npz"
    try:
        with np.load(path) as kept:
            if json.loads(str(kept["of"])) == of:
                return Learnt(
                    Reference(kept["edges"], kept["expected"], kept["shipments"]),
                    Usual(kept["values"], kept["shares"], kept["lots"]),
                    Usual(kept["place_values"], kept["place_shares"], kept["place_lots"]),
                    frozenset(kept["places"].tolist()),
                    frozenset(kept["products"].tolist()),
                    int(kept["last"]),
                )
    except (OSError, ValueError, KeyError, EOFError):
        pass
    made = _learn(workspace)
    if made is not None:
        with written_beside(path) as beside, beside.open("wb") as stream:
            np.savez(
                stream,
                of=json.dumps(of),
                edges=made.features.edges,
                expected=made.features.expected,
                shipments=made.features.shipments,
                values=made.usual.values,
                shares=made.usual.shares,
                lots=made.usual.lots,
                place_values=made.usual_of_places.values,
                place_shares=made.usual_of_places.shares,
                place_lots=made.usual_of_places.lots,
                places=np.array(sorted(made.places), np.str_),
                products=np.array(sorted(made.products), np.str_),
                last=made.last,
            )
    return made


def _learn(workspace: Workspace) -> Learnt | None:
    training_set = _newest_training_set(workspace)
    if training_set is None:
        return None
    rows = np.flatnonzero(np.asarray(training_set.part) == TRAIN)
    # Whole runs of rows, so that not every page of the file is read.
    pieces = np.array_split(rows, max(1, len(rows) // 1000))
    rows = np.concatenate(pieces[:: max(1, len(rows) // _MOST_ROWS)])
    exact = np.asarray(training_set.features[rows])
    values = exact.astype(np.float32)
    step, _ = steps_and_kinds(values)
    lot, time = np.asarray(training_set.lot)[rows], np.asarray(training_set.time)[rows]
    of_shipment = shipment_rows(lot, step, time, NEAR_SECONDS)
    reference = learn_reference(values[of_shipment], step[of_shipment], 2 * STEP_NUMBERS)
    plain = step[of_shipment] % STEP_NUMBERS
    usual = learn_usual(exact[of_shipment], plain, lot[of_shipment], day_of(time[of_shipment]), STEP_NUMBERS)
    last = int(day_of(np.asarray(training_set.time)[rows].max())) if len(rows) else 0
    days = [day for day in workspace.enriched.days() if last - _PLACES_FROM_DAYS < day <= last]
    places, products, place, _ = places_and_products(workspace, days)
    of_places = _usual_of_places(workspace, days, place, len(places))
    return Learnt(reference, usual, of_places, frozenset(places), frozenset(products), last)


def _usual_of_places(workspace: Workspace, days: Sequence[int], place: np.ndarray, places: int) -> Usual:
    """How often which level and direction is at which place, where it is not usual there. place: (N,) of the rows of
    the days."""
    table = workspace.enriched.read(days, ("epc_code", "event_time", "level", "direction"))
    codes = dictionary_array(table.column("epc_code"))
    lot = np.append(lot_hashes(codes.dictionary), np.uint64(0))[dictionary_codes(codes)]
    time = table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)
    level = _numbers(table.column("level"), LEVEL_NAMES, LEVEL_UNKNOWN)
    direction = _numbers(table.column("direction"), DIRECTION_NAMES, MISSING)
    # Rows are many, and their kinds few: each is looked at once.
    day, of_lot = day_of(time), np.unique(lot, return_inverse=True)[1]
    columns = (of_lot, day - min(days, default=0), place, level, direction)
    _, some, times = np.unique(
        np.ravel_multi_index(columns, [int(column.max(initial=0)) + 1 for column in columns]),
        return_index=True,
        return_counts=True,
    )
    values = np.zeros((len(some), len(STEP_FEATURES)), dtype=np.float16)
    values[np.arange(len(some)), level[some]] = 1
    values[np.arange(len(some)), len(LEVELS) + direction[some]] = 1
    usual = learn_usual(values, place[some], lot[some], day[some], places, times.astype(float))
    return replace(usual, shares=np.where(usual.shares >= _ALONE_FROM, np.float32(1), usual.shares))


def _numbers(column: pa.ChunkedArray, names: Sequence[str], unknown: int) -> np.ndarray:
    """The place of each word among some names."""
    words = dictionary_array(column)
    numbers = [names.index(word) if word in names else unknown for word in words.dictionary.to_pylist()]
    return np.array([*numbers, unknown], dtype=np.int64)[dictionary_codes(words)]


def _newest_training_set(workspace: Workspace) -> TrainingSet | None:
    try:
        return newest_training_set([workspace.training, workspace.night_training])
    except UserError:
        return None


def steps_and_kinds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(step of each event, on a known route apart from others; its kind: the direction, or one more). values: (N, F)"""
    step, transport = step_numbers(values), values[:, _ROUTE_KNOWN] > 0
    kind = np.where(transport, len(DIRECTION_NAMES), step % len(DIRECTION_NAMES))
    return step + STEP_NUMBERS * transport, kind


def places_and_products(
    workspace: Workspace, days: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(distinct places, distinct products of well-formed codes, place of each row, product of each row or -1)."""
    columns = ("epc_code", "location_id", "location_text", "scan_location", "site_name")
    table = workspace.enriched.read(days, columns)
    # Rows are many and places few: each distinct way to name one is put into words once.
    frame = table.select(columns[1:]).to_pandas()
    named = frame.groupby(list(columns[1:]), sort=False, dropna=False, observed=True).ngroup().to_numpy()
    first = np.unique(named, return_index=True)[1]
    places, of_name = np.unique(place_words(frame.iloc[first]).astype(str), return_inverse=True)
    place = of_name[named]
    codes = dictionary_array(table.column("epc_code"))
    product = pc.struct_field(
        pc.extract_regex(lot_names(codes.dictionary), r"^(?P<product>[^.]*\.[^.]*)\.[^.]*$"), "product"
    ).dictionary_encode()
    of_code = pc.fill_null(product.indices, -1).to_numpy(zero_copy_only=False)
    of_row = np.append(of_code, -1)[dictionary_codes(codes)]
    return places, np.array(product.dictionary.to_pylist(), dtype=object), place, of_row
