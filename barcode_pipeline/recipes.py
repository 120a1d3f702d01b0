"""Recipes: what decides an asset's content beside its upstream data. What was made by another recipe is out of date.

An asset's recipe is its own number, raised with a change of code that changes content, and a hash of the
configuration and reference tables that its content depends on. The Dagster page knows it as the code version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from barcode_pipeline.configuration import Configuration, Thresholds
from barcode_pipeline.workspace import Workspace

_CODE = {
    "merged_events": 1,
    "enriched_events": 1,
    "rule_labels": 1,
    "epc_sequences": 2,
    "train_eval_split": 2,
    "verdicts": 1,
    "lstm_model": 2,
    "baseline_models": 2,
    "event_scores": 1,
    "alerts": 1,
    "evaluation_report": 1,
}


def recipes(workspace: Workspace, tables: str | None = None) -> dict[str, str]:
    """The recipe of every asset by name. tables: the fingerprint of other reference tables than those in place."""
    deciding = _deciding(workspace.configuration, tables or workspace.reference_fingerprint())
    return {name: f"{number}-{_short_hash(deciding[name])}" for name, number in _CODE.items()}


def _deciding(configuration: Configuration, reference: str) -> dict[str, tuple[str, ...]]:
    read = (configuration.time.fingerprint(), reference)
    # The features and the reasons of alerts use the rules' constants, not the thresholds of their labels.
    constants = configuration.rules.model_copy(update={"thresholds": Thresholds()})
    featured = (*read, constants.fingerprint())
    labelled = (*read, configuration.rules.fingerprint())
    split = (*labelled, configuration.split.fingerprint())
    trained = (
        *split,
        configuration.sequences.fingerprint(),
        configuration.model.fingerprint(),
        configuration.training.fingerprint(),
        configuration.planting.fingerprint(),
    )
    return {
        "merged_events": read,
        "enriched_events": read,
        "rule_labels": labelled,
        "epc_sequences": featured,
        "train_eval_split": split,
        "verdicts": read,
        "lstm_model": trained,
        "baseline_models": trained,
        # Scores keep the model that made them: how the next one is trained makes none of them stale.
        "event_scores": featured,
        "alerts": (*labelled, configuration.alerts.fingerprint()),
        "evaluation_report": (*trained, configuration.evaluation.fingerprint()),
    }


def _short_hash(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
