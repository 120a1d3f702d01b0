"""What if: past dates judged again with a changed threshold, rule parameter or model. Nothing is written.

`alerts.what_if` compares; here the dates are read, and judged as they are and as they would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError

from barcode_pipeline.alerts.what_if import ALL_SITES, ANY, Reference, by_truth, by_verdicts, compare
from barcode_pipeline.chain import READ_COLUMNS
from barcode_pipeline.configuration import RulesSection
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.truth import match_truth, read_truth
from barcode_pipeline.events.formats import KEY_COLUMNS, LABELS
from barcode_pipeline.events.history import WithHistory, read_with_history
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.events.places import NO_LOCATION_ID, Places
from barcode_pipeline.events.times import date_text
from barcode_pipeline.feedback import judged_on
from barcode_pipeline.models.lstm import LstmModel, load_lstm
from barcode_pipeline.models.registry import ModelRegistry
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.sequences.features import compute_features
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import order_by_journey
from barcode_pipeline.workspace import Workspace


@dataclass(frozen=True)
class Change:
    """What to try. thresholds: of rules, by label, 0 to 100. rules: other keys of `[rules]`, as text. model: another
    model file. alert_thresholds: of the model, by label, 0 to 1."""

    thresholds: dict[str, float] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    model: Path | None = None
    alert_thresholds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Replay:
    """What a change would do. tables: `what_if.compare` by who alerts, `rules` or `model`; only those that the
    change touches. verdicts: labels judged among these events; with_truth: whether simulated truth stands beside."""

    first: str
    last: str
    events: int
    tables: dict[str, pd.DataFrame]
    verdicts: int
    with_truth: bool


def replay(workspace: Workspace, change: Change, first: int | None = None, last: int | None = None) -> Replay:
    """Judge the dates from day `first` to day `last` (all by default) as things are and as they would be."""
    now = workspace.configuration.rules
    then = changed_rules(now, change)
    if then == now and change.model is None and not change.alert_thresholds:
        raise UserError("Nothing would change: give a --threshold, --rule, --model or --alert-threshold.")
    days = [
        day
        for day in workspace.enriched.days()
        if (first is None or day >= first) and (last is None or day <= last) and workspace.enriched.rows(day)
    ]
    if not days:
        raise UserError("There are no events on these dates: `barcode-pipeline status` shows which dates have some.")
    # Without the index of lots, which is brought up to date where it is read.
    known = read_with_history(workspace.enriched, days, READ_COLUMNS, by="lot")
    events = read_events(known.table, workspace.reference.sites)
    wanted = known.wanted
    judged = judged_on(workspace, days)
    references = _references(workspace, known, judged.judged, judged.holds)
    names = _names(events.places)
    settings = now.settings(), then.settings()
    tables = {}
    if then != now:
        labels = [score_events(events, workspace.reference, each).labels(each)[wanted] for each in settings]
        tables["rules"] = compare(labels[0], labels[1], events.place[wanted], names, references)
    reads_otherwise = _read_by_features(settings[0]) != _read_by_features(settings[1])
    if change.model is not None or change.alert_thresholds or reads_otherwise:
        alerts = _model_alerts(workspace, change, known, events, settings)
        if alerts is not None:
            tables["model"] = compare(alerts[0][wanted], alerts[1][wanted], events.place[wanted], names, references)
    return Replay(
        date_text(days[0]),
        date_text(days[-1]),
        int(wanted.sum()),
        tables,
        int(judged.judged.sum()),
        any(reference.name == "truth" for reference in references),
    )


def changed_rules(now: RulesSection, change: Change) -> RulesSection:
    """The section `[rules]` as it would be; `UserError` where a value is not possible."""
    values = now.model_dump()
    if "thresholds" in change.rules:
        raise UserError("Thresholds are changed with --threshold LABEL=SCORE.")
    values["thresholds"] |= change.thresholds
    for name, text in change.rules.items():
        if name == "registered_companies":
            values[name] = [company.strip() for company in text.split(",")]
        else:
            try:
                values[name] = float(text)
            except ValueError:
                raise UserError(f"--rule {name}={text}: {text!r} is no number.") from None
    try:
        return RulesSection.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        why = "there is no such key" if problem["type"] == "extra_forbidden" else problem["msg"]
        raise UserError(f"rules.{key}: {why.removeprefix('Value error, ')}.") from error


def _model_alerts(
    workspace: Workspace, change: Change, known: WithHistory, events: Events, settings: Sequence[RuleSettings]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Alerts of the model in service, and of what would take its place, (N, 5) bool each; None without a model."""
    registry = ModelRegistry(workspace.models)
    if registry.in_service() is None and change.model is None and not change.alert_thresholds:
        return None
    budget = workspace.configuration.scoring.false_alerts_per_10k
    now, _ = registry.load_in_service(budget)
    then = load_lstm(change.model).at_budget(budget) if change.model is not None else now
    then = with_thresholds(then, change.alert_thresholds)
    order = order_by_journey(known.table.column("epc_code"))

    def alerts(model: LstmModel, features: JourneyFeatures) -> np.ndarray:
        out = np.empty((len(events), len(LABELS)), dtype=bool)
        out[order.source] = model.calibration.alerts(model.probabilities(features))
        return out

    def features(each: RuleSettings) -> JourneyFeatures:
        values = compute_features(events, workspace.reference, each.companies, each.v_max).values
        return JourneyFeatures(values[order.source], order.offsets)

    read_now = features(settings[0])
    same = _read_by_features(settings[0]) == _read_by_features(settings[1])
    return alerts(now, read_now), alerts(then, read_now if same else features(settings[1]))


def with_thresholds(model: LstmModel, thresholds: dict[str, float]) -> LstmModel:
    """The same model with other thresholds of some labels."""
    changed = model.calibration.threshold.copy()
    for label, value in thresholds.items():
        changed[LABELS.index(label)] = value
    return replace(model, calibration=replace(model.calibration, threshold=changed))


def _read_by_features(settings: RuleSettings) -> tuple[object, ...]:
    """What of the rules' settings the features depend on."""
    return settings.companies, settings.v_max


def _references(
    workspace: Workspace, known: WithHistory, judged: np.ndarray, holds: np.ndarray
) -> tuple[Reference, ...]:
    found = [by_verdicts(judged, holds)] if judged.any() else []
    truth = read_truth(workspace.truth)
    if truth is not None:
        matched = match_truth(truth, known.table.filter(known.wanted).select(list(KEY_COLUMNS)))
        found.append(by_truth(matched.truth, matched.aftermath))
    return tuple(found)


def _names(places: Places) -> np.ndarray:
    """What each place is called: by the table, as given, or by its id. (P,)"""
    named = np.array(places.name.to_pylist(), dtype=object)
    ids = np.where(places.location_id == NO_LOCATION_ID, "without a name", places.location_id.astype(str))
    return np.where(pd.isna(named), ids, named)


# ---------------------------------------------------------------------- as the command line gives and shows it


def by_name(pairs: Sequence[str], option: str) -> dict[str, str]:
    """`KEY=VALUE` words as a dict; the last of a key counts."""
    out = {}
    for pair in pairs:
        key, found, value = pair.partition("=")
        if not (key and found and value):
            raise UserError(f"{option} {pair}: write it as KEY=VALUE.")
        out[key.strip()] = value.strip()
    return out


def by_label(pairs: Sequence[str], option: str, highest: float) -> dict[str, float]:
    """`LABEL=NUMBER` words as a dict, above 0 and at most `highest`."""
    out = {}
    for label, text in by_name(pairs, option).items():
        if label not in LABELS:
            raise UserError(f"{option} {label}={text}: a label is one of {', '.join(LABELS)}.")
        try:
            out[label] = float(text)
        except ValueError:
            raise UserError(f"{option} {label}={text}: {text!r} is no number.") from None
        if not 0 < out[label] <= highest:
            raise UserError(f"{option} {label}={text}: it has to be above 0 and at most {highest:g}.")
    return out


def replay_json(found: Replay) -> dict[str, object]:
    """All that was found, as plain values."""
    return {
        "from": found.first,
        "to": found.last,
        "events": found.events,
        "verdicts": found.verdicts,
        "truth": found.with_truth,
        **{who: table.to_dict("records") for who, table in found.tables.items()},
    }


def replay_text(found: Replay, sites: int = 5) -> str:
    """The totals of each label, and of labels that change the sites where most does."""
    lines = [f"{found.events:,} events from {found.first} to {found.last}, {found.verdicts:,} verdicts among them."]
    for who, table in found.tables.items():
        changed = (table["gained"] + table["lost"]) > 0
        totals = table["site"] == ALL_SITES
        places = table[~totals & changed & (table["label"] != ANY)]
        lines += [
            "",
            f"Alerts of the {who}, over all sites:",
            table[totals].drop(columns="site").to_string(index=False),
        ]
        if len(places):
            shown = places[places.groupby("label", sort=False).cumcount() < sites]
            lines += ["", f"Where most changes (at most {sites} sites a label):", shown.to_string(index=False)]
    if not found.tables:
        lines += ["", "There is no model in service, and the rules' labels do not depend on this change."]
    return "\n".join(lines)
