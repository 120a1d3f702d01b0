"""Verdicts of investigators: a file of them -> typed rows, which of them stand, and which events they judge.

A verdict says of one event and one label whether the label holds. Files in bytes, columns out; where files lie is
the shell's business, and what training makes of verdicts is `teachers`'.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.date_store import one_chunk
from barcode_pipeline.events.files import written_beside
from barcode_pipeline.events.formats import FORMAT_VERSION, KEY_COLUMNS, KEY_FIELDS, LABELS
from barcode_pipeline.events.lines import BLANK, GOOD, split_lines, texts
from barcode_pipeline.events.merging import read_events, scan_identity
from barcode_pipeline.events.places import Sites
from barcode_pipeline.events.raw_files import (
    REJECTED_SCHEMA,
    UnreadableFile,
    line_reasons,
    read_columns,
    read_header,
    type_columns,
)
from barcode_pipeline.events.text import clean_words, decode, dictionary_array, map_dictionary, plain_integers
from barcode_pipeline.events.times import read_times

_WORDS = pa.dictionary(pa.int32(), pa.string())

VERDICTS_SCHEMA = pa.schema(
    [
        *KEY_FIELDS,
        pa.field("location_text", _WORDS),
        pa.field("label", _WORDS),
        pa.field("verdict", pa.bool_()),
        pa.field("who", _WORDS),
        pa.field("when", pa.timestamp("s")),
    ]
)
"""The event's key as given, read as a raw row's is (`location_text` holds an id that is no integer); the label;
whether it holds; who said so, and when. A verdict names a scan: the event id plays no part in finding it."""

SCAN_COLUMNS = (*(field.name for field in KEY_FIELDS if field.name != "event_id"), "location_text")
"""The columns that tell scans apart."""

YES, NO = ("true", "yes", "1", "confirmed"), ("false", "no", "0", "rejected")
_OWN_COLUMNS = ("label", "verdict", "who", "when")
_NOTHING = pa.scalar(None, pa.string())


@dataclass(frozen=True)
class VerdictFile:
    """One file. rows: its lines, blank ones and the header aside. verdicts: `VERDICTS_SCHEMA`, in the file's order.
    unanswered: rows without a verdict, such as an investigator has not got to yet. rejected: `REJECTED_SCHEMA`."""

    rows: int
    verdicts: pa.Table
    unanswered: int
    rejected: pa.Table


def read_verdict_file(data: bytes, zone: str) -> VerdictFile:
    """Read the bytes of a file; `UnreadableFile` where it is no file of verdicts."""
    first, _, rest = data.partition(b"\n")
    if not first.strip():
        raise UnreadableFile("the file is empty: nothing to take in")
    header = read_header(first)
    if missing := [name for name in _OWN_COLUMNS if name not in header.columns and name != "who"]:
        raise UnreadableFile(f"the header lacks {', '.join(missing)}: add the column")
    if twice := [name for name in _OWN_COLUMNS if header.columns.count(name) > 1]:
        raise UnreadableFile(f"the column {twice[0]} stands twice in the header: leave one")
    lines = split_lines(rest, header.separator, len(header.columns))
    good = np.flatnonzero(lines.kind == GOOD)
    columns = read_columns(rest, lines, header, good, (*KEY_COLUMNS, *_OWN_COLUMNS))
    events, reasons = type_columns(columns, len(good), zone)
    own, own_reasons, answered = _own_columns(columns, len(good), zone)
    reasons = pc.coalesce(reasons, own_reasons)
    wrong = pc.is_valid(reasons).to_numpy(zero_copy_only=False) & answered
    bad = np.flatnonzero((lines.kind != GOOD) & (lines.kind != BLANK))
    lost = np.concatenate([bad, good[wrong]])
    reason = pa.concat_arrays([line_reasons(lines, bad, len(header.columns)), reasons.filter(pa.array(wrong))])
    rejected = pa.table([pa.array(lost + 2), reason, texts(rest, lines, lost)], schema=REJECTED_SCHEMA)
    table = pa.table(
        [own[name] if name in own else events.column(name) for name in VERDICTS_SCHEMA.names], schema=VERDICTS_SCHEMA
    )
    return VerdictFile(
        int(np.count_nonzero(lines.kind != BLANK)),
        table.filter(pa.array(answered & ~wrong)),
        int(np.count_nonzero(~answered)),
        rejected.sort_by("line"),
    )


def _own_columns(
    columns: dict[str, pa.DictionaryArray], rows: int, zone: str
) -> tuple[dict[str, pa.Array], pa.Array, np.ndarray]:
    """(label, verdict, who and when; why a row has none of them, null where it has; (N,) whether it is answered)."""
    nobody = pa.DictionaryArray.from_arrays(pa.nulls(rows, pa.int32()), pa.array([], pa.string()))
    label, verdict, who, when = (columns.get(name, nobody) for name in _OWN_COLUMNS)
    verdict = plain_integers(verdict)
    words = pc.utf8_lower(clean_words(label.dictionary))
    place = pc.index_in(words, value_set=pa.array([name.lower() for name in LABELS]))
    names = pa.array(LABELS).take(place)
    said = pc.utf8_lower(verdict.dictionary)
    holds = pc.is_in(said, value_set=pa.array(YES))
    known = pc.is_in(said, value_set=pa.array(YES + NO))
    stamps = clean_words(when.dictionary)
    # A date alone is what most people write: it is the beginning of that day.
    dated = pc.replace_substring_regex(stamps, r"^([0-9]{4}[-/.]?[0-9]{2}[-/.]?[0-9]{2})$", r"\1T00:00:00")
    seconds, readable = read_times(dated, zone)
    reasons = pc.coalesce(
        _unless(names.is_valid(), "label", words, f"is none of {', '.join(LABELS)}").take(label.indices),
        _unless(known, "verdict", said, "is neither true nor false").take(verdict.indices),
        _unless(pa.array(readable), "when", stamps, "is no time; write 2025-09-01 or 2025-09-01T14:30").take(
            when.indices
        ),
    )
    own = {
        "label": map_dictionary(label, names),
        "verdict": holds.take(verdict.indices),
        "who": map_dictionary(who, clean_words(who.dictionary)),
        "when": pa.array(seconds, pa.timestamp("s")).take(when.indices),
    }
    return own, reasons, pc.is_valid(said.take(verdict.indices)).to_numpy(zero_copy_only=False)


def _unless(sound: pa.Array, column: str, words: pa.Array, problem: str) -> pa.Array:
    """What is wrong with each word of a column, null where it is sound."""
    quoted = pc.utf8_slice_codeunits(pc.fill_null(words, ""), 0, 60)
    told = pc.binary_join_element_wise(f"{column} '", quoted, f"' {problem}", "")
    told = pc.if_else(pc.is_valid(words), told, pa.scalar(f"{column} is missing"))
    return pc.if_else(sound, _NOTHING, told)


def verdict_rows(keys: pa.Table, label: np.ndarray, verdict: np.ndarray, who: str, when: np.ndarray) -> pa.Table:
    """Verdicts as rows of `VERDICTS_SCHEMA`.

    keys: `SCAN_COLUMNS` and `event_id` of the n events judged (`location_text` may be left out). label: (n,) int,
    places in `LABELS`. verdict: (n,) bool. when: (n,) int64 seconds of the pipeline's zone, or one for all.
    """
    count = len(keys)
    one = pa.array(np.zeros(count, dtype=np.int32))
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "location_text": pa.nulls(count, _WORDS),
        **{name: keys.column(name) for name in VERDICTS_SCHEMA.names if name in keys.column_names},
        "label": pa.DictionaryArray.from_arrays(pa.array(label.astype(np.int32)), pa.array(LABELS)),
        "verdict": pa.array(np.asarray(verdict, dtype=bool)),
        "who": pa.DictionaryArray.from_arrays(one, pa.array([who])),
        "when": pa.array(np.broadcast_to(np.asarray(when, dtype=np.int64), count), pa.timestamp("s")),
    }
    return pa.table([columns[name] for name in VERDICTS_SCHEMA.names], schema=VERDICTS_SCHEMA)


# ---------------------------------------------------------------------- which of them stand, and of which events


def standing(verdicts: pa.Table, sites: Sites) -> pa.Table:
    """The latest verdict on each scan and label, sorted: of several of one second the last row of the table."""
    verdicts = one_chunk(verdicts)
    scan = _scans([verdicts], sites)
    label = dictionary_array(verdicts.column("label"))
    order = np.argsort(_seconds(verdicts, "when"), kind="stable")
    later = pd.DataFrame({"scan": scan[order], "label": _codes(label)[order]}).duplicated(keep="last").to_numpy()
    kept = verdicts.take(pa.array(np.sort(order[~later])))
    by = [(name, "ascending") for name in VERDICTS_SCHEMA.names]
    plain = pa.table({name: decode(kept.column(name)) for name in kept.column_names})
    ordered = plain.take(pc.sort_indices(plain, sort_keys=by))
    # Encoded anew, words stand in the order in which they appear: the same rows are then the same bytes.
    return ordered.cast(VERDICTS_SCHEMA)


def find_events(verdicts: pa.Table, events: pa.Table, sites: Sites) -> np.ndarray:
    """Which event each verdict judges, (V,) int64 rows of `events`, -1 where no such event is known.

    events: `SCAN_COLUMNS` and `event_id` of events without exact duplicates, so that a scan is one event.
    """
    if not len(verdicts):
        return np.zeros(0, dtype=np.int64)
    codes = dictionary_array(events.column("epc_code"))
    judged = pc.is_in(codes.dictionary, value_set=pc.drop_null(decode(verdicts.column("epc_code"))))
    some = np.append(judged.to_numpy(zero_copy_only=False), True)[_codes(codes)]  # a row without an EPC too
    rows = np.flatnonzero(some)
    wanted = [*SCAN_COLUMNS, "event_id"]
    scan = _scans([verdicts.select(wanted), events.select(wanted).take(pa.array(rows))], sites)
    row_of_scan = pd.Series(rows, index=scan[len(verdicts) :])
    row_of_scan = row_of_scan[~row_of_scan.index.duplicated()]
    return row_of_scan.reindex(scan[: len(verdicts)]).fillna(-1).to_numpy(np.int64)


def judged_labels(verdicts: pa.Table, row: np.ndarray, events: int) -> tuple[np.ndarray, np.ndarray]:
    """(judged, holds), (N, 5) bool each: the labels that have a verdict, and those that were confirmed.

    verdicts: standing ones. row: (V,) the event of each (`find_events`), -1 where it is not known.
    """
    judged, holds = np.zeros((events, len(LABELS)), dtype=bool), np.zeros((events, len(LABELS)), dtype=bool)
    known = row >= 0
    place = pc.index_in(decode(verdicts.column("label")), value_set=pa.array(LABELS)).to_numpy(zero_copy_only=False)
    cells = row[known], place[known].astype(np.int64)
    judged[cells] = True
    holds[cells] = decode(verdicts.column("verdict")).to_numpy(zero_copy_only=False)[known]
    return judged, holds


def _scans(tables: list[pa.Table], sites: Sites) -> np.ndarray:
    """A number per scan, (N,): rows of all tables, one after the other, that are one scan share it."""
    columns = (*SCAN_COLUMNS, "event_id")
    table = one_chunk(pa.concat_tables([part.select(columns) for part in tables]))
    identity = scan_identity(table, read_events(table, sites), np.arange(len(table)))
    return pd.DataFrame(dict(enumerate(identity))).groupby(list(range(len(identity))), sort=False).ngroup().to_numpy()


def _codes(column: pa.DictionaryArray) -> np.ndarray:
    return pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)


def _seconds(table: pa.Table, name: str) -> np.ndarray:
    return table.column(name).to_numpy().astype("datetime64[s]").astype(np.int64)


# ---------------------------------------------------------------------- on disk


def write_verdicts(path: Path, verdicts: pa.Table) -> None:
    """Write `verdicts.parquet`, beside and renamed."""
    table = verdicts.replace_schema_metadata({b"format_version": str(FORMAT_VERSION).encode()})
    with written_beside(path) as beside:
        pq.write_table(table, beside, compression="snappy")


def read_verdicts(path: Path) -> pa.Table:
    """The verdicts that stand; none where there is no file."""
    if not path.exists():
        return VERDICTS_SCHEMA.empty_table()
    remake = "make it again with `dagster asset materialize --select verdicts`"
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is damaged ({error}): {remake}.") from error
    if (table.schema.metadata or {}).get(b"format_version") != str(FORMAT_VERSION).encode():
        raise UserError(f"{path} has another format version than {FORMAT_VERSION}: {remake}.")
    return one_chunk(table.replace_schema_metadata(None).cast(VERDICTS_SCHEMA))


def fingerprint(verdicts: pa.Table) -> str:
    """A short hash of what verdicts say: equal where the same verdicts stand."""
    digest = hashlib.blake2b(digest_size=8)
    for name in VERDICTS_SCHEMA.names:
        digest.update(repr(decode(verdicts.column(name)).to_pylist()).encode())
    return digest.hexdigest()
