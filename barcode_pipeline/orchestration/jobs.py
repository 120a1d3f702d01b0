"""The jobs: what is started together by hand, by the sensor or by the schedule."""

from __future__ import annotations

import dagster as dg

from barcode_pipeline.orchestration.partitions import STALE_TOO
from barcode_pipeline.orchestration.training_start import CHALLENGES, GOES_ON
from barcode_pipeline.stale_dates import DATED

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
    selection=dg.AssetSelection.assets(
        "train_eval_split", "verdicts", "lstm_model", "baseline_models", "evaluation_report"
    ),
    description="A new model from all dates, its peers, and the report. It scores no date.",
)
arrivals = dg.define_asset_job(
    "arrivals",
    selection=dg.AssetSelection.assets(*DATED),
    tags=STALE_TOO,
    description="What new rows have made out of date, from raw rows to scores by the model in service.",
)
nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all(),
    tags={**STALE_TOO, **GOES_ON},
    description="The night of a date: what is out of date up to it, a new model, its scores, the report. The schedule "
    "leaves out the baselines once there are some.",
)

full_retrain = dg.define_asset_job(
    "full_retrain",
    selection=dg.AssetSelection.assets("train_eval_split", "verdicts", "lstm_model"),
    tags=CHALLENGES,
    description="A model from nothing, on all but the newest days, which judge it against the one in service.",
)

jobs = [chain, data, learn, arrivals, nightly, full_retrain]
