"""The asset checks: what was written is weighed against what it was made from, on disk. These block; those of
drift (`drift_checks`) warn.

A run over a range of dates evaluates a check once: it then looks at every date of the run, and a date with rows
gets a result of its own.
"""

# Dagster reads the annotation of `context` as it stands, so annotations are not postponed here.
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import dagster as dg
import pyarrow.compute as pc

from barcode_pipeline.configuration import GateSection
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.times import date_text
from barcode_pipeline.orchestration.drift_checks import drift_checks
from barcode_pipeline.orchestration.failures import told_in_one_sentence
from barcode_pipeline.orchestration.live_checks import live_answers
from barcode_pipeline.orchestration.partitions import DAILY, days_of, other_dates_made
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.taking_in import ledger
from barcode_pipeline.workspace import Workspace


@dataclass(frozen=True)
class Finding:
    """What a check found of one date. rows: weighed; facts: figures to show. reason: why it does not pass and what to
    do, in words, where materialising the date again is of no use."""

    day: int
    passed: bool
    rows: int
    facts: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


Judge = Callable[[Workspace, list[int]], list[Finding]]


def date_check(asset: str, name: str, description: str, judge: Judge) -> dg.AssetChecksDefinition:
    """A blocking check of every date that a run made."""

    @dg.asset_check(asset=asset, name=name, description=description, blocking=True, partitions_def=DAILY)
    def check(context: dg.AssetCheckExecutionContext, workspace: WorkspaceResource) -> dg.AssetCheckResult:
        asked = days_of(context.partition_keys)
        with told_in_one_sentence():
            place = workspace.open()
            others = other_dates_made(context.instance, context.run, asset, asked)
            findings = judge(place, sorted({*asked, *others}))
            # A date that fails is out of date until it passes: the next night makes and judges it again.
            place.made.strike({asset: [finding.day for finding in findings if not finding.passed]})
        if not context.has_partition_key or others:
            for finding in findings:
                if (finding.rows or not finding.passed) and (finding.day in others or not context.has_partition_key):
                    # The signature does not name what the method takes.
                    context.op_execution_context.log_event(_evaluation(asset, name, finding))  # type: ignore[arg-type]
        return _summary(findings)

    return check


def _evaluation(asset: str, name: str, finding: Finding) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(asset),
        check_name=name,
        passed=finding.passed,
        description=finding.reason or None,
        metadata=finding.facts,
        partition=date_text(finding.day),
        blocking=True,
    )


def _summary(findings: list[Finding]) -> dg.AssetCheckResult:
    wrong = [finding for finding in findings if not finding.passed]
    if wrong:
        dates = ", ".join(date_text(finding.day) for finding in wrong[:5]) + (" …" if len(wrong) > 5 else "")
        reason = next((finding.reason for finding in wrong if finding.reason), "")
        description = f"fails on {dates}: {reason or 'materialise these dates again from merged_events on'}"
    else:
        description = f"{sum(finding.rows for finding in findings):,} rows on {len(findings)} dates"
    shown = wrong[:50] or findings[:1] if len(findings) > 1 else findings
    facts = {date_text(finding.day): {"rows": finding.rows, **finding.facts} for finding in shown}
    return dg.AssetCheckResult(
        passed=not wrong,
        description=description,
        metadata={"dates": len(findings), "failed_dates": len(wrong), "found": dg.MetadataValue.json(facts)},
    )


def rows_conserved(workspace: Workspace, days: list[int]) -> list[Finding]:
    """Rows that the intake holds of a date = rows of its file + exact duplicates that were removed."""
    found = []
    for day, (held, duplicates) in workspace.intake.accounts(days).items():
        merged = workspace.merged.rows(day)
        passed = merged is not None and duplicates is not None and held == merged + duplicates
        facts = {"rows_of_intake": held, "rows_merged": _number(merged), "exact_duplicates": _number(duplicates)}
        found.append(Finding(day, passed, held, facts))
    return found


def same_rows(before: str, after: str) -> Judge:
    """A date's file has as many rows as that of the asset before it. before, after: stores of the workspace."""

    def judge(workspace: Workspace, days: list[int]) -> list[Finding]:
        earlier, later = getattr(workspace, before), getattr(workspace, after)
        counts = [(day, earlier.rows(day), later.rows(day)) for day in days]
        return [
            Finding(
                day, first is not None and first == second, first or 0, {before: _number(first), after: _number(second)}
            )
            for day, first, second in counts
        ]

    return judge


def unique_keys(workspace: Workspace, days: list[int]) -> list[Finding]:
    """No two events of a date have the same key. An id that is no integer stands beside the key."""
    from barcode_pipeline.orchestration.keys import repeated_keys

    repeated = repeated_keys(workspace, days)
    rows = {day: workspace.labels.rows(day) or 0 for day in days}
    return [Finding(day, not repeated[day], rows[day], {"repeated_keys": repeated[day]}) for day in days]


def label_rates(workspace: Workspace, days: list[int]) -> list[Finding]:
    """The share of a date's rows that bear each label lies in the band that the configuration gives."""
    gate = workspace.configuration.gate
    # Of rows that a stuck column has made equal few are left: what came in says how large a date is.
    return [_rates_of(workspace, day, held, gate) for day, (held, _) in workspace.intake.accounts(days).items()]


def _rates_of(workspace: Workspace, day: int, held: int, gate: GateSection) -> Finding:
    rows = workspace.labels.rows(day) or 0
    if not rows or max(rows, held) < gate.lowest_rows:
        return Finding(day, True, rows, {"rates": f"not judged: fewer than {gate.lowest_rows} rows"})
    labels = workspace.labels.read([day], LABELS)
    rates = {name: int(pc.sum(labels.column(name)).as_py()) / rows for name in LABELS}
    bands = {name: getattr(gate.label_rates, name) for name in LABELS}
    outside = [name for name in LABELS if not bands[name][0] <= rates[name] <= bands[name][1]]
    if not outside:
        return Finding(day, True, rows, dict(rates))
    told = "; ".join(
        f"{name} is on {rates[name]:.1%} of the rows, and gate.label_rates allows {bands[name][0]:g} to "
        f"{bands[name][1]:g}"
        for name in outside
    )
    reason = (
        f"{told}: look at the raw files of this date, replace what is wrong and run the night again, or widen the band "
        "(configuration.toml)"
    )
    return Finding(day, False, rows, {**rates, "outside": ", ".join(outside)}, reason)


def features_vary(workspace: Workspace, days: list[int]) -> list[Finding]:
    """No feature has one value on all events of a date that varies in what the model in service has learnt from."""
    from barcode_pipeline.constant_features import find_constant_features
    from barcode_pipeline.sequences.features import FEATURE_NAMES

    found = []
    for varies in find_constant_features(workspace, days):
        constant = {FEATURE_NAMES[one.feature]: f"{one.value:g}" for one in varies.constant}
        facts = {"constant": constant} if constant else {}
        found.append(Finding(varies.day, not constant, varies.rows, facts, varies.in_words()))
    return found


def _number(value: int | None) -> str | int:
    return "missing" if value is None else value


@dg.asset_check(
    asset="merged_events",
    name="files_accounted",
    description="Of every raw file: rows read = rows kept + rows quarantined, and every row kept is held on some date.",
    blocking=True,
)
def files_accounted(workspace: WorkspaceResource) -> dg.AssetCheckResult:
    with told_in_one_sentence():
        place = workspace.open()
        files = ledger(place)
        held = sum(rows for rows, _ in place.intake.accounts(place.intake.days()).values())
    apart = files[files["rows_read"] != files["rows_kept"] + files["rows_quarantined"]]
    return dg.AssetCheckResult(
        passed=apart.empty and held == int(files["rows_kept"].sum()),
        description=f"{len(files)} files, {int(files['rows_read'].sum()):,} rows read, {held:,} held by date",
        metadata={
            "files": _files_table(files.head(100).to_dict("records")),
            "files_with_problems": int(files["problem"].notna().sum()),
            "rows_quarantined": int(files["rows_quarantined"].sum()),
            "rows_held": int(files["rows_held"].sum()),
        },
    )


def _files_table(records: list[dict[Any, Any]]) -> dg.MetadataValue:
    plain = (str, int, float)
    rows = [{str(k): v if isinstance(v, plain) else str(v or "") for k, v in record.items()} for record in records]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows]) if rows else dg.MetadataValue.text("none")


@dg.asset_check(
    asset="verdicts",
    name="rows_accounted",
    description="Of every feedback file: rows = verdicts + unanswered + quarantined; and all verdicts = those that "
    "stand on disk + those that a later one replaced.",
    blocking=True,
)
def verdict_rows_accounted(workspace: WorkspaceResource) -> dg.AssetCheckResult:
    with told_in_one_sentence():
        from barcode_pipeline.events.verdicts import read_verdicts
        from barcode_pipeline.feedback import read_accounts

        place = workspace.open()
        accounts = read_accounts(place)
        kept = len(read_verdicts(place.verdicts))
    files = accounts.files
    apart = [file.path for file in files if file.rows != file.verdicts + file.unanswered + file.quarantined]
    return dg.AssetCheckResult(
        passed=not apart and sum(file.verdicts for file in files) == kept + accounts.replaced,
        description=f"{len(files)} files, {sum(file.rows for file in files):,} rows, {kept:,} verdicts stand",
        metadata={
            "files": _files_table([asdict(file) for file in files[:100]]),
            "files_with_problems": sum(file.problem is not None for file in files),
            "rows_on_disk": kept,
            "replaced_by_later_ones": accounts.replaced,
            "on_unknown_events": accounts.unknown,
        },
    )


_SAME = "As many rows as the asset before it, date by date, counted on disk."

checks = [
    date_check(
        "merged_events",
        "rows_conserved",
        "Nothing is lost: rows of the intake = rows merged + exact duplicates, date by date, counted on disk.",
        rows_conserved,
    ),
    files_accounted,
    date_check("enriched_events", "same_rows", _SAME, same_rows("merged", "enriched")),
    date_check("rule_labels", "same_rows", _SAME, same_rows("enriched", "labels")),
    date_check("rule_labels", "unique_keys", "No two events of a date have the same key.", unique_keys),
    date_check(
        "rule_labels",
        "label_rates",
        "The share of rows that bear each label lies in its band (`gate` in configuration.toml): bad data stops here.",
        label_rates,
    ),
    date_check("epc_sequences", "same_rows", _SAME, same_rows("labels", "sequences")),
    date_check(
        "epc_sequences",
        "features_vary",
        "No feature is the same on all events of a date that varies in what the model in service has learnt from "
        "(`gate` in configuration.toml): a column that is stuck or missing stops here.",
        features_vary,
    ),
    date_check("event_scores", "same_rows", _SAME, same_rows("sequences", "scores")),
    verdict_rows_accounted,
    *drift_checks,
    live_answers,
]
