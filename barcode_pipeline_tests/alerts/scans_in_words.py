"""Scans by hand, and what is said of them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from barcode_pipeline.alerts.reasons import explain
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline_tests.rules import strategies
from barcode_pipeline_tests.rules.reference_rules import Route, Row, Site
from barcode_pipeline_tests.worlds import events_table, reference

NORTH = strategies.DEGREES_PER_KM
SITES = [
    Site(1, "factory one", 37.0, 127.0),
    Site(2, "warehouse", 37.0 + 4 * NORTH, 127.0),
    Site(3, "hub", 37.0 + 320 * NORTH, 127.0),
    Site(4, "nowhere", None, None),
    Site(5, "wholesaler", 37.0 + 350 * NORTH, 127.0),
    Site(6, "shop", 37.0 + 352 * NORTH, 127.0),
]
ROUTES = [Route("wholesaler", "shop", 50.0, 2.5, 0.02), Route("hub", "wholesaler", 30.0, 2.0, 0.1)]
CODE = "001.8804823.1203199.150002.20250620.000000001"
FAKE, DUPLICATE, LOCATION, ORDER, JUMP = range(5)


def scan(place, step, kind, hours=0.0, code=CODE, event_id=None, name=None):
    time = str(np.datetime64("2025-07-01T10:00:00") + np.timedelta64(round(hours * 3600), "s")).replace("T", " ")
    return Row(code, time, place, name, step, kind, event_id)


def said_of(rows, alerts=None, probability=0.93, sites=SITES, routes=ROUTES, attribution=None):
    """The reason of each row by its number; alerts: (row, label), those of the rules where None."""
    table, numbers = events_table(rows)
    tables = reference(sites, routes)
    events = read_events(table, tables.sites)
    judged = score_events(events, tables, RuleSettings())
    place_of = np.argsort(numbers)
    if alerts is None:
        wanted = judged.scores > 0
    else:
        wanted = np.zeros((len(rows), len(LABELS)), bool)
        for row, label in alerts:
            wanted[place_of[row], label] = True
    if attribution is not None:
        attribution = attribution.by_source(place_of)
    said = explain(events, judged, wanted, np.full(wanted.shape, probability), tables, 100.0, attribution)
    return pd.Series(said.to_pylist(), dtype=object)[place_of].tolist()


FACTORY = ("Factory", "Factory_Inbound")
WMS_IN, WMS_OUT = ("WMS", "WMS_Inbound"), ("WMS", "WMS_Outbound")
HUB_IN, HUB_OUT = ("Logistics_HUB", "HUB_Inbound"), ("Logistics_HUB", "HUB_Outbound")
SHOP_IN = ("R_Stock", "R_Stock_Inbound")
W_IN, W_OUT = ("W_Stock", "W_Stock_Inbound"), ("W_Stock", "W_Stock_Outbound")
NORMAL_CODE = "; a code is 001.company.product.lot.YYYYMMDD.serial, made before its scans"

WORDLESS = re.compile(r"\b(nan|none|nat|null|<na>)\b", re.IGNORECASE)
"""What no sentence may hold."""
