"""The alerts of a night for people: one HTML page that works offline, a CSV file, and a short table in Markdown.

A row of the table is an alert as in `tables.ALERTS_SCHEMA`. The template is `page.html`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pandas as pd
from jinja2 import Environment, StrictUndefined, Template

from barcode_pipeline.alerts.journey_words import ARROW
from barcode_pipeline.alerts.tables import SEVERITIES
from barcode_pipeline.events.formats import LABELS

TEMPLATE = Path(__file__).with_name("page.html")
EPCS_SHOWN = 100
"""EPCs listed in the page of one alert; the CSV file has all."""
_NOT_IN_CSV = ("own_id",)
_LISTS = ("labels", "sites", "epcs")


def counts(alerts: pd.DataFrame) -> pd.DataFrame:
    """Number of alerts by label (rows) and severity (columns), with sums."""
    table = pd.crosstab(alerts["label"].astype(object), alerts["severity"].astype(object))
    table = table.reindex(index=LABELS, columns=SEVERITIES, fill_value=0)
    table = table.assign(all=table.sum(axis=1))
    return pd.concat([table, table.sum().to_frame("all").T])


def alerts_csv(alerts: pd.DataFrame) -> str:
    """The table as CSV; lists with `;` between."""
    table = alerts.drop(columns=list(_NOT_IN_CSV))
    return table.assign(**{name: table[name].map(";".join) for name in _LISTS}).to_csv(index=False, lineterminator="\n")


def alerts_markdown(alerts: pd.DataFrame, most: int = 20) -> str:
    """The first alerts as a table in Markdown."""
    lines = [
        "| rank | news | severity | label | EPCs | where | reason | lot |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in alerts.head(most).to_dict("records"):
        news = "new" if row["is_new"] else f"since {row['since']}"
        cells = (
            row["rank"], news, row["severity"], row["label"], row["epc_count"], row["place"], row["reason"],
            row["lot"] or "–",
        )  # fmt: skip
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    if len(alerts) > most:
        lines.append(f"\n… and {len(alerts) - most:,} more.")
    return "\n".join(lines) if len(alerts) else "No alert."


def alerts_page(alerts: pd.DataFrame, date: str, meanings: Mapping[str, str]) -> str:
    """One self-contained page. meanings: of each label, in words."""
    rows = [
        row
        | {
            "shown": row["epcs"][:EPCS_SHOWN],
            "hidden": max(0, len(row["epcs"]) - EPCS_SHOWN),
            "steps": row["journey"].split(ARROW),
        }
        for row in alerts.assign(**{name: alerts[name].map(list) for name in _LISTS}).to_dict("records")
    ]
    return _template().render(
        date=date,
        fresh=[row for row in rows if row["is_new"]],
        standing=[row for row in rows if not row["is_new"]],
        counts=counts(alerts),
        severities=SEVERITIES,
        meanings=meanings,
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
