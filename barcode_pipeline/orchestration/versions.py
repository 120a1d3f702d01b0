"""Code versions: what decides an asset's content beside its upstream data, so that the page shows what is stale.

An asset's version is its own number, raised with a change of code that changes content, and a hash of the
configuration and reference tables that its content depends on. Read when the code location loads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from barcode_pipeline.configuration import Configuration, Thresholds
from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.workspace import Workspace

_CODE = {
    "merged_events": 1,
    "enriched_events": 1,
    "rule_labels": 1,
    "epc_sequences": 1,
    "train_eval_split": 1,
    "lstm_model": 1,
    "baseline_models": 1,
    "event_scores": 1,
    "evaluation_report": 1,
}


def code_versions(workspace: Workspace) -> dict[str, str]:
    """The code version of every asset by name."""
    deciding = _deciding(workspace.configuration, workspace.reference_fingerprint())
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
    )
    return {
        "merged_events": read,
        "enriched_events": read,
        "rule_labels": labelled,
        "epc_sequences": featured,
        "train_eval_split": split,
        "lstm_model": trained,
        "baseline_models": trained,
        # Scores keep the model that made them: how the next one is trained makes none of them stale.
        "event_scores": featured,
        "evaluation_report": (*trained, configuration.evaluation.fingerprint()),
    }


def with_code_versions(assets: Sequence[dg.AssetsDefinition], workspace: Workspace) -> list[dg.AssetsDefinition]:
    """The same assets, each with its code version."""
    versions = code_versions(workspace)
    return list(
        dg.map_asset_specs(
            lambda spec: spec.replace_attributes(code_version=versions[spec.key.to_user_string()]), assets
        )
    )


def content_version(store: DateStore, days: Sequence[int]) -> dg.DataVersion:
    """A data version of what lies on disk: equal where a run over these dates left the same bytes.

    A run over a range has one version for all of its dates: Dagster attaches it to the run's output.
    """
    digest = hashlib.blake2b(digest_size=8)
    for day in days:
        digest.update(store.path(day).read_bytes())
    return dg.DataVersion(digest.hexdigest())


def file_version(path: Path) -> dg.DataVersion:
    """A data version of one file."""
    return dg.DataVersion(hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest())


def _short_hash(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
