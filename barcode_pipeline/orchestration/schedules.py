"""The schedules: none yet."""

from __future__ import annotations

import dagster as dg

schedules: list[dg.ScheduleDefinition] = []
