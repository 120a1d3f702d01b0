"""A run whose process was killed neither blocks a pool nor looks as if it went on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import dagster as dg

from barcode_pipeline.orchestration.dead_runs import (
    HOST_TAG,
    PROCESS_TAG,
    end_dead_runs,
    ending_dead_runs,
    process_name,
)


def gone() -> str:
    """The name of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = process_name(process.pid)
    process.communicate(b"\n")
    return name


def started(instance: dg.DagsterInstance, job: dg.JobDefinition, host: str, process: str) -> dg.DagsterRun:
    """A run that is on its way, by such a process."""
    return instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTED, tags={HOST_TAG: host, PROCESS_TAG: process}
    )


@dg.op(pool="gpu")
def trains() -> None: ...


@dg.job(executor_def=ending_dead_runs(dg.in_process_executor))
def training() -> None:
    trains()


def test_a_dead_run_gives_its_place_in_the_pool_back() -> None:
    with dg.instance_for_test() as instance:
        instance.event_log_storage.set_concurrency_slots("gpu", 1)
        dead = started(instance, training, socket.gethostname(), gone())
        claimed = instance.event_log_storage.claim_concurrency_slot("gpu", dead.run_id, "trains")
        assert claimed.is_claimed
        result = dg.execute_job(dg.reconstructable(make_training), instance)
        assert result.success
        ended = instance.get_run_by_id(dead.run_id)
        assert ended is not None and ended.status == dg.DagsterRunStatus.FAILURE


def test_living_runs_and_those_of_other_machines_go_on() -> None:
    with dg.instance_for_test() as instance:
        here = started(instance, training, socket.gethostname(), process_name(os.getpid()))
        there = started(instance, training, "another machine", gone())
        assert end_dead_runs(instance) == []
        for run in (here, there):
            found = instance.get_run_by_id(run.run_id)
            assert found is not None and found.status == dg.DagsterRunStatus.STARTED


def make_training() -> dg.JobDefinition:
    return training
