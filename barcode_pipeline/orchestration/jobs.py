"""The jobs: what is started together by hand or, later, by a schedule."""

from __future__ import annotations

import dagster as dg

chain = dg.define_asset_job(
    "chain", selection=dg.AssetSelection.all(), description="A date from raw rows to scores, a new model, a report."
)
data = dg.define_asset_job(
    "data",
    selection=dg.AssetSelection.assets("merged_events", "enriched_events", "rule_labels", "epc_sequences"),
    description="A date from raw rows to labels and sequences.",
)
learn = dg.define_asset_job(
    "learn",
    selection=dg.AssetSelection.assets("train_eval_split", "lstm_model", "baseline_models", "evaluation_report"),
    description="A new model from all dates, its peers, and the report. It scores no date.",
)

jobs = [chain, data, learn]
