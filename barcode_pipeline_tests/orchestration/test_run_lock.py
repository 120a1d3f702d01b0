"""Two runs never work on the same data at once: a run holds the lock beside them from its first step to its last."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import dagster as dg
import pytest

from barcode_pipeline.definitions import build_definitions
from barcode_pipeline.events.locks import BusyError, alone
from barcode_pipeline.orchestration import executors
from barcode_pipeline.orchestration.dead_runs import ending_dead_runs
from barcode_pipeline.orchestration.resources import WorkspaceResource

LOCK = "BARCODE_PIPELINE_TEST_LOCK"


@dg.op
def sees_the_lock_held() -> None:
    with (
        pytest.raises(BusyError, match=r"^run [0-9a-f]{8} of works \("),
        alone(Path(os.environ[LOCK]), "x", wait=False),
    ):
        pass


def make_works() -> dg.JobDefinition:
    @dg.job(executor_def=ending_dead_runs(dg.in_process_executor, Path(os.environ[LOCK])))
    def works() -> None:
        sees_the_lock_held()

    return works


def test_a_run_waits_says_for_whom_and_then_holds_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "data" / ".lock"
    monkeypatch.setenv(LOCK, str(lock))
    with dg.instance_for_test() as instance:

        def said() -> list[str]:
            logs = (instance.all_logs(run.run_id) for run in instance.get_runs())
            return [entry.user_message for some in logs for entry in some if "waiting for" in entry.user_message]

        def hold() -> None:
            with alone(lock, "barcode-pipeline intake"):
                held.set()
                while not said() and ended.wait(0.05) is False:
                    pass

        held, ended = threading.Event(), threading.Event()
        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(20)
        timer = threading.Timer(60, ended.set)
        timer.start()
        result = dg.execute_job(dg.reconstructable(make_works), instance)
        timer.cancel()
        ended.set()
        holder.join()
        assert result.success
        (sentence,) = said()
        assert sentence.startswith("waiting for barcode-pipeline intake (process ")
    with alone(lock, "the next", wait=False):
        pass


def test_the_projects_runs_have_the_lock_of_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks = []
    real = executors.ending_dead_runs

    def seen(definition: dg.ExecutorDefinition, lock: Path | None = None) -> dg.ExecutorDefinition:
        locks.append(lock)
        return real(definition, lock)

    monkeypatch.setattr(executors, "ending_dead_runs", seen)
    for name in ("in_process", "multiprocess"):
        monkeypatch.setenv(executors.EXECUTOR_VARIABLE, name)
        build_definitions(WorkspaceResource(root=str(tmp_path)))
    assert locks == [tmp_path / "data" / ".lock"] * 2
