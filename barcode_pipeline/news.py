"""What people are told of, each in a message: a failed or late night, a model that was not let in, new HIGH alerts.

Messages are queued and sent by `messages`, to whom `receivers` says.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from barcode_pipeline.alerts.tables import SEVERITIES
from barcode_pipeline.events.times import date_text
from barcode_pipeline.messages import Message, Outbox, Say
from barcode_pipeline.receivers import receivers
from barcode_pipeline.workspace import Workspace

if TYPE_CHECKING:
    from barcode_pipeline.models.registry import ModelEntry

NEWS_FOR_DAYS = 30
"""A new alert is news where its date lies at most so long before the newest that was made."""
_HIGH = SEVERITIES[0]
_say = logging.getLogger(__name__).warning


def outbox(workspace: Workspace) -> Outbox:
    """The project's outbox with the receivers that it has configured."""
    return Outbox(workspace.messages, receivers(workspace.configuration.messages))


def tell_failed_night(workspace: Workspace, date: str, why: Sequence[str], say: Say = _say) -> list[Message]:
    """why: sentences. One message for a night, however often it fails."""
    text = "\n".join([*why, "The model in service stays. The next night makes up for it."])
    return outbox(workspace).tell(
        [Message(f"failed_night {date}", "failed_night", f"The night of {date} failed", text)], say
    )


def tell_late_night(workspace: Workspace, date: str, why: str, say: Say = _say) -> list[Message]:
    """why: a sentence."""
    return outbox(workspace).tell(
        [Message(f"late_night {date}", "late_night", f"The night of {date} is late", why)], say
    )


def tell_stopped_models(workspace: Workspace, today: datetime.date, say: Say = _say) -> list[Message]:
    """Of models that were trained in the last days and not let into service."""
    from barcode_pipeline.models.registry import ModelRegistry

    since = (today - datetime.timedelta(days=7)).isoformat()
    entries = ModelRegistry(workspace.models).entries()
    kept = [entry for entry in entries if entry.status == "kept" and entry.added_at >= since]
    return outbox(workspace).tell([_stopped(entry) for entry in kept], say) if kept else []


def _stopped(entry: ModelEntry) -> Message:
    return Message(
        f"stopped_model {entry.model_file}",
        "stopped_model",
        f"The new model {entry.model_file} was not let into service",
        f"{entry.reason or 'No reason was noted.'}\nThe model in service stays.",
    )


def tell_alerts(workspace: Workspace, days: Sequence[int], say: Say = _say) -> list[Message]:
    """Of the new HIGH alerts of some dates, the first ones of each date one by one."""
    from barcode_pipeline.alerting import alert_files, as_frame

    recent = [day for day in days if day >= max(days) - NEWS_FOR_DAYS]
    told = [
        message
        for day in sorted(recent)
        for message in alert_messages(
            as_frame(workspace.alerts.read([day])),
            date_text(day),
            alert_files(workspace, day).page,
            workspace.configuration.messages.most_alerts,
        )
    ]
    return outbox(workspace).tell(told, say) if told else []


def alert_messages(alerts: pd.DataFrame, date: str, page: Path, most: int) -> list[Message]:
    """A message per new HIGH alert of a date; where there are more than `most`, one that counts the rest."""
    high = alerts[alerts["is_new"].astype(bool) & (alerts["severity"] == _HIGH)].sort_values("rank")
    messages = [
        Message(
            f"high_alert {row['alert_id']}",
            "high_alert",
            f"HIGH alert of {date}: {row['label']}, {row['step']}, {row['place']}, {_many(row['epc_count'], 'EPC')}",
            f"{row['reason']}\nNormal: {row['normal']}.\n"
            f"{row['epc_code'] or 'Without an EPC'}: {row['journey']}\n{page}#{row['alert_id']}",
        )
        for row in high.head(most).to_dict("records")
    ]
    if len(high) > most:
        rest = f"{_many(len(high) - most, 'more new HIGH alert')} of {date}"
        messages.append(Message(f"high_alert more {date}", "high_alert", rest, str(page)))
    return messages


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
