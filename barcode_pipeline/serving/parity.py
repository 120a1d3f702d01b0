"""Live equals batch, watched: the sample of answers judged again from the nightly data.

Each sampled EPC is found in the merged events, its scans that were known then are judged by the functions of the
nightly chain, and the result is held against what was answered: labels exactly, probabilities to `TOLERANCE`. A scan
that the nightly data do not hold is missing, which is another fault than a mismatch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.events.date_store import DateStore, one_chunk
from barcode_pipeline.events.formats import EVENT_SCHEMA
from barcode_pipeline.events.journeys import NO_EVENT_ID, find_journeys
from barcode_pipeline.events.merging import read_events, scan_identity
from barcode_pipeline.events.text import dictionary_array
from barcode_pipeline.events.times import day_of
from barcode_pipeline.models.lstm import LstmModel
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.sequences.features import compute_features
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.serving.judge import Settings
from barcode_pipeline.serving.lots import moves_of_bytes
from barcode_pipeline.serving.readings import event_columns
from barcode_pipeline.serving.rows import BY_MODEL, labels_of_bits
from barcode_pipeline.serving.sample import Sampled

TOLERANCE = 1e-5

Outcome = Literal["equal", "mismatch", "missing", "not comparable"]


@dataclass(frozen=True)
class Compared:
    """One scan of the sample. why: what differs, or what is missing."""

    epc: str
    time: int
    event_id: int
    outcome: Outcome
    why: str = ""


def compare(
    sample: Sequence[Sampled], nightly: pa.Table, model_of: Callable[[str], LstmModel | None], settings: Settings
) -> list[Compared]:
    """Judge the sample again. nightly: `EVENT_SCHEMA`, the merged events of the sampled EPCs. model_of: the model of a
    file name, None where the file is gone."""
    codes = dictionary_array(nightly.column("epc_code"))
    row_of_code = pd.Series(np.arange(len(nightly))).groupby(codes.indices.to_numpy(zero_copy_only=False)).indices
    code_of = {code: number for number, code in enumerate(codes.dictionary.to_pylist())}
    nothing = np.zeros(0, dtype=np.int64)
    out: list[Compared] = []
    for sampled in sample:
        rows = row_of_code.get(code_of.get(sampled.epc, -1), nothing)
        out += _compare_one(sampled, nightly.take(pa.array(rows)), model_of, settings)
    return out


def _compare_one(
    sampled: Sampled, nightly: pa.Table, model_of: Callable[[str], LstmModel | None], settings: Settings
) -> list[Compared]:
    known = _as_table(sampled)
    both = one_chunk(pa.concat_tables([known, nightly.select(known.column_names)]))
    events = read_events(both, settings.reference.sites)
    identity = pd.DataFrame(dict(enumerate(scan_identity(both, events, np.arange(len(both))))))
    scan = identity.groupby(list(identity.columns), dropna=False).ngroup().to_numpy()
    row_of_scan = dict(zip(scan[len(known) :][::-1].tolist(), range(len(both) - 1, len(known) - 1, -1), strict=True))
    rows = np.array([row_of_scan.get(number, -1) for number in scan[: len(known)].tolist()])
    told = [(sampled.scans[place][0], sampled.scans[place][1]) for place in sampled.new]
    gone = [place for place, row in enumerate(rows) if row < 0]
    if gone:
        why = f"{len(gone)} of the {len(known)} scans known then are not in the nightly data"
        lost = set(gone)
        return [
            Compared(sampled.epc, time, event_id, "missing",
                     "it is not in the nightly data" if place in lost else why)
            for place, (time, event_id) in zip(sampled.new, told, strict=True)
        ]  # fmt: skip
    if sampled.model is None:
        return _against(sampled, told, both.take(pa.array(rows)), None, settings)
    model = model_of(sampled.model)
    if model is None:
        why = f"the model {sampled.model} is gone"
        return [Compared(sampled.epc, time, event_id, "not comparable", why) for time, event_id in told]
    return _against(sampled, told, both.take(pa.array(rows)), model, settings)


def _against(
    sampled: Sampled, told: list[tuple[int, int]], table: pa.Table, model: LstmModel | None, settings: Settings
) -> list[Compared]:
    """Judge the known scans as the chain does, and hold the new ones' verdicts against it."""
    events = read_events(one_chunk(table), settings.reference.sites)
    new = np.array(sampled.new, dtype=np.int64)
    scored = score_events(events, settings.reference, settings.rules)
    labels = scored.labels(settings.rules)[new]
    verdicts = sampled.verdicts
    faults = np.full(len(new), "", dtype=object)
    faults[(scored.scores[new] != verdicts["rule"]).any(axis=1)] = "the rules' scores differ"
    faults[(labels != labels_of_bits(verdicts["rule_labels"])).any(axis=1)] = "the rules' labels differ"
    if model is not None:
        moves = moves_of_bytes(sampled.lot, sampled.moves)
        rules = settings.rules
        features = compute_features(events, settings.reference, rules.companies, rules.v_max, moves)
        order = find_journeys(events).order
        probabilities = np.empty((len(events), 5), dtype=np.float32)
        probabilities[order] = model.probabilities(JourneyFeatures(features.values[order], np.array([0, len(events)])))
        by_model = verdicts["lstm_method"] == BY_MODEL
        apart = np.abs(probabilities[new] - verdicts["lstm"]).max(axis=1)
        alerts = model.calibration.alerts(probabilities)[new]
        close = np.abs(probabilities[new] - model.calibration.threshold) <= TOLERANCE
        other = ((alerts != labels_of_bits(verdicts["lstm_labels"])) & ~close).any(axis=1)
        faults[by_model & other] = "the model's labels differ"
        for place in np.flatnonzero(by_model & ~(apart <= TOLERANCE)):
            faults[place] = f"the model's probabilities differ by {apart[place]:.2g}"
        early = features.position[new] < sampled.cold_start
        faults[by_model == early] = "the cold start differs"
    return [
        Compared(sampled.epc, time, event_id, "mismatch" if fault else "equal", fault)
        for (time, event_id), fault in zip(told, faults.tolist(), strict=True)
    ]


def _as_table(sampled: Sampled) -> pa.Table:
    """The known scans in the columns of the nightly data."""
    count = len(sampled.scans)
    given = event_columns([clean for *_, clean in sampled.scans])
    given["epc_code"] = pa.array([sampled.epc] * count).dictionary_encode()
    given["event_time"] = pa.array([time for time, *_ in sampled.scans], pa.timestamp("s"))
    ids = [None if event_id == NO_EVENT_ID else event_id for _, event_id, _ in sampled.scans]
    given["event_id"] = pa.array(ids, pa.int64())
    return pa.table([given[field.name].cast(field.type) for field in EVENT_SCHEMA if field.name in given],
                    schema=pa.schema([field for field in EVENT_SCHEMA if field.name in given]))  # fmt: skip


def nightly_rows(merged: DateStore, sample: Sequence[Sampled]) -> pa.Table:
    """The merged events of the sampled EPCs on the dates that they were scanned on."""
    codes = pa.array(sorted({sampled.epc for sampled in sample}), pa.string())
    times = np.array([time for sampled in sample for time, *_ in sampled.scans], dtype=np.int64)
    days = np.unique(day_of(times)).tolist()
    parts = [EVENT_SCHEMA.empty_table()]
    for day in days:
        table = merged.read([day])
        column = dictionary_array(table.column("epc_code"))
        wanted = pa.compute.is_in(column.dictionary, value_set=codes).take(column.indices)
        parts.append(table.filter(pa.compute.fill_null(wanted, False)))
    return one_chunk(pa.concat_tables(parts))


def summary(compared: Sequence[Compared]) -> dict[str, int]:
    """How many scans of each outcome."""
    counts = dict.fromkeys(("equal", "mismatch", "missing", "not comparable"), 0)
    for one in compared:
        counts[one.outcome] += 1
    return counts
