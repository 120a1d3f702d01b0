"""The teachers by name, as the configuration gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from barcode_pipeline.errors import UserError
from barcode_pipeline.teachers.planted import PlantedAnomalies
from barcode_pipeline.teachers.rule_labels import RuleLabels
from barcode_pipeline.teachers.teacher import Teacher
from barcode_pipeline.teachers.verdicts import Judged, Verdicts

TEACHERS = ("rule_labels", "planted", "verdicts")


def teachers_named(names: Sequence[str], read_verdicts: Callable[[], Judged]) -> tuple[Teacher, ...]:
    """The teachers of some names, in that order. read_verdicts: asked only for the teacher that repeats them."""
    makers: dict[str, Callable[[], Teacher]] = {
        "rule_labels": RuleLabels,
        "planted": PlantedAnomalies,
        "verdicts": lambda: Verdicts(read_verdicts()),
    }
    for name in names:
        if name not in makers:
            raise UserError(f"There is no teacher {name!r}; training.teachers are among {', '.join(TEACHERS)}.")
    return tuple(makers[name]() for name in names)
