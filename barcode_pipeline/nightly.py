"""What one night does, and whether there is anything for it to do. No Dagster here.

A night takes in what has come, makes the dates that are out of date, each asset for its own dates, trains on the new
training set and scores the dates whose sequences have changed. So a night that failed or was missed needs nothing of
its own: what it left undone is out of date, and the next one makes it.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from barcode_pipeline.chain import assemble
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.made_dates import WHOLE, Entry
from barcode_pipeline.events.raw_folder import RawFile, list_raw_files
from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.recipes import recipes
from barcode_pipeline.stale_dates import DATED, MERGED, Days, changed_dates, settle_tables, stale_dates
from barcode_pipeline.taking_in import partition_days
from barcode_pipeline.workspace import Workspace

Look = dict[str, list[int]]
"""Files that wait to be taken in, as they were seen: name -> [size, time of change in ns]."""


def look_again(waiting: Sequence[RawFile], before: Mapping[str, Sequence[int]]) -> tuple[list[RawFile], Look]:
    """(the files that have not moved since the last look, this look). The others may still be being written."""
    look = {str(file.path): [file.size, file.changed_ns] for file in waiting}
    return [file for file in waiting if list(before.get(str(file.path), ())) == look[str(file.path)]], look


def stale_once_merged(workspace: Workspace) -> Days:
    """`stale_dates` with what the rows that wait to be merged will change on other dates. It assembles them once."""
    stale = stale_dates(workspace)
    arrived = stale[MERGED]
    if not arrived:
        return stale
    assembled = assemble(workspace, arrived)
    changed = changed_dates(workspace, assembled.table, assembled.day, arrived)
    return {asset: sorted({*days, *changed[asset]}) if asset != MERGED else days for asset, days in stale.items()}


def dates_to_make(workspace: Workspace, asset: str, asked: Sequence[int]) -> list[int]:
    """The dates asked for and those of the asset that are out of date, up to the last one asked for."""
    settle_tables(workspace)
    stale = stale_dates(workspace, [asset])[asset]
    return sorted({*asked, *(day for day in stale if day <= max(asked))})


# ------------------------------------------------------------------ what the model was taught


ALL_EVENTS, SOME_LOTS = "train_eval_split", "night_split"
"""The training sets: of all events, and of a night's lots."""


def note_training_set(workspace: Workspace, which: str = ALL_EVENTS) -> None:
    """Enter what a training set was made from."""
    recipe = recipes(workspace)["train_eval_split"]
    workspace.made.note(which, {WHOLE: Entry(recipe, _to_learn_from(workspace))})


def note_model(workspace: Workspace, asset: str, learnt_from: str = ALL_EVENTS) -> None:
    """Enter that `lstm_model` or `baseline_models` was trained on a training set."""
    learnt = workspace.made.of(learnt_from).get(WHOLE)
    if learnt is not None:
        workspace.made.note(asset, {WHOLE: Entry(_recipe_of_model(workspace, asset), learnt.source)})


def fits(workspace: Workspace, asset: str) -> bool:
    """Whether a model was trained by the settings and on the features of today, on whatever rows."""
    entry = workspace.made.of(asset).get(WHOLE)
    return entry is not None and entry.recipe == _recipe_of_model(workspace, asset)


def _recipe_of_model(workspace: Workspace, asset: str) -> str:
    wanted = recipes(workspace)
    return f"{wanted['epc_sequences']} {wanted[asset]}"


def _to_learn_from(workspace: Workspace) -> str:
    """A name of all that can be learnt from: another one where rows of any date or the feedback files have changed."""
    digest = hashlib.blake2b(digest_size=16)
    for day, entry in sorted(workspace.made.of(MERGED).items()):
        digest.update(f"{day} {entry.stamp}\n".encode())
    for file in sorted(list_raw_files(workspace.feedback)):
        digest.update(f"{file}\n".encode("utf-8", errors="surrogateescape"))
    return digest.hexdigest()


# ------------------------------------------------------------------ whether a night is needed


class Reason(NamedTuple):
    """Whether a night has something to do, and what, in words."""

    needed: bool
    words: str


def why_a_night(workspace: Workspace, night: int) -> Reason:
    """Whether the night of a day has anything to do: no file is opened for the answer, unless a reference table has
    changed."""
    waiting = len(workspace.intake.waiting())
    if waiting:
        return Reason(True, f"{waiting} raw files are new or have changed")
    stale = {day for days in stale_dates(workspace).values() for day in days if day <= night}
    if stale:
        return Reason(True, f"{len(stale)} dates are out of date: {spans(sorted(stale))}")
    if not workspace.made.of(MERGED):
        return Reason(False, f"there are no rows up to {date_text(night)}")
    entry = workspace.made.of("lstm_model").get(WHOLE)
    if entry is None:
        return Reason(True, "no model has been trained on these rows")
    if entry != Entry(_recipe_of_model(workspace, "lstm_model"), _to_learn_from(workspace)):
        return Reason(True, "rows, feedback or settings have changed since the model was trained")
    return Reason(False, "nothing has changed since the model was trained")


def night_before(moment: datetime.datetime, zone: str) -> int:
    """The day that a night begun at a moment is the night of: yesterday in the zone."""
    return day_number(moment.astimezone(ZoneInfo(zone)).date().isoformat()) - 1


def night_of(workspace: Workspace, date: str) -> int:
    """The day of a date that a night can be asked for; `UserError` where it has no partition."""
    first, last = partition_days(workspace)
    try:
        day = day_number(datetime.date.fromisoformat(date).isoformat())
    except ValueError:
        raise UserError(f"{date!r} is no date: write it as 2025-12-16.") from None
    if not first <= day <= last:
        raise UserError(f"{date} has no partition: dates go from {date_text(first)} to {date_text(last)}, yesterday.")
    return day


# ------------------------------------------------------------------ in words


def spans(days: Sequence[int]) -> str:
    """Ascending days as dates, runs of days as FIRST...LAST."""
    starts = [place for place, day in enumerate(days) if place == 0 or days[place - 1] != day - 1]
    ends = [*(start - 1 for start in starts[1:]), len(days) - 1]
    return ", ".join(
        date_text(days[start]) if start == end else f"{date_text(days[start])}...{date_text(days[end])}"
        for start, end in zip(starts, ends, strict=False)
    )


def stale_in_words(stale: Days) -> list[str]:
    """A line per asset that has dates out of date."""
    return [f"{asset:<16} {len(stale[asset])} out of date: {spans(stale[asset])}" for asset in DATED if stale[asset]]
