"""How far the features of a night are from those that the model in service has learnt from. No Dagster here.

What it has learnt from is kept beside it, in few numbers (`evaluation.drift.Reference`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from barcode_pipeline.alerts.journey_words import place_words
from barcode_pipeline.configuration import DriftSection
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.drift import Reference, Shift, feature_shift, learn_reference, shipment_rows
from barcode_pipeline.events.codes import lot_names
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.steps import DIRECTION_NAMES
from barcode_pipeline.events.text import dictionary_array, dictionary_codes
from barcode_pipeline.events.times import day_of
from barcode_pipeline.models.ordinary import STEP_NUMBERS, step_numbers
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.split import TRAIN
from barcode_pipeline.sequences.tables import feature_matrix
from barcode_pipeline.sequences.training_set import TrainingSet, read_training_set
from barcode_pipeline.workspace import Workspace

KINDS = (*DIRECTION_NAMES, "transport")
"""Events whose features are compared by themselves: by direction, arrivals on a known route apart. A longer way shows
in transports, a longer stay in departures; among all others neither would."""
INDEX = "index_"
"""What the figure of a kind and feature begins with: `index_transport_transit_deviation`."""
_PLACES_FROM_DAYS = 60
"""Days before the newest learnt from whose places and products count as known."""
_MOST_ROWS = 400_000
_ROUTE_KNOWN = FEATURE_NAMES.index("route_known")
_NEAR_SECONDS = 3600
"""Rows of a lot and step with no longer gap between them are one shipment."""
_WATCHED = np.isin(FEATURE_NAMES, ("log_hours_since_previous", "transit_deviation"))
"""Slower or faster goods are what a model minds most: these are judged each by itself. Of all others together one in
`chance` may be wrong."""


@dataclass(frozen=True)
class Drifted:
    """A feature of a kind of event that has drifted. sure: chance is ruled out for all features taken together."""

    kind: str
    feature: int
    index: float
    sure: bool

    def in_words(self) -> str:
        return f"{FEATURE_NAMES[self.feature]} ({self.kind}): population stability index {self.index:.2f} of training"


@dataclass(frozen=True)
class Compared:
    """figures: the population stability index of each kind and feature, and the share of shipments whose step was
    hardly learnt, which are not compared. drifted: the surest first."""

    figures: dict[str, float]
    drifted: list[Drifted]


@dataclass(frozen=True)
class Learnt:
    """What the model in service has learnt from. places, products: names."""

    features: Reference
    places: frozenset[str]
    products: frozenset[str]


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
                    frozenset(kept["places"].tolist()),
                    frozenset(kept["products"].tolist()),
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
                places=np.array(sorted(made.places), np.str_),
                products=np.array(sorted(made.products), np.str_),
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
    values = np.asarray(training_set.features[rows], dtype=np.float32)
    step, _ = _steps_and_kinds(values)
    lot, time = np.asarray(training_set.lot)[rows], np.asarray(training_set.time)[rows]
    of_shipment = shipment_rows(lot, step, time, _NEAR_SECONDS)
    reference = learn_reference(values[of_shipment], step[of_shipment], 2 * STEP_NUMBERS)
    last = int(day_of(np.asarray(training_set.time)[rows].max())) if len(rows) else 0
    days = [day for day in workspace.enriched.days() if last - _PLACES_FROM_DAYS < day <= last]
    places, products, _, _ = places_and_products(workspace, days)
    return Learnt(reference, frozenset(places), frozenset(products))


def _newest_training_set(workspace: Workspace) -> TrainingSet | None:
    found = []
    for folder in (workspace.training, workspace.night_training):
        try:
            found.append(read_training_set(folder))
        except UserError:
            continue
    return max(found, key=lambda one: str(one.about.get("last_date")), default=None)


def compare_features(workspace: Workspace, nights: Sequence[int], learnt: Learnt) -> Compared:
    """Compare the last of some nights, together with so many before it as the configuration says, with training.

    nights: with enough rows, ascending. The figures are those of the shortest stretch of nights; a longer one sees what
    is too small for a single night.
    """
    settings = workspace.configuration.drift
    table = workspace.sequences.read(nights[-max(settings.nights) :], ("epc_code", "event_time", "features"))
    codes = dictionary_array(table.column("epc_code"))
    lot = np.append(lot_hashes(codes.dictionary), np.uint64(0))[dictionary_codes(codes)]
    values = feature_matrix(table)
    step, kind = _steps_and_kinds(values)
    time = table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)
    rows = shipment_rows(lot, step, time, _NEAR_SECONDS)
    known = learnt.features.knows(step[rows])
    figures = {"unseen_steps": float(1 - known.mean())}
    rows = rows[known]
    found: dict[tuple[str, int], Drifted] = {}
    for count in sorted(settings.nights):
        some = rows[day_of(time[rows]) >= nights[-count:][0]]
        for place, word in enumerate(KINDS):
            chosen = some[kind[some] == place]
            if len(chosen) < settings.fewest_shipments:
                continue
            shift = feature_shift(learnt.features, values[chosen].astype(np.float32), step[chosen], lot[chosen])
            if count == min(settings.nights):
                figures |= {
                    f"{INDEX}{word}_{name}": float(v) for name, v in zip(FEATURE_NAMES, shift.index, strict=True)
                }
            for one in _drifted(settings, shift, word):
                before = found.get((word, one.feature))
                found[word, one.feature] = one if before is None or one.sure > before.sure else before
    return Compared(figures, sorted(found.values(), key=lambda one: (-one.sure, -one.index)))


def _drifted(settings: DriftSection, shift: Shift, word: str) -> list[Drifted]:
    sure = np.minimum(shift.chance, shift.moved) < settings.chance / (len(FEATURE_NAMES) * len(KINDS))
    likely = sure | (_WATCHED & (shift.moved < settings.chance))
    # Of a few shipments an index is easily high: where chance is not ruled out by far, it is no error.
    return [
        Drifted(word, int(feature), float(shift.index[feature]), bool(sure[feature]))
        for feature in np.flatnonzero(likely & (shift.index >= settings.index_warn))
    ]


def _steps_and_kinds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(step of each event, on a known route apart from others, its place in `KINDS`). values: (N, F)."""
    step, transport = step_numbers(values), values[:, _ROUTE_KNOWN] > 0
    kind = np.where(transport, len(DIRECTION_NAMES), step % len(DIRECTION_NAMES))
    return step + STEP_NUMBERS * transport, kind


def places_and_products(
    workspace: Workspace, days: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(distinct places, distinct products of well-formed codes, place of each row, product of each row or -1)."""
    columns = ("epc_code", "location_id", "location_text", "scan_location", "site_name")
    table = workspace.enriched.read(days, columns)
    frame = table.select(columns[1:]).to_pandas()
    places, place = np.unique(place_words(frame).astype(str), return_inverse=True)
    codes = dictionary_array(table.column("epc_code"))
    product = pc.struct_field(
        pc.extract_regex(lot_names(codes.dictionary), r"^(?P<product>[^.]*\.[^.]*)\.[^.]*$"), "product"
    ).dictionary_encode()
    of_code = pc.fill_null(product.indices, -1).to_numpy(zero_copy_only=False)
    of_row = np.append(of_code, -1)[dictionary_codes(codes)]
    return places, np.array(product.dictionary.to_pylist(), dtype=object), place, of_row
