"""The check of live answers: what the service said is judged again from the nightly data, and may not differ.

How answers are compared stands in `serving.parity`.
"""

# Dagster reads the annotation of `context` as it stands, so annotations are not postponed here.
import dagster as dg

from barcode_pipeline.orchestration.failures import told_in_one_sentence
from barcode_pipeline.orchestration.partitions import DAILY
from barcode_pipeline.orchestration.resources import WorkspaceResource

SHOWN = 10


@dg.asset_check(asset="event_scores", name="live_answers", blocking=False, partitions_def=DAILY)
def live_answers(context: dg.AssetCheckExecutionContext, workspace: WorkspaceResource) -> dg.AssetCheckResult:
    """A sample of the answers, judged again in batch: labels exactly, scores to 1e-5. Without answers it passes."""
    from barcode_pipeline.serving.nightly import parity
    from barcode_pipeline.serving.parity import summary

    with told_in_one_sentence():
        compared = parity(workspace.open())
    counts = summary(compared)
    wrong = [one for one in compared if one.outcome in ("mismatch", "missing")]
    told = "; ".join(f"{one.epc} at {one.time}: {one.outcome}, {one.why}" for one in wrong[:SHOWN])
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR if counts["mismatch"] else dg.AssetCheckSeverity.WARN,
        description=told or f"{counts['equal']} live answers are what the nightly chain says",
        metadata={name.replace(" ", "_"): count for name, count in counts.items()},
    )
