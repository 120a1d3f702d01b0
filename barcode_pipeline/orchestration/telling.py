"""Sensors that tell people of nights: one that has failed, one that is late. What is told, and how, is `news`'s."""

# Dagster reads the annotation of `context` as it stands, so annotations are not postponed here.
import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from barcode_pipeline.events.times import date_text
from barcode_pipeline.news import outbox, tell_failed_night, tell_late_night
from barcode_pipeline.nightly import night_before
from barcode_pipeline.orchestration.failures import sentence_of
from barcode_pipeline.orchestration.jobs import nightly
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.workspace import Workspace

NIGHT_BEGINS = datetime.time(2)
SECONDS_BETWEEN_LOOKS = 120
_PARTITION = "dagster/partition"


@dg.run_failure_sensor(
    monitored_jobs=[nightly],
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of a night that has failed, once, by the receivers in configuration.toml.",
)
def failed_nights(context: dg.RunFailureSensorContext, workspace: WorkspaceResource) -> None:
    date = context.dagster_run.tags.get(_PARTITION, "an unknown date")
    tell_failed_night(workspace.open(), date, _reasons(context), context.log.warning)


def _reasons(context: dg.RunFailureSensorContext) -> list[str]:
    failures = [f"{event.step_key}: {sentence_of(event)}" for event in context.get_step_failure_events()]
    return failures or [context.failure_event.message or "The run has failed."]


@dg.sensor(
    name="messages",
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of a night that is late, and sends again what did not arrive.",
)
def messages(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SkipReason:
    place = workspace.open()
    date = late_night(context.instance, place, datetime.datetime.now(datetime.UTC))
    if date is not None:
        tell_late_night(place, date, "It was due at 02:00 and has not ended yet.", context.log.warning)
    box = outbox(place)
    box.send_waiting()
    waiting = box.waiting()
    if not waiting:
        return dg.SkipReason("Nothing waits to be sent.")
    first = waiting[0]
    return dg.SkipReason(
        f"{len(waiting)} messages wait to be sent, the oldest to {first.receiver}"
        + (f", which has not taken it {first.attempts} times ({first.problem})." if first.attempts else ".")
    )


def late_night(instance: dg.DagsterInstance, workspace: Workspace, now: datetime.datetime) -> str | None:
    """The date of the night that has begun, or waits for its turn, and should have ended by now."""
    local = now.astimezone(ZoneInfo(workspace.configuration.time.zone))
    due = datetime.datetime.combine(local.date(), NIGHT_BEGINS, local.tzinfo)
    if local < due + datetime.timedelta(hours=workspace.configuration.messages.late_hours):
        return None
    date = date_text(night_before(local, workspace.configuration.time.zone))
    runs = instance.get_runs(dg.RunsFilter(job_name=nightly.name, tags={_PARTITION: date}), limit=1)
    return date if runs and not runs[0].is_finished else None
