"""How a run trains: Dagster's side of `retraining`. A run says so by a tag; without it, it was started by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from barcode_pipeline.retraining import Start

_TAG = "barcode_pipeline/trains"
GOES_ON = {_TAG: "from the model in service"}
"""The tag of a night."""
CHALLENGES = {_TAG: "from nothing, beside the model in service"}
"""The tag of a run that trains from nothing on all but the days that judge models."""


def start_of(run: dg.DagsterRun) -> Start:
    """How the training of a run starts."""
    if GOES_ON.items() <= run.tags.items():
        return "night"
    return "challenger" if CHALLENGES.items() <= run.tags.items() else "by hand"
