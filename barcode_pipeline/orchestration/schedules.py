"""The schedules: the night, once a week the tidying up, and once a month a training from nothing.

A night that was missed because the machine was off is made up without more: Dagster evaluates the latest tick that it
missed as soon as it runs again, and a night makes all that is out of date. Before its first tick on an instance nothing
counts as missed.
"""

# Dagster reads the annotation of `context` as it stands, so annotations are not postponed here.
import dagster as dg

from barcode_pipeline.events.times import date_text
from barcode_pipeline.nightly import night_before, why_a_night
from barcode_pipeline.orchestration.jobs import full_retrain, nightly
from barcode_pipeline.orchestration.maintenance import maintenance
from barcode_pipeline.orchestration.night_run import night_selection
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.workspace import Workspace

_ZONE = Workspace.open().configuration.time.zone


@dg.schedule(
    job=nightly,
    cron_schedule="0 2 * * *",
    execution_timezone=_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 02:00: yesterday, and all else that is out of date, through the whole chain in one run.",
)
def nightly_retrain(
    context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource
) -> dg.RunRequest | dg.SkipReason:
    place = workspace.open()
    night = night_before(context.scheduled_execution_time, place.configuration.time.zone)
    reason = why_a_night(place, night)
    if not reason.needed:
        return dg.SkipReason(f"No night of {date_text(night)}: {reason.words}.")
    context.log.info(f"Night of {date_text(night)}: {reason.words}.")
    return dg.RunRequest(
        run_key=date_text(night), partition_key=date_text(night), asset_selection=night_selection(place)
    )


weekly_maintenance = dg.ScheduleDefinition(
    name="weekly_maintenance",
    job=maintenance,
    cron_schedule="30 4 * * 0",
    execution_timezone=_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Removes what has been kept as long as the configuration says.",
)

monthly_challenger = dg.ScheduleDefinition(
    name="monthly_challenger",
    job=full_retrain,
    cron_schedule="0 5 1 * *",
    execution_timezone=_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Trains from nothing, beside the nights that go on from one another: what those lose over time shows.",
)

schedules = [nightly_retrain, weekly_maintenance, monthly_challenger]
