"""Runs whose process was killed: they look as if they went on, and hold their place in a pool for good.

Dagster's daemon watches the runs that it has launched. One that a command line has started and that was killed is
nobody's: the next run would wait for its place in the pool `gpu` without end. So each run notes its process, and
before its own steps begin ends the runs of this machine whose process is gone.

Then it waits until nobody else works on the same data: it holds the lock beside them from its first step to its last.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig

from barcode_pipeline.events.locks import alone

HOST_TAG = "barcode_pipeline/host"
PROCESS_TAG = "barcode_pipeline/process"


class EndsDeadRuns(dg.Executor):
    """An executor that notes its process and ends dead runs, then carries out its steps as `inner` does, while it holds
    a lock if it is given the file of one."""

    def __init__(self, inner: dg.Executor, lock: Path | None) -> None:
        self.inner = inner
        self.lock = lock

    @property
    def retries(self) -> RetryMode:
        return self.inner.retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        return self.inner.step_dependency_config

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        instance = plan_context.instance
        instance.add_run_tags(
            plan_context.run_id, {HOST_TAG: socket.gethostname(), PROCESS_TAG: process_name(os.getpid())}
        )
        end_dead_runs(instance)
        if self.lock is None:
            yield from self.inner.execute(plan_context, execution_plan)
            return
        who = f"run {plan_context.run_id[:8]} of {plan_context.job_name}"
        with alone(self.lock, who, plan_context.log.info):
            yield from self.inner.execute(plan_context, execution_plan)


def ending_dead_runs(definition: dg.ExecutorDefinition, lock: Path | None = None) -> dg.ExecutorDefinition:
    """The same executor, with `EndsDeadRuns` around it."""
    return dg.ExecutorDefinition(
        name=definition.name,
        config_schema=definition.config_schema,  # type: ignore[arg-type]
        requirements=definition._requirements_fn,
        executor_creation_fn=lambda context: EndsDeadRuns(definition.executor_creation_fn(context), lock),  # type: ignore
        description=definition.description,
    )


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the started runs of this machine whose process is gone; returns their ids."""
    started = instance.get_runs(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], tags={HOST_TAG: socket.gethostname()})
    )
    ended = []
    for run in started:
        name = run.tags[PROCESS_TAG]
        if process_name(int(name.partition(" ")[0])) != name:
            instance.report_run_failed(run, "The process of this run was killed.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            ended.append(run.run_id)
    return ended


def process_name(process: int) -> str:
    """Number and time of start of a process: numbers are used again. Without the time where the system has no /proc."""
    try:
        started = (Path("/proc") / str(process) / "stat").read_text(errors="replace").rpartition(")")[2].split()[19]
        return f"{process} {started}"
    except OSError:
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return str(process)
