"""Which features tell of the same thing: a reason names a group, for one feature of several says little by itself.

The words for a group are said in `alerts.phrases`.
"""

from __future__ import annotations

import numpy as np

from barcode_pipeline.sequences.features import FEATURE_NAMES

FEATURE_GROUPS: dict[str, tuple[str, ...]] = {
    "code": (
        "code_missing", "code_six_parts", "code_header_001", "code_company_registered", "code_product_7_digits",
        "code_lot_6_digits", "code_serial_9_digits", "code_date_readable",
    ),
    "age": ("days_since_manufacture", "years_since_manufacture", "days_past_five_years"),
    "place": ("place_known",),
    "second": ("sites_in_second",),
    "sending": ("overtaken_levels",),
    "step_before": (
        "is_first", "same_place", "same_site", "level_change", "levels_comparable", "previous_level", "previous_in",
        "previous_out", "previous_sale", "previous_missing", "same_step",
    ),
    "distance": ("log_distance", "distance_known"),
    "time": (
        "minutes_since_previous", "log_hours_since_previous", "log_time_over_fastest", "route_known",
        "transit_deviation", "lot_time_deviation",
    ),
    "journey": ("log_position", "log_hours_since_first"),
    "lot_site": (
        "lot_log_events", "lot_log_share_of_site", "lot_places_of_level", "lot_log_share_onward", "lot_log_arriving",
    ),
    "lot_way": ("lot_log_share_of_step", "lot_log_share_of_origin", "lot_log_moves_alike"),
    "lot_pace": ("lot_hours_since_last", "lot_hours_since_first"),
    "companions": (
        "companions_log_count", "companions_share_moved", "companions_log_waiting", "companions_log_here",
        "companions_log_elsewhere", "companions_hours_since_moved", "stream_here", "stream_elsewhere", "stream_behind",
        "stream_hours",
    ),
    "made": ("lot_never_made", "serial_beyond"),
}  # fmt: skip

LEVELS = (
    "level_factory", "level_wms", "level_hub", "level_wholesaler", "level_retailer", "level_sale", "level_unknown",
)  # fmt: skip
DIRECTIONS = ("direction_in", "direction_out", "direction_sale", "direction_other", "direction_missing")
"""An event has one of each."""
STEP_FEATURES = (*LEVELS, *DIRECTIONS)
"""What an event's step is. It belongs to no group: what is ordinary is asked of the step."""


def group_masks() -> np.ndarray:
    """(groups, F) bool, the features of each group."""
    return np.array([[name in names for name in FEATURE_NAMES] for names in FEATURE_GROUPS.values()])
