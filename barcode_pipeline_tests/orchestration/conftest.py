from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from barcode_pipeline_tests.orchestration.project import DATA_ASSETS, DATES, LEARNING_ASSETS, make_project, run


@dataclass(frozen=True)
class Made:
    """A project whose assets were all materialised in one run over a range of dates."""

    root: Path
    instance: dg.DagsterInstance
    result: dg.ExecuteInProcessResult


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    root = make_project(tmp_path_factory.mktemp("made") / "project")
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(root, DATA_ASSETS + LEARNING_ASSETS, instance, DATES)
        assert result.success
        yield Made(root, instance, result)
