"""The sensors: new files are taken in during the day, and the dates that they put out of date are asked for."""

# Dagster reads the annotation of `context` as it stands, so annotations are not postponed here.
import hashlib
import json

import dagster as dg

from barcode_pipeline.events.intake import TakenFile
from barcode_pipeline.events.locks import BusyError, alone
from barcode_pipeline.events.times import date_text
from barcode_pipeline.nightly import look_again, spans, stale_once_merged
from barcode_pipeline.orchestration.jobs import arrivals
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.orchestration.telling import failed_nights, messages
from barcode_pipeline.stale_dates import DATED, OF_DATA, arrived_dates
from barcode_pipeline.taking_in import take_in
from barcode_pipeline.workspace import Workspace

SECONDS_BETWEEN_LOOKS = 30
DATES_TAG = "barcode_pipeline/dates"
"""The tag that names all dates that a run was asked to make."""


@dg.sensor(
    job=arrivals,
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes in raw files that are new or have changed, once they lay still between two looks, and asks "
    "for the dates that are out of date because of them.",
)
def raw_files(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
    place = workspace.open()
    before = json.loads(context.cursor) if context.cursor else {}
    waiting = place.intake.waiting()
    settled, look = look_again(waiting, before.get("waiting", {}))
    asked = before.get("asked", "")
    said, request = "", None
    try:
        if settled:
            with alone(place.lock, "the sensor raw_files", wait=False):
                said = _in_words(take_in(place, {file.path for file in settled}))
        request = _request(place, asked)
    except BusyError as holder:
        said = f"{len(settled)} files wait: {holder} is at work."
    cursor = {"waiting": look, "asked": request.run_key if request else asked}
    if len(look) > len(settled):
        said += f" {len(look) - len(settled)} files may still be being written."
    return dg.SensorResult(
        run_requests=[request] if request else None,
        skip_reason=None if request else dg.SkipReason(said.strip()),
        cursor=json.dumps(cursor),
    )


def _in_words(taken: list[TakenFile]) -> str:
    problems = sum(file.problem is not None for file in taken)
    said = f"{len(taken)} files taken in, {sum(file.rows_kept for file in taken):,} rows."
    return said + (f" {problems} of them could not be read." if problems else "")


def _request(place: Workspace, asked: str) -> dg.RunRequest | None:
    """The run that the rows in the intake ask for; None where they have been merged, or were asked for before."""
    arrived = arrived_dates(place)
    key = hashlib.blake2b(json.dumps(arrived).encode(), digest_size=8).hexdigest() if arrived else ""
    if key in ("", asked):
        return None
    stale = sorted({day for days in stale_once_merged(place).values() for day in days})
    assets = DATED if place.model_pointer.exists() else OF_DATA
    return dg.RunRequest(
        run_key=key,
        partition_key=date_text(stale[-1]),
        tags={DATES_TAG: spans(stale)},
        asset_selection=[dg.AssetKey(asset) for asset in assets],
    )


sensors = [raw_files, failed_nights, messages]
