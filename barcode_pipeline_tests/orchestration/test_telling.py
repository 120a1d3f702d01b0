from __future__ import annotations

import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from barcode_pipeline.definitions import build_definitions
from barcode_pipeline.errors import UserError
from barcode_pipeline.orchestration.failures import told_in_one_sentence
from barcode_pipeline.orchestration.jobs import nightly
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.orchestration.telling import failed_nights, late_night, messages
from barcode_pipeline_tests.orchestration.project import make_project, workspace
from barcode_pipeline_tests.receiving import Receiver, receiving

SEOUL = ZoneInfo("Asia/Seoul")
DATE = {"dagster/partition": "2025-07-30"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", events=500)


def at(hour: int, minute: int = 0) -> datetime.datetime:
    return datetime.datetime(2025, 7, 31, hour, minute, tzinfo=SEOUL)


def configured(root: Path, address: str) -> None:
    path = root / "configuration.toml"
    path.write_text(path.read_text() + f'\n[messages]\nwebhook = "{address}"\n')


def test_a_failed_night_is_told_of(root: Path) -> None:
    with receiving(Receiver()) as receiver, dg.DagsterInstance.ephemeral() as instance:
        configured(root, receiver.address)

        @dg.op
        def merge() -> None:
            with told_in_one_sentence():
                raise UserError("There are no rows.")

        @dg.job(name=nightly.name)
        def night() -> None:
            merge()

        result = night.execute_in_process(instance=instance, raise_on_error=False, tags=DATE)
        assert not result.success
        failed = next(event for event in result.all_events if event.is_failure and not event.is_step_failure)
        for _ in range(2):
            context = dg.build_run_status_sensor_context(
                "failed_nights",
                dagster_event=failed,
                dagster_instance=instance,
                dagster_run=result.dagster_run,
                resources={"workspace": WorkspaceResource(root=str(root))},
            ).for_run_failure()
            failed_nights(context)
    (got,) = receiver.got
    assert got["key"] == "failed_night 2025-07-30"
    assert got["text"].splitlines()[1] == "merge: There are no rows."


def test_a_night_is_late_while_it_has_not_ended(root: Path) -> None:
    place = workspace(root)
    job = build_definitions(WorkspaceResource(root=str(root))).resolve_job_def(nightly.name)
    with dg.DagsterInstance.ephemeral() as instance:
        assert late_night(instance, place, at(5)) is None, "no night was asked for"
        run = instance.create_run_for_job(job, tags=DATE, status=dg.DagsterRunStatus.STARTED)
        assert late_night(instance, place, at(3, 59)) is None
        assert late_night(instance, place, at(4)) == "2025-07-30"
        assert late_night(instance, place, at(4).astimezone(datetime.UTC)) == "2025-07-30"
        instance.report_run_failed(run)
        assert late_night(instance, place, at(5)) is None, "a failure is told as such"


def test_what_did_not_arrive_is_sent_again_by_the_sensor(root: Path) -> None:
    from barcode_pipeline.messages import Message
    from barcode_pipeline.news import outbox

    with dg.DagsterInstance.ephemeral() as instance, receiving(Receiver(status=500)) as receiver:
        configured(root, receiver.address)

        def look() -> str:
            resources = {"workspace": WorkspaceResource(root=str(root))}
            skipped = messages(dg.build_sensor_context(instance, resources=resources))
            assert isinstance(skipped, dg.SkipReason)
            return str(skipped.skip_message)

        assert look() == "Nothing waits to be sent."
        outbox(workspace(root)).tell([Message("k", "late_night", "late", "")], lambda _: None)
        assert "1 messages wait" in look() and "HTTP 500" in look()
        receiver.status = 200
        with outbox(workspace(root))._file() as file:
            file.execute("UPDATE delivery SET next = 0")
        look()
        assert look() == "Nothing waits to be sent."
        assert [body["key"] for body in receiver.got] == ["k", "k"]
