"""Which dates of which asset are out of date, from what lies on disk: the shell around `events.staleness`.

The ledger (`events.made_dates`) says of every date what it was made from. The assets' functions (`chain`, `learning`)
tell it what they made; `make_merged` asks it, before it writes, what the new rows change on other dates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.changed_tables import concerned_by, forget_tables, keep_tables, kept_tables
from barcode_pipeline.events.date_store import DateStore, one_chunk
from barcode_pipeline.events.formats import KEY_COLUMNS
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.lot_index import LotDates
from barcode_pipeline.events.made_dates import Entries, Entry
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.events.staleness import (
    Changes,
    changed_rows,
    first_changes,
    holds_changed,
    lowest_numbers,
    overtaken_by,
)
from barcode_pipeline.events.text import dictionary_array
from barcode_pipeline.events.times import SECONDS_PER_DAY, day_of
from barcode_pipeline.recipes import recipes
from barcode_pipeline.taking_in import partition_days
from barcode_pipeline.workspace import Workspace

Days = dict[str, list[int]]
"""Days by asset, ascending."""

MERGED = "merged_events"
OF_JOURNEYS = ("enriched_events", "rule_labels")
"""What of a date is decided by the journeys of its EPCs."""
OF_LOTS = ("epc_sequences", "event_scores", "alerts")
"""What is decided by its lots: features look at the shipment."""
OF_DATA = (MERGED, *OF_JOURNEYS, OF_LOTS[0])
"""What is made without a model."""
DATED = (MERGED, *OF_JOURNEYS, *OF_LOTS)
"""In the order in which they are made."""

_MADE_FROM = {
    "enriched_events": MERGED,
    "rule_labels": "enriched_events",
    "epc_sequences": "enriched_events",
    "event_scores": "epc_sequences",
    "alerts": "event_scores",
}
_DECIDING = (*KEY_COLUMNS, "location_text")
"""The columns of merged events that say something of other events too."""


def store_of(workspace: Workspace, asset: str) -> DateStore:
    """Where the dates of an asset lie."""
    stores = (workspace.merged, workspace.enriched, workspace.labels, workspace.sequences, workspace.scores)
    return dict(zip(DATED, (*stores, workspace.alerts), strict=True))[asset]


# ------------------------------------------------------------------ what is out of date


def stale_dates(workspace: Workspace, assets: Sequence[str] = DATED) -> Days:
    """The days of each asset that are not what the intake, the tables and the configuration make, as far as is known
    before new rows are merged. Nothing is opened but the ledgers: a date costs a look at their entries. (Where a
    reference table has changed since, what the intake holds is looked at too, until a run has settled it.)"""
    first, last = partition_days(workspace)
    sources, wanted = workspace.intake.sources(), recipes(workspace)
    entries = workspace.made.entries()
    others = _made_with_other_tables(workspace, entries)

    def stale(asset: str) -> list[int]:
        made, there = entries.get(asset, {}), set(store_of(workspace, asset).days())

        def is_current(day: int) -> bool:
            entry = made.get(day)
            if entry is None or day not in there:
                return False
            if entry.recipe != wanted[asset] and day in others.get((asset, entry.recipe), {day}):
                return False
            return asset != MERGED or entry.source == sources.get(day, "")

        days = sources.keys() | made.keys() | there
        return sorted(day for day in days if first <= day <= last and not is_current(day))

    return {asset: stale(asset) for asset in assets}


def arrived_dates(workspace: Workspace) -> dict[int, str]:
    """The days whose rows in the intake are not those that were merged, with a name of what the intake holds."""
    first, last = partition_days(workspace)
    made = workspace.made.of(MERGED)
    sources = workspace.intake.sources()
    days = {day for day in sources.keys() | made.keys() if first <= day <= last}
    held = {day: sources.get(day, "") for day in days}
    return {day: held[day] for day in sorted(days) if day not in made or made[day].source != held[day]}


# ------------------------------------------------------------------ what changed reference tables concern

Others = dict[tuple[str, str], set[int]]
"""By asset and recipe of other tables: the days that are said otherwise by today's."""


def _made_with_other_tables(workspace: Workspace, entries: Entries) -> Others:
    """The recipes of entries that were made with other tables than today's, and the same settings. It costs nothing
    while there is none."""
    current = workspace.reference_fingerprint()
    found: Others = {}
    for fingerprint, folder in kept_tables(workspace).items():
        theirs = recipes(workspace, fingerprint)
        of_these = [asset for asset in DATED if any(e.recipe == theirs[asset] for e in entries.get(asset, {}).values())]
        concerned = concerned_by(workspace, folder) if of_these and fingerprint != current else None
        if concerned is None:
            continue
        of_journeys, of_lots = _days_of(workspace, concerned.changes)
        for asset in of_these:
            following = of_journeys if asset in OF_JOURNEYS else of_lots
            days = concerned.merged if asset == MERGED else [*concerned.own, *following]
            found[asset, theirs[asset]] = set(days)
    return found


def settle_tables(workspace: Workspace) -> None:
    """Enter in the ledger what a change of the reference tables has put out of date, and that all else stands: it is
    not asked again. For those who work on the data alone."""
    entries, wanted = workspace.made.entries(), recipes(workspace)
    keep_tables(workspace)
    for (asset, recipe), concerned in _made_with_other_tables(workspace, entries).items():
        of_others = {day: entry for day, entry in entries[asset].items() if entry.recipe == recipe}
        workspace.made.strike({asset: concerned & of_others.keys()})
        stands = {day: entry._replace(recipe=wanted[asset]) for day, entry in of_others.items() if day not in concerned}
        workspace.made.note(asset, stands)
    forget_tables(workspace, {workspace.reference_fingerprint()})


# ------------------------------------------------------------------ what new rows change


def changed_dates(workspace: Workspace, after: pa.Table, day: np.ndarray, days: Sequence[int]) -> Days:
    """The days of each asset that are no longer right once the rows of `days` are `after`: of `merged_events` those
    whose rows are others, of what follows also those that these rows decide.

    after: as merged; day: (N,) of its rows.
    """
    read, new = _to_compare(workspace, days)
    before = workspace.merged.read(read)
    rows = changed_rows(before, after.filter(pa.array(np.isin(day, read)))) if read else before
    differing = {*new, *day_of(_seconds(rows)).tolist()}
    followers = workspace.made.entries()
    others = {one for asset in (*OF_JOURNEYS, *OF_LOTS) for one in followers.get(asset, {})} - differing
    return {MERGED: sorted(differing), **_followers(workspace, before, after, day, sorted(differing), others)}


def _to_compare(workspace: Workspace, days: Sequence[int]) -> tuple[list[int], list[int]]:
    """(days whose file has to be compared with the new rows, days that have none). The others are the same for sure."""
    made, there = workspace.made.of(MERGED), set(workspace.merged.days())
    current = _merged_entries(workspace, days)
    new = [day for day in days if day not in there]
    return [day for day in days if day in there and not _same(made.get(day), current[day])], new


def _same(entry: Entry | None, current: Entry) -> bool:
    return entry is not None and (entry.recipe, entry.source) == (current.recipe, current.source)


def _followers(
    workspace: Workspace, before: pa.Table, after: pa.Table, day: np.ndarray, differing: list[int], others: set[int]
) -> Days:
    same = dict.fromkeys((*OF_JOURNEYS, *OF_LOTS), differing)
    if not differing or not others:
        return same
    old = before.filter(pa.array(np.isin(day_of(_seconds(before)), differing))).select(_DECIDING)
    new = after.filter(pa.array(np.isin(day, differing))).select(_DECIDING)
    changed = read_events(one_chunk(changed_rows(old, new)), workspace.reference.sites)
    changes, index = first_changes(changed), workspace.lots.read()
    changes = _with_overtaken(workspace, index, changes, changed, after, set(day.tolist()))
    if not len(changes.codes):
        return same
    of_journeys, of_lots = _days_of(workspace, changes, others)
    return {
        **dict.fromkeys(OF_JOURNEYS, sorted({*differing, *of_journeys})),
        **dict.fromkeys(OF_LOTS, sorted({*differing, *of_lots})),
    }


def _days_of(workspace: Workspace, changes: Changes, among: set[int] | None = None) -> tuple[list[int], list[int]]:
    """The days that some changes concern: (of the journeys themselves, of their lots). among: those worth a look."""
    if not len(changes.codes):
        return [], []
    lots, first = changes.of_lots()
    of_lots = set(workspace.lots.read().days_from(lots, day_of(first)).tolist())
    of_lots = of_lots if among is None else of_lots & among
    return _days_holding(workspace.merged, sorted(of_lots), changes), sorted(of_lots)


def _with_overtaken(
    workspace: Workspace, index: LotDates, changes: Changes, changed: Events, after: pa.Table, merged_now: set[int]
) -> Changes:
    """The same changes, with the events that the changed rows make too late, or no longer do."""
    lots, lowest = lowest_numbers(changed)
    if not len(lots):
        return changes
    days = set(index.days_with_higher_ids(lots, lowest).tolist()) - merged_now
    known = pa.concat_tables([workspace.merged.read(sorted(days), _DECIDING), after.select(_DECIDING)])
    codes = dictionary_array(known.column("epc_code"))
    concerned = pc.is_in(codes.dictionary, value_set=changes.codes).take(codes.indices)
    known = one_chunk(known.filter(pc.fill_null(concerned, False)))
    return overtaken_by(changes, changed, read_events(known, workspace.reference.sites))


def _days_holding(store: DateStore, days: list[int], changes: Changes) -> list[int]:
    """Which of some days hold an EPC that is concerned by then."""

    def holds(day: int) -> bool:
        codes = dictionary_array(store.read([day], ["epc_code"]).column("epc_code")).dictionary
        return holds_changed(codes, changes, (day + 1) * SECONDS_PER_DAY)

    with ThreadPoolExecutor(2) as pool:
        return [day for day, held in zip(days, pool.map(holds, days), strict=True) if held]


def _seconds(table: pa.Table) -> np.ndarray:
    return table.column("event_time").to_numpy().astype("datetime64[s]").astype(np.int64)


# ------------------------------------------------------------------ what was made


@contextmanager
def replacing_rows(workspace: Workspace, after: pa.Table, day: np.ndarray, days: Sequence[int]) -> Iterator[None]:
    """Around the writing of merged dates: what their new rows make wrong is struck from the ledger before, the dates
    are entered after. after, day: as for `changed_dates`."""
    entries = _merged_entries(workspace, days)
    changed = changed_dates(workspace, after, day, days)
    kept = workspace.made.of(MERGED)
    workspace.made.strike(changed)
    keep_tables(workspace)
    yield
    unchanged = {one: kept[one].stamp for one in set(days) - set(changed[MERGED]) if one in kept}
    workspace.made.note(
        MERGED, {one: entry._replace(stamp=unchanged.get(one, entry.source)) for one, entry in entries.items()}
    )


def _merged_entries(workspace: Workspace, days: Iterable[int]) -> dict[int, Entry]:
    recipe, sources = recipes(workspace)[MERGED], workspace.intake.sources()
    return {day: Entry(recipe, sources.get(day, "")) for day in days}


def noted(workspace: Workspace, asset: str, rows: dict[int, int]) -> dict[int, int]:
    """Enter dates of an asset that were just written (their rows by day, which come back), but for those that share a
    lot with a date of the asset before it that is out of date: they will have to be made again."""
    stale = stale_dates(workspace, [_MADE_FROM[asset]])[_MADE_FROM[asset]]
    unsafe: set[int] = set(stale)
    if stale:
        index = workspace.lots.read()
        unsafe.update(index.days_of(index.lots_of(stale)).tolist())
    recipe = recipes(workspace)[asset]
    keep_tables(workspace)
    workspace.made.note(asset, {day: Entry(recipe) for day in rows if day not in unsafe})
    if asset == "event_scores":
        # Another model scores the same rows otherwise: nothing but this says that its alerts are other ones.
        workspace.made.strike({"alerts": rows})
    return rows
