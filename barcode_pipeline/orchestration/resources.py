"""What assets are given: the project's folders, and the device that trains.

Assets read and write files through the workspace and pass nothing on in memory: Dagster's default IO manager
fails on runs over a range of partitions.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import dagster as dg

from barcode_pipeline.configuration import TrainingSection
from barcode_pipeline.errors import UserError
from barcode_pipeline.workspace import Workspace

if TYPE_CHECKING:
    from barcode_pipeline.models.compute import Compute


class WorkspaceResource(dg.ConfigurableResource):
    """The project's folder with its configuration.

    root: empty for the folder that BARCODE_PIPELINE_ROOT names, else the current one.
    """

    root: str = ""

    def open(self) -> Workspace:
        """The workspace with its configuration as it stands now."""
        return Workspace.open(Path(self.root) if self.root else None)


class ComputeResource(dg.ConfigurableResource):
    """The device that trains and how precisely; empty for what the configuration says."""

    device: str = ""
    precision: str = ""

    def choose(self, workspace: Workspace) -> Compute:
        """The device for a training; `UserError` where it does not exist."""
        from barcode_pipeline.models.compute import Compute

        training = workspace.configuration.training
        device = _one_of("device", self.device or training.device)
        return Compute.choose(device, _one_of("precision", self.precision or training.precision))


def _one_of(name: str, value: str) -> str:
    known = get_args(TrainingSection.model_fields[name].annotation)
    if value not in known:
        raise UserError(f"The resource compute has {name} {value!r}: use one of {', '.join(known)}.")
    return value
