"""The review list of a project: which events are most worth a verdict, as rows that an investigator can fill in.

`alerts.review` chooses; here the events are read, and the choice is put into words.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.alerts.rarity import lot_rarity, oddity
from barcode_pipeline.alerts.review import DISAGREE, ODD, RARE, RARE_GROUP, UNSURE, ReviewList, near_copies, review_list
from barcode_pipeline.chain import READ_COLUMNS, rows_of_training_set
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.formats import KEY_COLUMNS, LABELS
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.feedback import judged_in
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import HELD_OUT_LOTS, HELD_OUT_LOTS_EARLIER
from barcode_pipeline.sequences.training_set import newest_training_set
from barcode_pipeline.workspace import Workspace

ANSWER_COLUMNS = ("verdict", "who", "when")
REVIEW_COLUMNS = ("label", *ANSWER_COLUMNS, "why", "probability", *KEY_COLUMNS)
"""What a review file holds: the question, room for the answer, why it is asked, and the event's key."""


def make_review(workspace: Workspace, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """The `count` questions most worth asking, dicts of `REVIEW_COLUMNS`, the most valuable first.

    Lots that evaluation holds out are not asked about: their verdicts would teach nothing.
    """
    training_set = newest_training_set([workspace.training, workspace.night_training])
    model, _ = ModelRegistry(workspace.models).load_in_service(workspace.configuration.scoring.false_alerts_per_10k)
    probabilities = model.probabilities(JourneyFeatures(training_set.features, np.asarray(training_set.offsets)))
    thresholds = model.calibration.threshold
    lot = np.asarray(training_set.lot)
    table = rows_of_training_set(workspace, workspace.enriched, training_set, READ_COLUMNS)
    place = read_events(table, workspace.reference.sites).place
    serial_beyond = training_set.features[:, FEATURE_NAMES.index("serial_beyond")]
    rules = np.asarray(training_set.rule_labels)
    chosen = review_list(
        probabilities,
        thresholds,
        rules,
        lot_rarity(training_set.features, lot),
        lot,
        near_copies(lot, np.asarray(training_set.time), place, serial_beyond),
        judged_in(workspace, training_set).judged,
        count,
        seed,
        candidates=~np.isin(training_set.part, (HELD_OUT_LOTS, HELD_OUT_LOTS_EARLIER)),
        odd=oddity(training_set.features, lot),
    )
    keys = table.take(pa.array(chosen.row))
    return _rows(chosen, keys, probabilities[chosen.row, chosen.label], thresholds, rules[chosen.row, chosen.label])


def _rows(
    chosen: ReviewList, keys: pa.Table, probability: np.ndarray, thresholds: np.ndarray, rule: np.ndarray
) -> list[dict[str, Any]]:
    made = []
    for place, key in enumerate(keys.to_pylist()):
        label = int(chosen.label[place])
        why = _why(int(chosen.reason[place]), float(probability[place]), float(thresholds[label]), bool(rule[place]))
        made.append(
            {
                "label": LABELS[label],
                **dict.fromkeys(ANSWER_COLUMNS, ""),
                "why": why,
                "probability": round(float(probability[place]), 4),
                **{name: key[name] for name in KEY_COLUMNS},
                # An id that is no integer stands apart in the tables, and in the same column in files.
                "location_id": key["location_id"] if key["location_id"] is not None else key["location_text"],
                # With a T, which no spreadsheet takes for a date of its own and writes back without seconds.
                "event_time": key["event_time"].isoformat(),
            }
        )
    return made


def _why(reason: int, probability: float, threshold: float, rule: bool) -> str:
    """The reason for asking, in words."""
    if reason == UNSURE:
        return f"the model is unsure: {probability:.1%}, and it alerts from {threshold:.1%}"
    if reason == DISAGREE:
        return f"the model says {probability:.1%}, the rules say {'yes' if rule else 'no'}"
    if reason == RARE:
        return "rare for its lot, and nobody has found fault with it"
    if reason == RARE_GROUP:
        return "rare for its lot, together with the items beside it"
    if reason == ODD:
        return "odd for its lot, and nobody has found fault with it"
    return "unlikely after what came before"


def write_review(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a file to be filled in and put into `data/feedback`; a file with answers is not written over."""
    if path.exists():
        raise UserError(f"{path} exists, and may hold answers: give another name, or remove it.")
    # The byte order mark lets spreadsheets read names in any script.
    with written_beside(path) as beside, beside.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, REVIEW_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def review_table(rows: Sequence[dict[str, Any]]) -> str:
    """The list as text."""
    shown = pd.DataFrame(rows, columns=["label", "why", "epc_code", "event_time", "business_step", "event_type"])
    return str(shown.to_string(index=False, justify="left")) if rows else "There is nothing to ask about."
