"""Judging detectors: metrics with intervals, curves, plots, report and log. No Dagster, no training, no scoring."""
