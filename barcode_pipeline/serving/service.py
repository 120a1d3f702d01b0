"""The service behind the API: requests go in, answers come out; one thread judges. Nothing of HTTP is known here."""

from __future__ import annotations

import logging
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import torch

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.serving.answers import Endpoint, answer
from barcode_pipeline.serving.clock import zone_clock
from barcode_pipeline.serving.history import History, HistoryDown
from barcode_pipeline.serving.judge import Settings
from barcode_pipeline.serving.judging import Judging
from barcode_pipeline.serving.metrics import Metrics, service_metrics
from barcode_pipeline.serving.models_in_service import ModelsInService
from barcode_pipeline.serving.requests import Scans, read_rows
from barcode_pipeline.serving.rows import labels_of_bits
from barcode_pipeline.serving.sample import Sample

_LOG = logging.getLogger("barcode_pipeline.serving")

MOST_TOGETHER = 2000
"""Events of requests that wait and are judged together, about."""
_LOOK_SECONDS = 1.0


class Busy(Exception):
    """More waits than can soon be judged: the client should come again."""


@dataclass
class _Job:
    scans: Scans
    endpoint: Endpoint
    answered: Future[bytes] = field(default_factory=Future)


@dataclass(frozen=True)
class Options:
    """zone: of the pipeline. most_waiting: events that may wait. last_events: scans kept of an EPC. most_lots: lots
    whose moves are kept in memory. retention_days: what nothing touched for so long is forgotten."""

    zone: str = "Asia/Seoul"
    most_waiting: int = 50_000
    last_events: int = 1000
    most_lots: int = 500
    retention_days: int = 400


class Service:
    """Judges by the models in service over a history.

    Parameters
    ----------
    history: where journeys lie; the service closes it.
    settings: what verdicts depend on.
    models: followed while the service runs.
    sample: of answers, for the nightly chain to judge again.
    """

    def __init__(
        self,
        history: History,
        settings: Settings,
        models: ModelsInService,
        options: Options = Options(),
        sample: Sample | None = None,
    ) -> None:
        self.history, self.settings, self.models, self.options = history, settings, models, options
        self.metrics: Metrics = service_metrics()
        self.clock = zone_clock(options.zone)
        self.judging = Judging(
            history, settings, models.models, self.clock, options.last_events, options.most_lots, sample
        )
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.ready = False
        self._threads = [
            threading.Thread(target=self._judge_all, name="judging", daemon=True),
            threading.Thread(target=self._look_after, name="looking after", daemon=True),
        ]

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Load the models, compile, read what the first requests need; then `ready` holds."""
        torch.set_num_threads(1)
        pa.set_cpu_count(1)
        self.models.refresh()
        self._tell_models()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what was accepted, then close the history."""
        self._stop.set()
        self._jobs.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self.history.close()

    # ------------------------------------------------------------------ work

    def submit(self, scans: Scans, endpoint: Endpoint) -> Future[bytes]:
        """The answer to come, as JSON. `Busy` where too much waits already."""
        job = _Job(scans, endpoint)
        with self._lock:
            if self._waiting and self._waiting + len(scans) > self.options.most_waiting:
                raise Busy
            self._waiting += len(scans)
        self._jobs.put(job)
        return job.answered

    def waiting(self) -> int:
        return self._waiting

    def _judge_all(self) -> None:
        # Of this very thread: OpenMP keeps it apart for each, and a second thread would be waited for on a busy core.
        torch.set_num_threads(1)
        self._warm()
        while (job := self._jobs.get()) is not None:
            jobs, events, last = [job], len(job.scans), False
            while events < MOST_TOGETHER and not last:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    last = True
                else:
                    jobs.append(more)
                    events += len(more.scans)
            self._judge(jobs)
            if last:
                return

    def _warm(self) -> None:
        """Compile every kernel on a scan that is forgotten, and fill the caches from the history."""
        try:
            warm_up(self.settings, self.models, self.options.zone)
            self.judging.warm()
            self.ready = True
        except HistoryDown as error:
            _LOG.warning("the history does not answer", extra={"facts": {"why": str(error)}})
            self.ready = True
        except Exception:
            _LOG.exception("the service cannot start")

    def _judge(self, jobs: list[_Job]) -> None:
        try:
            judged = self.judging.judge([job.scans for job in jobs])
        except Exception as error:
            if len(jobs) > 1 and not isinstance(error, HistoryDown):
                # What one request stumbles over is no reason to fail the others.
                for job in jobs:
                    self._judge([job])
                return
            with self._lock:
                self._waiting -= sum(len(job.scans) for job in jobs)
            for job in jobs:
                job.answered.set_exception(error)
            return
        models = self.models.models()
        for job, verdicts in zip(jobs, judged.verdicts, strict=True):
            in_service = {"rule": True, "lstm": models.lstm is not None, "svm": models.svm is not None}
            found = answer(job.scans, verdicts, job.endpoint, in_service[job.endpoint])
            with self._lock:
                self._waiting -= len(job.scans)
            job.answered.set_result(orjson.dumps(found))
            self._count(job, verdicts)
        self.metrics.add("new_events_total", judged.new)
        for stage, seconds in judged.stages.items():
            self.metrics.observe("stage_seconds", seconds, stage=stage)

    def _count(self, job: _Job, verdicts: np.ndarray) -> None:
        self.metrics.add("events_total", len(job.scans), endpoint=job.endpoint)
        counts = labels_of_bits(verdicts[f"{job.endpoint}_labels"]).sum(axis=0).tolist()
        for label, count in zip(LABELS, counts, strict=True):
            if count:
                self.metrics.add("labels_total", count, endpoint=job.endpoint, label=label)

    # ------------------------------------------------------------------ beside

    def _look_after(self) -> None:
        """Follow the models, and forget what is too old, once an hour."""
        last = 0.0
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                refused = len(self.models.now.refused)
                if self.models.refresh():
                    self._tell_models()
                if len(self.models.now.refused) > refused:
                    self.metrics.add("models_refused_total")
                if time.monotonic() - last > 3600:
                    last = time.monotonic()
                    self.history.prune(self.clock.now() - self.options.retention_days * 86_400_000)
            except Exception:
                _LOG.exception("looking after the service failed; it is tried again")

    def _tell_models(self) -> None:
        now = self.models.now
        _LOG.info("models in service", extra={"facts": now.about()})
        named = {"lstm": now.lstm_file, "one_class_svm": now.svm_folder}
        self.metrics.replace(
            "model_in_service",
            {(("file", path.name), ("kind", kind)): 1.0 for kind, path in named.items() if path is not None},
        )


def warm_up(settings: Settings, models: ModelsInService, zone: str) -> None:
    """Judge a few scans of an invented EPC over an empty history: every kernel is then compiled and loaded."""
    from barcode_pipeline.serving.memory_history import MemoryHistory

    site = int(settings.reference.sites.location_id[0])
    rows: list[dict[str, Any]] = [
        {"event_id": number, "file_id": 0, "event_time": f"2025-07-0{1 + number} 10:00:00", "location_id": site,
         "epc_code": "001.0000000.0000000.000000.20250701.000000001", "business_step": "WMS",
         "event_type": "WMS_Inbound"}
        for number in range(3)
    ]  # fmt: skip
    judging = Judging(MemoryHistory(), settings, models.models, zone_clock(zone))
    for some in (rows[:1], rows[1:], [{**rows[0], "epc_code": None, "event_time": "2025-07-01T10:00:00+09:00"}]):
        judging.judge([read_rows(some, zone)])
