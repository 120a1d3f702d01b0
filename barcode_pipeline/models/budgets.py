"""Budgets of false alerts, in plain values; how thresholds are found for them stands in `calibration`."""

from __future__ import annotations

BUDGETS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0)
"""False alerts per 10,000 events, all labels together, for which a model brings thresholds with it."""
BUDGET = 4.0
"""The one of them that thresholds are set by unless configured. Against truth it comes to about half: among the
ordinary events of validation are real anomalies that nobody found, and each counts as a false alert there."""
