"""The review list of a project: which events are most worth a verdict, as rows that an investigator can fill in.

`alerts.review` chooses; here the events are read, and the choice is put into words. A report keeps the list: choosing
reads all of the training set, and whoever serves the list has no time for that.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.alerts.rarity import lot_rarity
from barcode_pipeline.alerts.review import (
    DISAGREE,
    RARE,
    RARE_GROUP,
    SUSPECTED,
    UNSURE,
    ReviewList,
    near_copies,
    review_list,
)
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.formats import EVENT_SCHEMA, KEY_COLUMNS, LABELS
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.events.places import Sites
from barcode_pipeline.events.verdicts import find_events, judged_labels
from barcode_pipeline.feedback import judged_in
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import HELD_OUT_LOTS, HELD_OUT_LOTS_EARLIER
from barcode_pipeline.sequences.training_set import TrainingSet, newest_training_set
from barcode_pipeline.training_events import events_of
from barcode_pipeline.workspace import Workspace

ANSWER_COLUMNS = ("verdict", "who", "when")
REVIEW_COLUMNS = ("label", *ANSWER_COLUMNS, "why", "probability", *KEY_COLUMNS)
"""What a review file holds: the question, room for the answer, why it is asked, and the event's key."""

REVIEW_FILE = "review.json"
"""The list that a report keeps beside it."""
KEPT = 1000
"""So many questions are kept, or as many as the report shows where that is more."""


@dataclass(frozen=True)
class KeptReview:
    """A list as a report has kept it. made_at: when, in the pipeline's zone. model: file of the one that was asked.
    questions: dicts of `REVIEW_COLUMNS`, the most valuable first."""

    made_at: str
    model: str
    questions: list[dict[str, Any]]


def make_review(workspace: Workspace, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """The `count` questions most worth asking, dicts of `REVIEW_COLUMNS`, the most valuable first."""
    training_set = newest_training_set([workspace.training, workspace.night_training])
    model, _ = ModelRegistry(workspace.models).load_in_service(workspace.configuration.scoring.false_alerts_per_10k)
    probabilities = model.probabilities(JourneyFeatures(training_set.features, np.asarray(training_set.offsets)))
    return review_of(workspace, training_set, probabilities, model.calibration.threshold, count, seed)


def review_of(
    workspace: Workspace,
    training_set: TrainingSet,
    probabilities: np.ndarray,
    thresholds: np.ndarray,
    count: int,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The same of a training set that has been scored. probabilities: (N, 5); thresholds: (5,).

    Lots that evaluation holds out are not asked about: their verdicts would teach nothing.
    """
    lot = np.asarray(training_set.lot)
    table = events_of(workspace, training_set)
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


_WORDS = {
    SUSPECTED: "like a change at random, or little expected after what came before; nobody has found fault with it",
    RARE: "rare for its lot, and nobody has found fault with it",
    RARE_GROUP: "rare for its lot, together with the items beside it",
}


def _why(reason: int, probability: float, threshold: float, rule: bool) -> str:
    """The reason for asking, in words."""
    if reason == UNSURE:
        return f"the model is unsure: {probability:.1%}, and it alerts from {threshold:.1%}"
    if reason == DISAGREE:
        return f"the model says {probability:.1%}, the rules say {'yes' if rule else 'no'}"
    return _WORDS[reason]


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


# ---------------------------------------------------------------------- the list that a report keeps


def kept_review(questions: Sequence[dict[str, Any]], made_at: str, model: str) -> str:
    """The text of `REVIEW_FILE`. made_at: as the report says it."""
    content = {"made_at": made_at.replace(" ", "T"), "model": model, "questions": list(questions)}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_kept_review(path: Path) -> KeptReview:
    """The list in a `REVIEW_FILE`; `UserError` where there is none. Clients of the live API read it: it names no folder
    beyond the project."""
    name = "/".join(path.parts[-3:])
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return KeptReview(found["made_at"], found["model"], list(found["questions"]))
    except FileNotFoundError:
        raise UserError(f"There is no {name}: run `make run`, or `barcode-pipeline evaluate`.") from None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{name} cannot be read ({error!r}): run `barcode-pipeline evaluate`.") from error


def answered(questions: Sequence[dict[str, Any]], verdicts: pa.Table, sites: Sites) -> np.ndarray:
    """Which questions some verdicts (`VERDICTS_SCHEMA`) answer, (K,) bool: the same event, the same label."""
    row = find_events(verdicts, _keys_of(questions), sites)
    judged, _ = judged_labels(verdicts, row, len(questions))
    return judged[np.arange(len(questions)), [LABELS.index(question["label"]) for question in questions]]


def _keys_of(questions: Sequence[dict[str, Any]]) -> pa.Table:
    """The events that are asked about, as columns: the way back from `_rows`."""
    place = [question["location_id"] for question in questions]
    values = {name: [question[name] for question in questions] for name in KEY_COLUMNS}
    values["event_time"] = [np.datetime64(moment, "s") for moment in values["event_time"]]
    values["location_id"] = [one if isinstance(one, int) else None for one in place]
    values["location_text"] = [one if isinstance(one, str) else None for one in place]
    fields = [EVENT_SCHEMA.field(name) for name in values]
    return pa.table([pa.array(values[field.name], field.type) for field in fields], schema=pa.schema(fields))
