"""Versions of the transition table in words: which there are, and what one would change. Text only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from barcode_pipeline.events.table_versions import TableVersions
from barcode_pipeline.events.transition_table import ENDS, TAKEN, TOO_FEW_KEPT, TOO_FEW_LEFT_OUT
from barcode_pipeline.refreshing import History

_NOTHING = "–"
_SHOWN = ("mean_old", "mean_new", "std_old", "std_new", "epcs", "shipments", "outliers")


def versions_text(versions: TableVersions) -> str:
    """A line per version, the one in use marked."""
    in_use, numbers = versions.in_use(), versions.numbers()
    lines = [f"{'*' if one == in_use else ' '} {one:>3}  {about_text(versions.about(one))}" for one in numbers]
    if in_use is not None:
        lines.append("* in use")
    elif versions.table.exists():
        lines.append(f"{versions.table} in use is none of them: `refresh` and `use` keep it as one.")
    else:
        lines.append(f"{versions.table} is missing: `barcode-pipeline reference use VERSION` puts one there.")
    return "\n".join(lines)


def about_text(about: Mapping[str, Any]) -> str:
    """What a version was made from."""
    if about["made"] != "refresh":
        return "as it was found in use"
    return (
        f"from {about['first_date']} to {about['last_date']}, {about['dates']} dates, "
        f"{about['transports']:,} transports; beside version {about['from_version']}"
    )


def history_text(history: History) -> str:
    """What a refresh has looked at."""
    faults = ", ".join(f"{count:,} by {who}" for who, count in history.unclean.items())
    lines = [
        f"{history.transports:,} transports on {len(history.days)} dates. EPCs left out because fault was found with "
        f"them: {faults}. Transports left out as faster than any truck: {history.impossible:,}."
    ]
    if history.left_out:
        lines.append(f"{history.left_out} dates are out of date and were not looked at: `barcode-pipeline status`.")
    return "\n".join(lines)


def changes_text(changes: pd.DataFrame) -> str:
    """What a version would change in the table in use, old and new side by side, and what stays because too little was
    seen of it. changes: as of `refreshing.changes_of`."""
    other = changes[changes["what"].isin(["new", "gone", "changed"])]
    lines = []
    if len(other):
        names = (other[ENDS[0]] + " → " + other[ENDS[1]]).tolist()
        width = max(map(len, names))
        lines.append(
            f"{'':<8} {'route':<{width}} {'mean, hours':>15} {'σ, hours':>15} {'EPCs seen':>10} {'shipments':>10} "
            f"{'outliers':>9}"
        )
        columns = [other[name].astype(float).tolist() for name in _SHOWN]
        lines += [
            f"{what:<8} {name:<{width}} {_pair(*numbers[:2])} {_pair(*numbers[2:4])} "
            f"{_count(numbers[4]):>10} {_count(numbers[5]):>10} {_count(numbers[6]):>9}"
            for what, name, *numbers in zip(other["what"], names, *columns, strict=True)
        ]
    counts = {what: int(count) for what, count in other["what"].value_counts().items()}
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    lines.append(f"Routes: {told}." if told else "No route would change.")
    decided = changes["decision"].value_counts()
    unseen = int((changes["what"].isin(["same", "changed"]) & changes["decision"].isna()).sum())
    if int(decided.sum()):
        lines.append(
            f"Seen often enough: {decided.get(TAKEN, 0)} routes. Too few shipments, so that the row stays: "
            f"{decided.get(TOO_FEW_KEPT, 0)}. Never seen: {unseen}. Too few to get a row: "
            f"{decided.get(TOO_FEW_LEFT_OUT, 0)} pairs of sites."
        )
    return "\n".join(lines)


def _pair(old: float, new: float) -> str:
    return f"{_hours(old):>6} → {_hours(new):>6}"


def _hours(value: float) -> str:
    return _NOTHING if pd.isna(value) else f"{value:.2f}"


def _count(value: float) -> str:
    return _NOTHING if pd.isna(value) else f"{value:,.0f}"
