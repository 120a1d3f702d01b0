"""Code versions, so that the page shows what is stale: an asset's recipe, read when the code location loads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.recipes import recipes as code_versions
from barcode_pipeline.workspace import Workspace


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
