"""Names and Arrow schemas of everything that stands on disk. No logic belongs here."""

from __future__ import annotations

import pyarrow as pa

FORMAT_VERSION = 1
"""Borne by every file; a file of another version is refused with the command that remakes it."""

LABELS = ("epcFake", "epcDup", "locErr", "evtOrderErr", "jump")
"""The five labels, in the order of every array with a label axis."""

SCORES = tuple(f"{label}Score" for label in LABELS)
PROBABILITIES = tuple(f"{label}Probability" for label in LABELS)
ALERTS = tuple(f"{label}Alert" for label in LABELS)

RAW_COLUMNS = (
    "scan_location",
    "location_id",
    "hub_type",
    "business_step",
    "event_type",
    "operator_id",
    "device_id",
    "epc_code",
    "epc_header",
    "epc_company",
    "epc_product",
    "epc_lot",
    "epc_manufacture",
    "epc_serial",
    "product_name",
    "event_time",
    "manufacture_date",
    "expiry_date",
    "factory",
)
"""Columns of a raw file in the senders' usual order; `event_id` and `file_id` may follow."""

NEEDED_RAW_COLUMNS = ("epc_code", "event_time", "event_type", "business_step")
"""Needed beside one of `location_id` and `scan_location`."""

RAW_ALIASES = {"eventid": "event_id", "fileid": "file_id"}

SITE_COLUMNS = ("seq", "location_id", "scan_location", "Latitude", "Longitude", "factory_locations")
TRANSITION_COLUMNS = (
    "from_scan_location",
    "to_scan_location",
    "time_taken_hours_mean",
    "time_taken_hours_std",
    "time_taken_hours_min",
    "time_taken_hours_max",
    "time_taken_hours_count",
)

SITES_FILE = "location_id_withGeospatial.csv"
TRANSITIONS_FILE = "business_step_transition_avg_v2.csv"

_WORDS = pa.dictionary(pa.int32(), pa.string())

KEY_FIELDS = (
    pa.field("epc_code", _WORDS),
    pa.field("event_time", pa.timestamp("s")),
    pa.field("location_id", pa.int64()),
    pa.field("scan_location", _WORDS),
    pa.field("business_step", _WORDS),
    pa.field("event_type", _WORDS),
    pa.field("event_id", pa.int64()),
)
KEY_COLUMNS = tuple(field.name for field in KEY_FIELDS)
"""What identifies an event once exact duplicates are gone."""

EVENT_SCHEMA = pa.schema(
    [
        *KEY_FIELDS,
        pa.field("location_text", _WORDS),
        pa.field("hub_type", _WORDS),
        pa.field("operator_id", _WORDS),
        pa.field("device_id", _WORDS),
        pa.field("product_name", _WORDS),
        pa.field("manufacture_date", _WORDS),
        pa.field("expiry_date", _WORDS),
        pa.field("factory", _WORDS),
        pa.field("file_id", _WORDS),
    ]
)
"""`merged_events`. `location_id` is the id as sent, `location_text` holds an id that is no integer.

The split-out EPC columns of the raw files are left out: they lose leading zeros and `epc_code` says all.
"""
