"""Rows of a simulation as frames, and the slow reading of the rules laid over them."""

from __future__ import annotations

import pandas as pd

from barcode_pipeline.events.formats import KEY_COLUMNS, LABELS
from barcode_pipeline.simulator import Simulation
from barcode_pipeline.simulator.columns import decoded
from barcode_pipeline_tests.rules.reference_rules import Route, Row, Site, label_rows

KEY = list(KEY_COLUMNS)


def events(simulation: Simulation) -> pd.DataFrame:
    """Return the event keys of all rows but exact duplicates; missing values are None."""
    frames = [decoded(table).to_pandas() for table in simulation.raw.values()]
    rows = pd.concat(frames, ignore_index=True)
    if "event_id" not in rows:
        rows["event_id"] = None
    rows = rows.sort_values("event_id", kind="stable")
    rows = rows.drop_duplicates([name for name in rows.columns if name != "event_id"])
    return _plain(rows.assign(location_id=rows["location_id"].astype("int64"))[KEY])


def truth(simulation: Simulation) -> pd.DataFrame:
    """Return the table of anomalies; missing values are None."""
    return _plain(decoded(simulation.anomalies).to_pandas())


def aftermath(simulation: Simulation) -> pd.DataFrame:
    """Return the table of consequences; missing values are None."""
    return _plain(decoded(simulation.aftermath).to_pandas())


def judged(simulation: Simulation) -> pd.DataFrame:
    """Return events with the rules' labels, the truth (label, variant, rule_visible) and the aftermath's variant."""
    rows = events(simulation)
    sites = [
        Site(int(row.location_id), row.scan_location, row.Latitude, row.Longitude)
        for row in simulation.sites.itertuples()
    ]
    routes = [Route(*row) for row in simulation.transitions.iloc[:, :5].itertuples(index=False)]
    scans = [
        Row(
            row.epc_code,
            str(row.event_time),
            row.location_id,
            row.scan_location,
            row.business_step,
            row.event_type,
            None if row.event_id is None else int(row.event_id),
        )
        for row in rows.itertuples()
    ]
    labels = pd.DataFrame(label_rows(scans, sites, routes))[list(LABELS)].ge(1)
    rows = rows.reset_index(drop=True).join(labels)
    consequences = aftermath(simulation).rename(columns={"variant": "aftermath"})
    # Missing values do not meet in a merge: they get a name.
    keyed = [frame.fillna(dict.fromkeys(KEY, "-")) for frame in (rows, truth(simulation), consequences)]
    result = keyed[0].merge(keyed[1], on=KEY, how="left").merge(keyed[2], on=KEY, how="left")
    assert len(result) == len(rows), "a key stands for more than one event"
    return result


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    text = frame.astype(object)
    return text.where(text.notna(), None)
