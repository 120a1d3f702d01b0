"""From columns of events to five scores each: the face of the rules, for batch and for live alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.codes import ParsedCodes
from barcode_pipeline.events.followed import Followed, follow_codes
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.places import Reference
from barcode_pipeline.events.times import SECONDS_PER_DAY
from barcode_pipeline.rules.kernel import FAKE, epc_fake, judge_journey
from barcode_pipeline.rules.settings import RuleSettings

HIGH, MEDIUM, LOW = 70, 40, 20
"""Lowest scores of the severities; below is NORMAL."""


@dataclass(frozen=True)
class RuleScores:
    """scores: (N, 5) uint8, 0 to 100. evidence: (N, 5) uint16, which part of each rule spoke (`kernel`).
    previous: (N,) int32, the event before in the chain, -1 without one."""

    scores: np.ndarray
    evidence: np.ndarray
    previous: np.ndarray

    def labels(self, settings: RuleSettings) -> np.ndarray:
        """(N, 5) bool: the scores that reach their thresholds."""
        # Scores are whole numbers: those that reach a threshold reach the next whole one.
        return self.scores >= np.ceil(settings.thresholds).astype(np.uint8)


def score_events(events: Events, reference: Reference, settings: RuleSettings) -> RuleScores:
    """The five scores of every event, which may be one or millions, in any order."""
    return score_followed(follow_codes(events, settings.companies), reference, settings)


def score_followed(followed: Followed, reference: Reference, settings: RuleSettings) -> RuleScores:
    """`score_events` of events whose codes were read, with the settings' companies, and journeys followed."""
    events, travel = followed.events, followed.travel
    scores = np.zeros((len(events), len(LABELS)), dtype=np.uint8)
    evidence = np.zeros((len(events), len(LABELS)), dtype=np.uint16)
    sites, routes = reference.sites, reference.routes
    _judge_codes(travel.epc, travel.time, scores, evidence, *_code_columns(followed.codes))
    _judge_journeys(
        travel.journeys.offsets, travel.previous, travel.late, settings.v_max,
        travel.time, travel.level, travel.direction, travel.place, events.places.site, sites.distances,
        routes.start, routes.destination, routes.mean, routes.std, routes.minimum, scores, evidence,
    )  # fmt: skip
    return RuleScores(travel.by_row(scores), travel.by_row(evidence), travel.previous_rows())


def _code_columns(codes: ParsedCodes) -> tuple[np.ndarray, ...]:
    return (
        codes.six_parts,
        codes.header_is_001,
        codes.company,
        codes.product_digits_7,
        codes.lot_digits_6,
        codes.serial_digits_9,
        codes.manufacture_day,
        codes.too_old_after_day,
    )


@compiled
def _judge_codes(
    epc: np.ndarray,
    time: np.ndarray,
    scores: np.ndarray,
    evidence: np.ndarray,
    six_parts: np.ndarray,
    header_is_001: np.ndarray,
    company: np.ndarray,
    product_digits_7: np.ndarray,
    lot_digits_6: np.ndarray,
    serial_digits_9: np.ndarray,
    manufacture_day: np.ndarray,
    too_old_after_day: np.ndarray,
) -> None:
    for row in range(len(epc)):
        scores[row, FAKE], evidence[row, FAKE] = epc_fake(
            epc[row], time[row] // SECONDS_PER_DAY, six_parts, header_is_001, company, product_digits_7,
            lot_digits_6, serial_digits_9, manufacture_day, too_old_after_day,
        )  # fmt: skip


@compiled
def _judge_journeys(
    offsets: np.ndarray,
    previous: np.ndarray,
    late: np.ndarray,
    v_max: float,
    time: np.ndarray,
    level: np.ndarray,
    direction: np.ndarray,
    place: np.ndarray,
    site: np.ndarray,
    distances: np.ndarray,
    route_start: np.ndarray,
    route_destination: np.ndarray,
    route_mean: np.ndarray,
    route_std: np.ndarray,
    route_minimum: np.ndarray,
    scores: np.ndarray,
    evidence: np.ndarray,
) -> None:
    openers = np.empty(4, dtype=np.int32)
    for journey in range(len(offsets) - 1):
        judge_journey(
            offsets[journey], offsets[journey + 1], previous, late, v_max,
            time, level, direction, place, site, distances,
            route_start, route_destination, route_mean, route_std, route_minimum, openers, scores, evidence,
        )  # fmt: skip
