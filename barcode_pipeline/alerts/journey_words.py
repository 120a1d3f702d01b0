"""A journey in one line: when, what step, where, and which of its events bear an alert."""

from __future__ import annotations

import numpy as np
import pandas as pd

from barcode_pipeline.events.steps import DIRECTION_NAMES, SALE

FIRST_SHOWN, LAST_SHOWN = 4, 12
"""Of a longer journey so many events from either end are written, beside those with an alert."""
ARROW = " → "


def journey_lines(journeys: pd.DataFrame) -> pd.Series:
    """A line per journey, by `number`, such as `07-01 10:23 Factory in, Plant A → 07-03 11:00 WMS in, Store B [jump]`.

    journeys: a row per event, each journey's in the order of travel, with number, time (datetime64), step, place
    (texts) and labels (of its alert, empty without one).
    """
    time = pd.to_datetime(journeys["time"]).dt.strftime("%m-%d %H:%M")
    mark = journeys["labels"].where(journeys["labels"] == "", " [" + journeys["labels"] + "]")
    event = time + " " + journeys["step"] + ", " + journeys["place"] + mark
    by_journey = event.groupby(journeys["number"])
    position, length = by_journey.cumcount(), by_journey.transform("size")
    shown = (position < FIRST_SHOWN) | (position >= length - LAST_SHOWN) | (journeys["labels"] != "")
    hidden_before = shown & ~shown.groupby(journeys["number"]).shift(1, fill_value=True)
    event = event.where(~hidden_before, "…" + ARROW + event)
    return event[shown].groupby(journeys["number"][shown], sort=False).agg(ARROW.join)


def step_words(level: pd.Series, direction: pd.Series, step: pd.Series) -> np.ndarray:
    """`Wholesaler in`, `POS_Sell`: (N,) texts. level, direction: as in `enriched_events`; step: as sent, which stands
    for a level that is not known."""
    named = level.astype(object).where(level.notna(), step.astype(object)).fillna("unknown step").astype(str)
    # A sale says so already, and "other" or "missing" is no direction.
    told = direction.isin(DIRECTION_NAMES[:SALE])
    return (named + np.where(told, " " + direction.astype(object).fillna(""), "")).to_numpy(object)


def place_words(table: pd.DataFrame) -> np.ndarray:
    """The place of each event of `enriched_events`, (N,) texts: the site's name, else the name or id as given."""
    ids = "place " + table["location_id"].astype("Int64").astype(object).astype(str)
    texts = "place " + table["location_text"].astype(object).astype(str)
    ids = ids.where(table["location_id"].notna(), texts.where(table["location_text"].notna(), "place without a name"))
    site, name = table["site_name"].astype(object), table["scan_location"].astype(object)
    return site.where(site.notna(), name.where(name.notna() & table["location_id"].isna(), ids)).to_numpy(object)
