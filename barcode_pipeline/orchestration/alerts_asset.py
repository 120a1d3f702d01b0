"""The asset `alerts`: what a night is for. It names its step of the chain (`alerting`) and shows what came of it."""

# Dagster reads the annotation of `context` as it stands, so annotations are not postponed here.
import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from barcode_pipeline.alerts.tables import ALERTS_SCHEMA, SEVERITIES
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.times import date_text
from barcode_pipeline.orchestration.failures import told_in_one_sentence
from barcode_pipeline.orchestration.metadata import column_schema, dates_made
from barcode_pipeline.orchestration.partitions import DAILY, dates_of_run, days_of, makes_stale_dates
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.workspace import Workspace


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="learning",
    owners=["team:data"],
    deps=["event_scores"],
    kinds={"parquet", "html"},
    tags={"step": "alerts"},
    metadata=column_schema(ALERTS_SCHEMA),
)
def alerts(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """What an investigator should look at, ranked: the events of one EPC, and the EPCs of a lot that went wrong
    together, as one alert, with journey, reason, what is normal there, and since when it stands.

    `reports/alerts/` has a page and a CSV file per date.
    """
    from barcode_pipeline.alerting import make_alerts
    from barcode_pipeline.news import tell_alerts, tell_stopped_models

    with told_in_one_sentence():
        place = workspace.open()
        asked = set(days_of(context.partition_keys))
        rows = make_alerts(place, dates_of_run(context, place))
        for day in sorted(asked & rows.keys()):
            if rows[day]:
                context.add_asset_metadata(_shown(place, day), partition_key=date_text(day))
        # A range by hand is history, and no news.
        if makes_stale_dates(context.run) or len(asked) == 1:
            today = datetime.datetime.now(ZoneInfo(place.configuration.time.zone)).date()
            tell_stopped_models(place, today, context.log.warning)
            tell_alerts(place, list(rows), context.log.warning)
        return dates_made(context, place.alerts, rows)


def _shown(place: Workspace, day: int) -> dict[str, Any]:
    """Counts, the first alerts and where the page lies: of the alerts of one date."""
    from barcode_pipeline.alerting import alert_files, as_frame
    from barcode_pipeline.alerts.page import alerts_markdown

    frame = as_frame(place.alerts.read([day]))
    files = alert_files(place, day)
    new = frame[frame["is_new"].astype(bool)]
    return {
        "new_alerts": len(new),
        **{f"new_{name}": int((new["severity"] == name).sum()) for name in SEVERITIES[:3]},
        **{f"alerts_{name}": int((frame["label"] == name).sum()) for name in LABELS},
        "top": dg.MetadataValue.md(alerts_markdown(frame)),
        "page": dg.MetadataValue.path(str(files.page)),
        "csv": dg.MetadataValue.path(str(files.csv)),
    }
