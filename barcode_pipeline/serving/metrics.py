"""What the service counts, in the text form that Prometheus reads. No library is needed for so few figures."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping

BUCKETS = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histograms, seconds."""
PREFIX = "barcode_pipeline_"

_Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counters, gauges and histograms by name and labels. Any thread may add to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._help: dict[str, tuple[str, str]] = {}
        self._values: dict[str, dict[_Labels, float]] = {}
        self._histograms: dict[str, dict[_Labels, list[float]]] = {}

    def counter(self, name: str, text: str) -> None:
        self._help[name], self._values[name] = ("counter", text), {}

    def gauge(self, name: str, text: str) -> None:
        self._help[name], self._values[name] = ("gauge", text), {}

    def histogram(self, name: str, text: str) -> None:
        self._help[name], self._histograms[name] = ("histogram", text), {}

    def add(self, name: str, value: float = 1.0, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        with self._lock:
            values = self._values[name]
            values[key] = values.get(key, 0.0) + value

    def set(self, name: str, value: float, **labels: str) -> None:
        with self._lock:
            self._values[name][tuple(sorted(labels.items()))] = value

    def replace(self, name: str, values: Mapping[_Labels, float]) -> None:
        """All values of a gauge at once: those of labels that are gone go too."""
        with self._lock:
            self._values[name] = dict(values)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        with self._lock:
            counts = self._histograms[name].setdefault(key, [0.0] * (len(BUCKETS) + 2))
            counts[bisect_left(BUCKETS, seconds)] += 1
            counts[-1] += seconds

    def text(self) -> str:
        lines = []
        with self._lock:
            for name, (kind, text) in self._help.items():
                full = PREFIX + name
                lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
                for key, value in self._values.get(name, {}).items():
                    lines.append(f"{full}{_shown(key)} {_number(value)}")
                for key, counts in self._histograms.get(name, {}).items():
                    total = 0.0
                    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts[:-1], strict=True):
                        total += count
                        lines.append(f"{full}_bucket{_shown((*key, ('le', bound)))} {_number(total)}")
                    lines += [
                        f"{full}_sum{_shown(key)} {counts[-1]:.9g}",
                        f"{full}_count{_shown(key)} {_number(total)}",
                    ]
        return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.9g}"


def _shown(labels: _Labels) -> str:
    if not labels:
        return ""
    words = (f'{name}="{_escaped(value)}"' for name, value in labels)
    return "{" + ",".join(words) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def service_metrics() -> Metrics:
    """The figures of this service, all of them known from the start."""
    metrics = Metrics()
    metrics.counter("requests_total", "Requests answered, by path and status.")
    metrics.histogram("request_seconds", "From the first byte of a request to its answer, by path.")
    metrics.histogram("stage_seconds", "Seconds of one step of judging, by stage.")
    metrics.counter("events_total", "Events judged or answered from history, by endpoint.")
    metrics.counter("new_events_total", "Events that were not known before.")
    metrics.counter("labels_total", "Labels answered, by endpoint and label.")
    metrics.gauge("waiting_events", "Events accepted and not yet judged.")
    metrics.gauge("history_size", "What the history holds, by kind.")
    metrics.gauge("model_in_service", "1 for the model that judges, by kind and file.")
    metrics.counter("models_refused_total", "Model files that did not fit.")
    return metrics
