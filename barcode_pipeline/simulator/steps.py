"""The ten steps of a journey, and the further words that anomalies put in their place."""

from __future__ import annotations

from dataclasses import dataclass

STEPS = 10
AGGREGATION, WMS_IN, WMS_OUT, HUB_IN, HUB_OUT, W_IN, W_OUT, R_IN, R_OUT, POS = range(STEPS)

BUSINESS_STEPS = (
    "Factory",
    "WMS",
    "WMS",
    "Logistics_HUB",
    "Logistics_HUB",
    "W_Stock_Inbound",
    "W_Stock_Outbound",
    "R_Stock_Inbound",
    "R_Stock_Outbound",
    "POS_Sell",
)
EVENT_TYPES = (
    "Aggregation",
    "WMS_Inbound",
    "WMS_Outbound",
    "HUB_Inbound",
    "HUB_Outbound",
    "W_Stock_Inbound",
    "W_Stock_Outbound",
    "R_Stock_Inbound",
    "R_Stock_Outbound",
    "POS_Sell",
)
HUB_TYPE_ENDINGS = (
    "Factory",
    "WMS_Inbound",
    "WMS_Outbound",
    "HUB_Inbound",
    "HUB_Outbound",
    "Stock_Inbound",
    "Stock_Outbound",
    "Stock_Inbound",
    "Stock_Outbound",
    "POS_Sell",
)
UNKNOWN_STEPS = ("Customs_Hold", "Repacking", "Quality_Check")


@dataclass(frozen=True)
class Wording:
    """What a row says about its step; None is a missing word."""

    business_step: str
    event_type: str | None
    hub_type_ending: str | None


def wordings() -> list[Wording]:
    """Return every wording in use: ten ordinary ones, then those that `no_event_type` and `unknown_step` index."""
    ordinary = [Wording(*words) for words in zip(BUSINESS_STEPS, EVENT_TYPES, HUB_TYPE_ENDINGS, strict=True)]
    silent = [Wording(step, None, None) for step in BUSINESS_STEPS]
    unknown = [
        Wording(step, direction, f"{step}_{direction}")
        for step in UNKNOWN_STEPS
        for direction in ("Inbound", "Outbound")
    ]
    return ordinary + silent + unknown


NO_EVENT_TYPE = STEPS
"""Add to a step: the same step, its event type missing."""
UNKNOWN_STEP = 2 * STEPS
"""Plus twice a number among `UNKNOWN_STEPS`, plus 0 (in) or 1 (out): a step nobody knows, its direction kept."""
