"""A lesson of bounded size: what is learnt from grows with data, what a night may cost does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from barcode_pipeline.teachers.teacher import Lesson


def thinned(lesson: Lesson, journeys: int, seed: Sequence[int]) -> Lesson:
    """The lesson with weights in learning on at most so many journeys, drawn at random. Journeys with a weight above 1
    (verdicts) all stay, beyond that number too. Validation is left as it is."""
    taught = lesson.journeys.with_any(lesson.train > 0)
    heavy = lesson.journeys.with_any(lesson.train > 1)
    others = np.flatnonzero(taught & ~heavy)
    room = max(0, journeys - int(heavy.sum()))
    if len(others) <= room:
        return lesson
    keep = heavy
    keep[np.random.default_rng(seed).permutation(others)[:room]] = True
    of_event = np.repeat(keep, np.diff(lesson.journeys.offsets))
    return lesson.with_weights(np.where(of_event, lesson.train, 0), lesson.validation)
