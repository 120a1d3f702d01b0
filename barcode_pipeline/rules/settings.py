"""What of the rules is configured. Apart from the kernels, so that the configuration loads without compiling."""

from __future__ import annotations

from dataclasses import dataclass

from barcode_pipeline.events.formats import LABELS


@dataclass(frozen=True)
class RuleSettings:
    """What of the rules is configured: registered companies, the fastest truck (km/h), thresholds (0 to 100)
    in the order of `LABELS`."""

    companies: tuple[str, ...] = ("8804823", "8805843", "8809437")
    v_max: float = 100.0
    thresholds: tuple[float, ...] = (1.0,) * len(LABELS)
