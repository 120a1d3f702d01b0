"""The transition table made anew from clean history: the shell around `events.transports` and what follows it.

Dates are read one by one, in order, and each file once. What is carried from one to the next are the departures that
nothing has followed yet, and a tally of travel times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.chain import READ_COLUMNS
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.date_store import DateStore, one_chunk
from barcode_pipeline.events.formats import ALERTS, LABELS
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.events.reference_tables import load_sites, read_transitions, routes_from_table
from barcode_pipeline.events.route_statistics import FENCE, Tally, add_up, route_statistics, tally
from barcode_pipeline.events.table_versions import TableVersions
from barcode_pipeline.events.text import decode, dictionary_array, dictionary_codes
from barcode_pipeline.events.times import SECONDS_PER_DAY, date_text
from barcode_pipeline.events.transition_table import ENDS, compared, refreshed, seen_routes
from barcode_pipeline.events.transports import LONGEST_SECONDS, find_transports
from barcode_pipeline.events.verdicts import read_verdicts
from barcode_pipeline.stale_dates import stale_dates
from barcode_pipeline.workspace import Workspace

FEWEST_SHIPMENTS = 30
"""Independent shipments of a route that its statistics need: mean and deviation are then right to a fifth and a twelfth
of the deviation."""

_UNCLEAN_LABELS, _UNCLEAN_ALERTS = LABELS[:-1], ALERTS[:-1]
"""What makes an EPC's history unclean. Not `jump`: it is said by the table itself, and what it calls unusual is what is
to be measured. What no truck can have travelled is left out transport by transport."""

_TALLIES_AT_ONCE = 200_000


class History(NamedTuple):
    """What a table was made from. unclean: EPCs left out, by who found fault with them."""

    days: list[int]
    left_out: int
    unclean: dict[str, int]
    transports: int
    impossible: int


class Refresh(NamedTuple):
    """version: of the table; is_new: whether it was not there before; in_use: whether it is the one in use, because
    history says nothing else. changes: as of `changes_of`."""

    version: int
    is_new: bool
    in_use: bool
    history: History
    changes: pd.DataFrame


def refresh(
    workspace: Workspace, fewest: float = FEWEST_SHIPMENTS, first: int | None = None, last: int | None = None
) -> Refresh:
    """Make a version of the transition table from the dates from day `first` to day `last`, all by default. The table
    in use stays in use, and becomes a version where it is none.

    fewest: independent shipments of a route below which the row in use stays.
    """
    if fewest < 2:
        raise UserError(f"A route's deviation needs 2 shipments at the least, not {fewest:g}: give --fewest 2 or more.")
    days, left_out = _days(workspace, first, last)
    unclean, by_whom = _unclean_epcs(workspace, days)
    found, impossible = _tally_dates(workspace, days, unclean)
    history = History(days, left_out, by_whom, int(found.epcs.sum()), impossible)
    versions = TableVersions(workspace.processed)
    table = read_transitions(versions.table)
    seen = seen_routes(table, route_statistics(found), workspace.reference.sites.name, fewest)
    content = _as_bytes(refreshed(table, seen))
    replaced = versions.keep()
    about = _about(history, fewest, replaced)
    version, is_new = versions.add(content, about, _as_bytes(seen))
    return Refresh(version, is_new, version == replaced, history, changes_of(workspace, version))


def changes_of(workspace: Workspace, version: int) -> pd.DataFrame:
    """What a version would change in the table in use, a row per route (`transition_table.compared`), beside what was
    seen of it when the version was made: `epcs`, the `shipments` they are worth, `outliers` left out, `decision`."""
    versions = TableVersions(workspace.processed)
    changes = compared(read_transitions(versions.table), read_transitions(versions.path(version)))
    path = versions.seen(version)
    columns = [*ENDS, "epcs", "shipments", "outliers", "decision"]
    seen = pd.read_csv(path, usecols=columns) if path else pd.DataFrame(columns=columns)
    return changes.merge(seen[columns], how="outer", on=ENDS)


def use(workspace: Workspace, version: int) -> int | None:
    """Take a version into use; returns the version that the table in use until now is kept as."""
    versions = TableVersions(workspace.processed)
    path = versions.path(version)
    # A table that the next run could not read is refused while the one in use still stands.
    routes_from_table(read_transitions(path), load_sites(workspace.processed), str(path))
    return versions.use(version)


# ------------------------------------------------------------------ clean history


def _days(workspace: Workspace, first: int | None, last: int | None) -> tuple[list[int], int]:
    """(the days asked for whose labels are up to date, how many are not)."""
    asked = [
        day
        for day in workspace.labels.days()
        if (first is None or day >= first) and (last is None or day <= last) and workspace.labels.rows(day)
    ]
    stale = stale_dates(workspace, ["enriched_events", "rule_labels"])
    wrong = {day for days in stale.values() for day in days}
    days = [day for day in asked if day not in wrong]
    left_out = len(asked) - len(days)
    if not days or left_out > len(days):
        raise UserError(
            "There is no clean history: "
            + (f"{left_out} of {len(asked)} dates are out of date. " if asked else "no date has rule labels. ")
            + "Run `make run` (or `make night DATE=…`), then `barcode-pipeline reference refresh`."
        )
    return days, left_out


def _unclean_epcs(workspace: Workspace, days: Sequence[int]) -> tuple[pa.Array, dict[str, int]]:
    """(the EPCs that anybody has found fault with, on whatever date; how many by whom)."""
    verdicts = read_verdicts(workspace.verdicts)
    found = {
        "rules": _flagged(workspace.labels, days, _UNCLEAN_LABELS),
        "model": _flagged(workspace.scores, days, _UNCLEAN_ALERTS),
        "verdicts": _distinct([_where(verdicts, ["verdict"])]),
    }
    return _distinct(list(found.values())), {name: len(codes) for name, codes in found.items()}


def _flagged(store: DateStore, days: Sequence[int], flags: Sequence[str]) -> pa.Array:
    """The EPCs of a store's events that bear one of some flags; dates without a file have none."""
    return _distinct([_where(store.read([day], ["epc_code", *flags]), flags) for day in days])


def _where(table: pa.Table, flags: Sequence[str]) -> pa.Array:
    """The distinct codes of the rows with any of some flags."""
    flagged = np.zeros(len(table), dtype=bool)
    for name in flags:
        flagged |= decode(table.column(name)).to_numpy(zero_copy_only=False).astype(bool)
    return pc.drop_null(pc.unique(decode(table.column("epc_code").filter(pa.array(flagged)))))


def _distinct(parts: Sequence[pa.Array]) -> pa.Array:
    return pc.unique(pa.concat_arrays([pa.array([], pa.string()), *parts]))


# ------------------------------------------------------------------ its transports


def _tally_dates(workspace: Workspace, days: Sequence[int], unclean: pa.Array) -> tuple[Tally, int]:
    """(the travel times of all clean transports, how many were faster than any truck)."""
    reference, fastest = workspace.reference, workspace.configuration.rules.fastest_truck_km_per_hour
    waiting = workspace.enriched.read((), READ_COLUMNS)
    tallies, impossible = [add_up([])], 0
    for day in days:
        clean = _without(workspace.enriched.read([day], READ_COLUMNS), unclean)
        known = one_chunk(pa.concat_tables([waiting, clean]))
        events = read_events(known, reference.sites)
        found = find_transports(events, reference, fastest)
        still = found.waiting[events.time[found.waiting] >= (day + 1) * SECONDS_PER_DAY - LONGEST_SECONDS]
        waiting = _cut_down(known.take(pa.array(still)))
        tallies.append(tally(found.transports))
        impossible += found.impossible
        if sum(len(one.epcs) for one in tallies[1:]) > max(_TALLIES_AT_ONCE, len(tallies[0].epcs)):
            tallies = [add_up(tallies)]
    return add_up(tallies), impossible


def _without(table: pa.Table, codes: pa.Array) -> pa.Table:
    """The rows of all other EPCs; those without one go too."""
    epc = dictionary_array(table.column("epc_code"))
    wrong = pc.is_in(epc.dictionary, value_set=codes).to_numpy(zero_copy_only=False)
    return table.filter(pa.array(~np.append(wrong, True)[dictionary_codes(epc)]))


def _cut_down(table: pa.Table) -> pa.Table:
    """The same rows with dictionaries of their own words: those of all dates before would go along otherwise."""
    return pa.table({name: decode(table.column(name)) for name in table.column_names}).cast(table.schema)


# ------------------------------------------------------------------ written and told


def _as_bytes(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _about(history: History, fewest: float, replaced: int) -> dict[str, object]:
    return {
        "made": "refresh",
        "from_version": replaced,
        "first_date": date_text(history.days[0]),
        "last_date": date_text(history.days[-1]),
        "dates": len(history.days),
        "dates_left_out": history.left_out,
        "epcs_left_out": history.unclean,
        "transports": history.transports,
        "faster_than_any_truck": history.impossible,
        "fewest_shipments": fewest,
        "fence": FENCE,
    }
