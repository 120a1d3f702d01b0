"""What Dagster loads."""

from __future__ import annotations

import dagster as dg

from barcode_pipeline.orchestration.assets import assets
from barcode_pipeline.orchestration.checks import checks
from barcode_pipeline.orchestration.executors import executor
from barcode_pipeline.orchestration.history_files import write_history_without_waiting
from barcode_pipeline.orchestration.jobs import jobs
from barcode_pipeline.orchestration.resources import ComputeResource, WorkspaceResource
from barcode_pipeline.orchestration.schedules import schedules
from barcode_pipeline.orchestration.sensors import sensors
from barcode_pipeline.orchestration.versions import with_code_versions


def build_definitions(
    workspace: WorkspaceResource | None = None, compute: ComputeResource | None = None
) -> dg.Definitions:
    """Everything that Dagster sees; a test puts resources of its own in place of these."""
    workspace = workspace or WorkspaceResource()
    return dg.Definitions(
        assets=dg.with_source_code_references(with_code_versions(assets, workspace.open())),
        asset_checks=checks,
        jobs=jobs,
        schedules=schedules,
        sensors=sensors,
        resources={"workspace": workspace, "compute": compute or ComputeResource()},
        executor=executor(workspace.open().lock),
    )


write_history_without_waiting()
defs = build_definitions()
