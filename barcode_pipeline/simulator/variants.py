"""The catalogue of anomaly variants: label, and whether the rules are built to see it."""

from __future__ import annotations

from dataclasses import dataclass

from barcode_pipeline.events.formats import LABELS


@dataclass(frozen=True)
class Variant:
    """One way an anomaly can look. Its name is that of its rate in `AnomalyRates`."""

    name: str
    label: str
    rule_visible: bool


_EPC_FAKE, _EPC_DUP, _LOC_ERR, _ORDER_ERR, _JUMP = LABELS

VARIANTS = (
    Variant("not_six_parts", _EPC_FAKE, True),
    Variant("wrong_header", _EPC_FAKE, True),
    Variant("unregistered_company", _EPC_FAKE, True),
    Variant("product_length", _EPC_FAKE, True),
    Variant("lot_length", _EPC_FAKE, True),
    Variant("serial_length", _EPC_FAKE, True),
    Variant("date_unreadable", _EPC_FAKE, True),
    Variant("date_in_future", _EPC_FAKE, True),
    Variant("too_old", _EPC_FAKE, True),
    Variant("missing_epc", _EPC_FAKE, True),
    Variant("never_issued", _EPC_FAKE, False),
    Variant("simultaneous", _EPC_DUP, True),
    Variant("slow_clone", _EPC_DUP, False),
    Variant("backward", _LOC_ERR, True),
    Variant("skipped_warehouse", _LOC_ERR, True),
    Variant("skipped_wholesaler", _LOC_ERR, True),
    Variant("unknown_location", _LOC_ERR, True),
    Variant("unknown_step", _LOC_ERR, True),
    Variant("diverted_item", _LOC_ERR, False),
    Variant("diverted_group", _LOC_ERR, False),
    Variant("inbound_twice", _ORDER_ERR, True),
    Variant("outbound_before_inbound", _ORDER_ERR, True),
    Variant("repeated_thrice", _ORDER_ERR, True),
    Variant("missing_event_type", _ORDER_ERR, True),
    Variant("sent_too_late", _ORDER_ERR, True),
    Variant("short_dwell", _ORDER_ERR, False),
    Variant("too_fast", _JUMP, True),
    Variant("route_outlier", _JUMP, True),
    Variant("ahead_of_truck", _JUMP, False),
    Variant("backdated_code", _EPC_FAKE, False),
    Variant("reused_packaging", _EPC_DUP, False),
    Variant("made_elsewhere", _LOC_ERR, False),
    Variant("early_sale", _ORDER_ERR, False),
)

CODE_OF_VARIANT = {variant.name: code for code, variant in enumerate(VARIANTS, start=1)}
"""Number by which arrays name a variant; 0 is none."""

NEVER_PLANTED = ("backdated_code", "reused_packaging", "made_elsewhere", "early_sale")
"""Stand for what nobody has thought of: off by default, and no teacher is to plant the like.

They are laid over a world last, so that all else in it stays as it was."""
