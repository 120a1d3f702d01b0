"""The sensors: none yet."""

from __future__ import annotations

import dagster as dg

sensors: list[dg.SensorDefinition] = []
