"""Simulated worlds: scan events of a supply chain with known anomalies, in the form of the real files.

Only the command line, the study, the benchmarks and the tests use this package. It knows the formats of
events and nothing else of the pipeline, so that the truth it writes owes nothing to what is judged by it.
"""

from __future__ import annotations

from barcode_pipeline.simulator.simulation import Simulation, simulate
from barcode_pipeline.simulator.world import AnomalyRates, Noise, World
from barcode_pipeline.simulator.worlds import STUDY_WORLDS, study_world
from barcode_pipeline.simulator.writing import (
    ExistingSimulation,
    ensure_sample_data,
    existing_simulation,
    write_simulation,
)

__all__ = [
    "STUDY_WORLDS",
    "AnomalyRates",
    "ExistingSimulation",
    "Noise",
    "Simulation",
    "World",
    "ensure_sample_data",
    "existing_simulation",
    "simulate",
    "study_world",
    "write_simulation",
]
