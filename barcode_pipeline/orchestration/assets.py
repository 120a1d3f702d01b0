"""The assets. Each names its step of the chain and tells Dagster what came of it; the steps lie in `chain`,
`learning` and `reporting`.

Every asset has a single-run backfill policy, the unpartitioned too: on the command line a range of dates together with
all that follows is then one run. From the page it is one run for each stretch of assets that are partitioned, or not.
"""

# Dagster reads the annotation of `context` as it stands, so annotations are not postponed here.
import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from barcode_pipeline.events.enrichment import ENRICHED_SCHEMA
from barcode_pipeline.events.formats import EVENT_SCHEMA, KEY_COLUMNS, LABELS
from barcode_pipeline.events.verdicts import VERDICTS_SCHEMA
from barcode_pipeline.models.tables import SCORES_SCHEMA
from barcode_pipeline.nightly import note_model
from barcode_pipeline.orchestration.alerts_asset import alerts
from barcode_pipeline.orchestration.failures import told_in_one_sentence
from barcode_pipeline.orchestration.metadata import column_schema, copied_columns, dates_made, picture
from barcode_pipeline.orchestration.partitions import DAILY, dates_of_run, makes_stale_dates
from barcode_pipeline.orchestration.resources import ComputeResource, WorkspaceResource
from barcode_pipeline.orchestration.training_start import start_of
from barcode_pipeline.orchestration.versions import file_version
from barcode_pipeline.rules.tables import LABELS_SCHEMA
from barcode_pipeline.sequences.tables import SEQUENCES_SCHEMA
from barcode_pipeline.taking_in import take_in

GPU_POOL = "gpu"
"""One training at a time: two would share the card's memory, or the processor."""

EVERY_NIGHT = dg.FreshnessPolicy.time_window(
    fail_window=datetime.timedelta(hours=50), warn_window=datetime.timedelta(hours=26)
)
"""A night that is missing is late after two hours, and wrong once a second one is missing."""

_DATES: dict[str, Any] = {"partitions_def": DAILY, "backfill_policy": dg.BackfillPolicy.single_run()}
_WHOLE: dict[str, Any] = {"backfill_policy": dg.BackfillPolicy.single_run()}
_DATA: dict[str, Any] = {"group_name": "data", "owners": ["team:data"], "kinds": {"parquet", "pyarrow"}}
_LEARNING: dict[str, Any] = {"group_name": "learning", "owners": ["team:machine-learning"]}


@dg.asset(**_DATES, **_DATA, tags={"step": "intake"}, metadata=column_schema(EVENT_SCHEMA))
def merged_events(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Scan events of all factories, one file per date.

    Takes in raw files that are new or have changed, then assembles the dates: times, EPC codes, steps and places
    in one form, exact duplicates removed, sorted by EPC. Rows that cannot be placed are in `data/quarantine`.
    """
    from barcode_pipeline import chain

    with told_in_one_sentence():
        place = workspace.open()
        for file in take_in(place):
            say = context.log.warning if file.problem else context.log.info
            say(
                f"{file.path}: {file.rows_read:,} rows read, {file.rows_kept:,} kept, "
                f"{file.rows_quarantined:,} quarantined{f' ({file.problem})' if file.problem else ''}"
            )
        rows = chain.make_merged(place, dates_of_run(context, place))
        return dates_made(context, place.merged, rows)


@dg.asset(**_DATES, **_DATA, deps=[merged_events], tags={"step": "enrichment"}, metadata=column_schema(ENRICHED_SCHEMA))
def enriched_events(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Merged events with coordinates, level, direction and what lies between an event and the one before it."""
    from barcode_pipeline import chain

    with told_in_one_sentence():
        place = workspace.open()
        rows = chain.make_enriched(place, dates_of_run(context, place))
        lineage = copied_columns(ENRICHED_SCHEMA, "merged_events", EVENT_SCHEMA.names)
        return dates_made(context, place.enriched, rows, lineage)


@dg.asset(**_DATES, **_DATA, deps=[enriched_events], tags={"step": "rules"}, metadata=column_schema(LABELS_SCHEMA))
def rule_labels(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Five labels and five scores of 0 to 100 per event, by the five rules over each EPC's whole journey."""
    from barcode_pipeline import chain

    with told_in_one_sentence():
        place = workspace.open()
        rows = chain.make_labels(place, dates_of_run(context, place))
        lineage = copied_columns(LABELS_SCHEMA, "enriched_events", KEY_COLUMNS)
        return dates_made(context, place.labels, rows, lineage)


@dg.asset(
    **_DATES,
    **_DATA,
    deps=[enriched_events, rule_labels],
    tags={"step": "features"},
    metadata=column_schema(SEQUENCES_SCHEMA),
)
def epc_sequences(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Features of every event and its position in its EPC's journey: all that is needed to form its window."""
    from barcode_pipeline import chain

    with told_in_one_sentence():
        place = workspace.open()
        rows = chain.make_sequences(place, dates_of_run(context, place))
        lineage = copied_columns(SEQUENCES_SCHEMA, "enriched_events", KEY_COLUMNS)
        return dates_made(context, place.sequences, rows, lineage)


@dg.asset(**_WHOLE, **_LEARNING, deps=[epc_sequences, rule_labels], kinds={"numpy"}, tags={"step": "split"})
def train_eval_split(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Sequences by journey, split by time and by lot, ready to be memory-mapped by training: all there are, or of a
    night those of some lots."""
    with told_in_one_sentence():
        from barcode_pipeline.retraining import make_training_set

        place = workspace.open()
        about = make_training_set(place, start_of(context.run))
        shown = {name: value for name, value in about.items() if name not in ("feature_names", "dates")}
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": int(str(about["events"])),
                "folder": dg.MetadataValue.path(str(place.night_training if "night" in about else place.training)),
                "about": dg.MetadataValue.json(shown),
            },
            data_version=dg.DataVersion(str(about["fingerprint"])),
        )


@dg.asset(
    **_WHOLE,
    **_LEARNING,
    deps=[enriched_events],
    kinds={"parquet"},
    tags={"step": "verdicts"},
    metadata=column_schema(VERDICTS_SCHEMA),
)
def verdicts(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Verdicts of investigators out of `data/feedback`: of each event and label the latest.

    Rows that cannot be read are in `data/quarantine/_feedback`.
    """
    with told_in_one_sentence():
        from barcode_pipeline.feedback import make_verdicts

        place = workspace.open()
        accounts = make_verdicts(place)
        for file in accounts.files:
            say = context.log.warning if file.problem or file.quarantined else context.log.info
            say(
                f"{file.path}: {file.rows:,} rows, {file.verdicts:,} verdicts, {file.unanswered:,} unanswered, "
                f"{file.quarantined:,} quarantined{f' ({file.problem})' if file.problem else ''}"
            )
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": accounts.standing,
                "file": dg.MetadataValue.path(str(place.verdicts)),
                "replaced_by_later_ones": accounts.replaced,
                "on_unknown_events": accounts.unknown,
                "quarantined": sum(file.quarantined for file in accounts.files),
            },
            data_version=file_version(place.verdicts),
        )


@dg.asset(
    **_WHOLE,
    **_LEARNING,
    deps=[train_eval_split, verdicts],
    kinds={"pytorch"},
    tags={"step": "training"},
    pool=GPU_POOL,
    freshness_policy=EVERY_NIGHT,
)
def lstm_model(
    context: dg.AssetExecutionContext, workspace: WorkspaceResource, compute: ComputeResource
) -> dg.MaterializeResult:
    """The LSTM: trained on the split's lessons, calibrated on its validation lots and saved; put in service unless the
    one that is does better on the newest days. A night goes on from that one, other runs train from nothing."""
    with told_in_one_sentence():
        from barcode_pipeline.admission import about_in_service
        from barcode_pipeline.evaluation.plots import training_curves_png
        from barcode_pipeline.models.registry import ModelRegistry
        from barcode_pipeline.retraining import train

        place = workspace.open()
        registry = ModelRegistry(place.models)
        trained = train(place, start_of(context.run), compute.choose(place), context.log.info)
        model, entry = trained.model, trained.entry
        if entry.status != "promoted":
            context.log.warning(f"{entry.model_file} was not let in: {entry.reason}")
        history = model.about["history"]
        best = min(history, key=lambda epoch: epoch["validation_loss"])
        return dg.MaterializeResult(
            metadata={
                "file": dg.MetadataValue.path(str(trained.path)),
                "let_in": entry.status == "promoted",
                "decision": entry.reason,
                "exam": dg.MetadataValue.json(entry.figures),
                **{name.replace(" ", "_"): value for name, value in about_in_service(registry).items() if value},
                "validation_macro_f1": float(best["validation_macro_f1"]),
                "epochs": len(history),
                "thresholds": dict(zip(LABELS, map(float, model.calibration.threshold), strict=True)),
                "device": str(model.about["device"]),
                "events_trained_on": int(model.about["events_trained_on"]),
                "training_curve": dg.MetadataValue.md(picture(training_curves_png(history), "Training")),
            },
            # What follows is made by the model in service, whichever that is.
            data_version=file_version(registry.in_service() or trained.path),
        )


@dg.asset(
    **_WHOLE,
    **_LEARNING,
    deps=[train_eval_split, verdicts],
    kinds={"pytorch", "scikitlearn"},
    tags={"step": "training"},
    pool=GPU_POOL,
)
def baseline_models(
    context: dg.AssetExecutionContext, workspace: WorkspaceResource, compute: ComputeResource
) -> dg.MaterializeResult:
    """The one-layer LSTM and the simple detectors, trained and calibrated on the same events as the LSTM."""
    with told_in_one_sentence():
        from barcode_pipeline.learning import train_baselines

        place = workspace.open()
        facts = train_baselines(place, compute.choose(place), context.log.info)
        note_model(place, "baseline_models")
        return dg.MaterializeResult(
            metadata={
                "folder": dg.MetadataValue.path(str(place.models / "baselines")),
                "seconds_of_training": dg.MetadataValue.json(facts),
            }
        )


@dg.asset(
    **_DATES,
    **_LEARNING,
    deps=[epc_sequences, lstm_model],
    kinds={"parquet", "pytorch"},
    tags={"step": "scoring"},
    metadata=column_schema(SCORES_SCHEMA),
    freshness_policy=EVERY_NIGHT,
)
def event_scores(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Calibrated probabilities, alerts and their reasons per event, by the model in service."""
    with told_in_one_sentence():
        from barcode_pipeline.learning import make_scores

        place = workspace.open()
        rows = make_scores(place, dates_of_run(context, place))
        if makes_stale_dates(context.run):
            from barcode_pipeline.serving.nightly import keep_in_step

            keep_in_step(place, list(rows), context.log.info, context.log.warning)
        return dates_made(context, place.scores, rows, copied_columns(SCORES_SCHEMA, "epc_sequences", KEY_COLUMNS))


@dg.asset(
    **_WHOLE,
    **_LEARNING,
    deps=[lstm_model, baseline_models, event_scores, verdicts],
    kinds={"html", "json"},
    tags={"step": "evaluation"},
)
def evaluation_report(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Every detector judged on events that no training saw: figures with intervals, plots, one HTML page."""
    with told_in_one_sentence():
        from barcode_pipeline.evaluation.tables import markdown_table
        from barcode_pipeline.reporting import make_report

        place = workspace.open()
        now = datetime.datetime.now(ZoneInfo(place.configuration.time.zone))
        report = make_report(place, f"{now:%Y%m%d-%H%M%S}", f"{now:%Y-%m-%d %H:%M:%S}", context.log.info)
        plots = {
            plot.title: dg.MetadataValue.md(f"{picture(plot.png, plot.title)}\n\n{plot.explanation}")
            for plot in report.plots
        }
        return dg.MaterializeResult(
            metadata={
                "report": dg.MetadataValue.path(str(report.folder / "report.html")),
                "metrics": dg.MetadataValue.md(markdown_table(report.rows)),
                **plots,
            }
        )


assets = [
    merged_events,
    enriched_events,
    rule_labels,
    epc_sequences,
    train_eval_split,
    verdicts,
    lstm_model,
    baseline_models,
    event_scores,
    alerts,
    evaluation_report,
]
