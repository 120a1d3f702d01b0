"""What if: the alerts that a change would bring and take away, by label and site. Columns in, a table out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from barcode_pipeline.events.formats import LABELS

ALL_SITES = "all sites"
ANY = "any"


@dataclass(frozen=True)
class Reference:
    """What is known of the events. right, wrong: (N, 5) bool, labels that hold and labels that do not; elsewhere
    nothing is known. name: what says so, such as `verdicts`; names: what right and wrong are called."""

    name: str
    right: np.ndarray
    wrong: np.ndarray
    names: tuple[str, str]


def by_verdicts(judged: np.ndarray, holds: np.ndarray) -> Reference:
    """judged, holds: (N, 5) bool, labels with a verdict, and the confirmed ones."""
    return Reference("verdicts", judged & holds, judged & ~holds, ("confirmed", "rejected"))


def by_truth(truth: np.ndarray, aftermath: np.ndarray) -> Reference:
    """truth: (N, 5) bool; aftermath: (N,) bool. An alert is false where an event is neither anomalous nor aftermath."""
    ordinary = ~truth.any(axis=1) & ~aftermath
    return Reference("truth", truth, np.broadcast_to(ordinary[:, None], truth.shape), ("true", "false"))


def compare(
    before: np.ndarray, after: np.ndarray, site: np.ndarray, names: np.ndarray, references: tuple[Reference, ...] = ()
) -> pd.DataFrame:
    """Alerts before and after a change, a row per label and site that has any, and one over all sites.

    before, after: (N, 5) bool. site: (N,) int into `names` (S,). Columns: label (the five and `any`, events with any
    alert), site, before, after, gained, lost; per reference `gained_confirmed`, `gained_rejected`, `lost_confirmed`,
    `lost_rejected` or as its two names are, the gained and lost alerts of which it is known. Labels stand in their
    order, sites by how much changes.
    """
    columns = _counted(before, after, references)
    parts = []
    for place, label in enumerate((*LABELS, ANY)):
        counts = {
            name: np.bincount(site, weights=values[:, place], minlength=len(names)).astype(np.int64)
            for name, values in columns.items()
        }
        sites = pd.DataFrame({"label": label, "site": names, **counts})
        sites = sites[(sites["before"] > 0) | (sites["after"] > 0)]
        change = sites["gained"] + sites["lost"]
        sites = sites.iloc[np.lexsort((sites["site"].astype(str), -sites["before"], -change))]
        whole = {name: int(values.sum()) for name, values in counts.items()}
        parts += [pd.DataFrame([{"label": label, "site": ALL_SITES, **whole}]), sites]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _counted(before: np.ndarray, after: np.ndarray, references: tuple[Reference, ...]) -> dict[str, np.ndarray]:
    """What each column counts, (N, 6) bool: the five labels, then any of them."""
    with_any = [np.column_stack([alerts, alerts.any(axis=1)]) for alerts in (before, after)]
    gained, lost = with_any[1] & ~with_any[0], with_any[0] & ~with_any[1]
    columns = {"before": with_any[0], "after": with_any[1], "gained": gained, "lost": lost}
    for reference in references:
        # An event is right by any label that holds, and wrong where one does not and none is known to hold.
        right = np.column_stack([reference.right, reference.right.any(axis=1)])
        wrong = np.column_stack([reference.wrong, reference.wrong.any(axis=1) & ~right[:, -1]])
        for change, alerts in (("gained", gained), ("lost", lost)):
            columns[f"{change}_{reference.names[0]}"] = alerts & right
            columns[f"{change}_{reference.names[1]}"] = alerts & wrong
    return columns
