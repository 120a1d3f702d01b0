"""Checks of drift: they warn, and block nothing. What is looked at is `drifting`'s to say.

The figures of the newest date stand one by one in what the page shows: it plots them over time.
"""

# Dagster reads the annotation of `context` as it stands, so annotations are not postponed here.
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from barcode_pipeline.events.times import date_text
from barcode_pipeline.orchestration.failures import told_in_one_sentence
from barcode_pipeline.orchestration.partitions import DAILY, days_of, other_dates_made
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.workspace import Workspace

if TYPE_CHECKING:
    from barcode_pipeline.drifting import Drift


MOST_DATES = 45
"""Of a run over more dates the last ones are judged: enough to know what is usual, and what came before is history."""


def drift_check(
    asset: str, description: str, judge: "Callable[[Workspace, list[int]], list[Drift]]"
) -> dg.AssetChecksDefinition:
    """A check of every date that a run made; a date with too few rows passes."""

    @dg.asset_check(asset=asset, name="drift", description=description, blocking=False, partitions_def=DAILY)
    def check(context: dg.AssetCheckExecutionContext, workspace: WorkspaceResource) -> dg.AssetCheckResult:
        asked = days_of(context.partition_keys)
        with told_in_one_sentence():
            others = other_dates_made(context.instance, context.run, asset, asked)
            found = judge(workspace.open(), sorted({*asked, *others})[-MOST_DATES:])
        return _result(found)

    return check


def _result(found: "Sequence[Drift]") -> dg.AssetCheckResult:
    from barcode_pipeline.drifting import ERROR, FINE, in_words, shown

    wrong = [drift for drift in found if drift.level != FINE]
    worst = max((drift.level for drift in found), default=FINE)
    told = wrong or found[-1:]
    numbers = shown(found[-1]).items() if found else ()
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR if worst == ERROR else dg.AssetCheckSeverity.WARN,
        description=" | ".join(in_words(drift) for drift in told[-3:]),
        metadata={
            "dates": len(found),
            "dates_with_drift": len(wrong),
            **{name: value for name, value in numbers if isinstance(value, float)},
            "found": dg.MetadataValue.json({date_text(drift.day): shown(drift) for drift in told[-30:]}),
        },
    )


def _of_sequences(workspace: Workspace, days: list[int]) -> "list[Drift]":
    from barcode_pipeline.drifting import sequences_drift

    return sequences_drift(workspace, days)


def _of_scores(workspace: Workspace, days: list[int]) -> "list[Drift]":
    from barcode_pipeline.drifting import scores_drift

    return scores_drift(workspace, days)


drift_checks = [
    drift_check(
        "epc_sequences",
        "Features against training; rule labels, unseen sites, products and lots, and journeys without an end against "
        "the nights before (`drift` in configuration.toml). It warns and stops nothing.",
        _of_sequences,
    ),
    drift_check(
        "event_scores",
        "Alerts and the distribution of probabilities against the nights before (`drift` in configuration.toml). It "
        "warns and stops nothing.",
        _of_scores,
    ),
]
