"""Words for what moved the score of an alert: a phrase per group of features, with the value and what is ordinary.

A phrase completes "most of all for …"; beside it stands what is normal there. Numbers are taken back out of the
features, which are kept in few digits: they are said as "about". Which group moved a score is
`models.attribution`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from barcode_pipeline.events.steps import DIRECTION_NAMES, LEVEL_NAMES, LEVEL_UNKNOWN
from barcode_pipeline.models.attribution import GROUPS, HISTORY, NO_GROUP, Attribution
from barcode_pipeline.sequences.features import FEATURE_NAMES

NORMAL_CODE = "a code is 001.company.product.lot.YYYYMMDD.serial, made before its scans"
SECOND_SAID_FROM = 0.25
"""Share of the first group's part from which on the second is said as well."""
_COLUMN = {name: column for column, name in enumerate(FEATURE_NAMES)}
_NEVER = 3.0
"""A `lot_hours_since_last` that stands for: not once."""

Said = tuple[pd.Series, pd.Series]


class Moved:
    """The features of some alerts and what is ordinary for their steps, beside the facts of the same alerts."""

    def __init__(self, facts: pd.DataFrame, values: np.ndarray, ordinary: np.ndarray) -> None:
        self.facts, self._values, self._ordinary = facts, values, ordinary

    def own(self, name: str) -> pd.Series:
        return self.series(self._values[:, _COLUMN[name]])

    def ordinary(self, name: str, quantile: int = 1) -> pd.Series:
        """quantile: 0 the low end, 1 the middle, 2 the high end."""
        return self.series(self._ordinary[:, quantile, _COLUMN[name]])

    def series(self, values: object) -> pd.Series:
        return pd.Series(values, index=self.facts.index)

    def words(self, text: str) -> pd.Series:
        return pd.Series(text, index=self.facts.index, dtype=object)

    def between(self, name: str, say: Callable[[pd.Series], pd.Series]) -> pd.Series:
        """`1 h to 3 h`, or `1 h` where both ends read the same."""
        low, high = say(self.ordinary(name, 0)), say(self.ordinary(name, 2))
        return low.where(low == high, low + " to " + high)

    def some(self, chosen: np.ndarray) -> Moved:
        return Moved(self.facts[chosen], self._values[chosen], self._ordinary[chosen])


def say_what_moved(facts: pd.DataFrame, attribution: Attribution) -> Said:
    """(what moved the score, what is normal) of each alert, empty where no group did. Row n of both is alert n.

    facts: step, before_step, before_place, hours; and of the earlier event that moved the score earlier_step,
    earlier_place, earlier_hours (until the alert); texts are None and numbers NaN without one.
    """
    moved = Moved(facts, attribution.values, attribution.ordinary)
    why, normal = moved.words(""), moved.words("")
    second = attribution.part[:, 1] >= SECOND_SAID_FROM * attribution.part[:, 0]
    for turn in range(2):
        said = attribution.group[:, turn] if turn == 0 else np.where(second, attribution.group[:, 1], NO_GROUP)
        for group in np.unique(said[said != NO_GROUP]):
            chosen = said == group
            reason, ordinary = _PHRASES[GROUPS[group]](moved.some(chosen))
            before = why[chosen]
            why[chosen] = before.where(before == "", before + ", then for ") + reason
            before = normal[chosen]
            normal[chosen] = before.where(before == "", before + ", and ") + ordinary
    return why, normal


def duration(hours: pd.Series) -> pd.Series:
    """`2 h`, `3.2 h`, `40 min`, `28 d`."""
    values = hours.to_numpy(dtype=float)
    # By what would be written: `60 min` and `72 h` are `1 h` and `3 d`.
    texts = np.where(
        values < 59.5 / 60,
        pd.Series(values * 60).map("{:.0f} min".format),
        np.where(
            values < 71.95, pd.Series(values).map("{:.1f} h".format), pd.Series(values / 24).map("{:.0f} d".format)
        ),
    )
    return pd.Series(texts, index=hours.index, dtype=object).str.replace(".0 h", " h", regex=False)


def _grown(scale: float) -> Callable[[pd.Series], pd.Series]:
    """Numbers out of features that are log(1 + number) / scale."""
    return lambda values: pd.Series(np.expm1(values.to_numpy(float) * scale), index=values.index).clip(lower=0)


def _whole(numbers: pd.Series) -> pd.Series:
    return numbers.map("{:,.0f}".format)


def _kilometres(values: pd.Series) -> pd.Series:
    return _whole(_grown(2)(values)) + " km"


def _percent(log_shares: pd.Series) -> pd.Series:
    percent = pd.Series(np.exp(2 * log_shares.to_numpy(float)) * 100, index=log_shares.index)
    return percent.map("{:.0f} %".format).where(percent >= 0.95, "under 1 %")


def _age_in_days(values: pd.Series) -> pd.Series:
    return _whole(values.astype(float) * 730.5).replace("-0", "0") + " d"


def _code(moved: Moved) -> Said:
    return moved.words("the form of its code"), moved.words(NORMAL_CODE)


def _age(moved: Moved) -> Said:
    known = moved.own("code_date_readable") > 0
    age = "its age, about " + _age_in_days(moved.own("years_since_manufacture")) + " after manufacture"
    usual = "this step usually comes " + moved.between("years_since_manufacture", _age_in_days) + " after manufacture"
    return age.where(known, "an age that its code does not tell"), usual


def _place(moved: Moved) -> Said:
    known = moved.words("a place of the sites table").where(moved.own("place_known") > 0, "a place that is not known")
    return known, moved.words("places are in the sites table")


def _second(moved: Moved) -> Said:
    sites = (moved.own("sites_in_second") + 1).map("{:.0f}".format)
    sites = sites.where(sites != "4", "four or more")
    return "its sites in one second, " + sites, moved.words("an item is at one site at a time")


def _sending(moved: Moved) -> Said:
    late = moved.own("overtaken_levels") > 0
    return (
        moved.words("the order of sending").where(~late, "having been sent after a step that must come later"),
        moved.words("scans are sent in the order they happen"),
    )


def _step_before(moved: Moved) -> Said:
    facts = moved.facts
    there = facts["before_place"].notna()
    came = "what it follows, " + facts["before_step"].fillna("") + " at " + facts["before_place"].fillna("")
    level = (moved.ordinary("previous_level") * 2).round().clip(0, LEVEL_UNKNOWN).astype(int)
    usual = moved.series(np.array([*LEVEL_NAMES, "an unknown step"], dtype=object)[level])
    for name, direction in zip(("previous_in", "previous_out", "previous_sale"), DIRECTION_NAMES[:3], strict=True):
        usual = usual.where(moved.ordinary(name) == 0, usual + " " + direction)
    same = moved.ordinary("same_place") > 0
    where = moved.words(" at another place").where(~same, " at the same place")
    follows = "this step usually follows " + usual + where
    first = moved.ordinary("is_first") > 0
    return came.where(there, "having no scan before it"), follows.where(~first, "this step usually is the first scan")


def _distance(moved: Moved) -> Said:
    known = moved.own("distance_known") > 0
    far = "the distance, about " + _kilometres(moved.own("log_distance"))
    usual = "this step usually is " + moved.between("log_distance", _kilometres) + " from the one before"
    return far.where(known, "a distance that is not known"), usual


def _time(moved: Moved) -> Said:
    hours = moved.facts["hours"]
    since = "the time since the scan before, " + duration(hours.fillna(0))
    usual = moved.between("log_hours_since_previous", lambda values: duration(_grown(2)(values)))
    return since.where(
        hours.notna(), "having no scan before it to measure time from"
    ), "this step usually takes " + usual


def _journey(moved: Moved) -> Said:
    def number(values: pd.Series) -> pd.Series:
        return _whole(_grown(1)(values) + 1)

    def since(values: pd.Series) -> pd.Series:
        return duration(_grown(3)(values))

    own = "being scan " + number(moved.own("log_position")) + " of its journey"
    after = since(moved.own("log_hours_since_first"))
    usual = "this step usually is scan " + moved.between("log_position", number)
    return (
        own + ", about " + after + " after the first",
        usual + ", " + moved.between("log_hours_since_first", since) + " after the first",
    )


def _lot_site(moved: Moved) -> Said:
    scans = _grown(3)(moved.own("lot_log_events"))
    share = _percent(moved.own("lot_log_share_of_site"))
    own = (
        "a site unusual for its shipment, where about "
        + share
        + " of its lot's "
        + moved.facts["step"]
        + " scans were so far (about "
        + _whole(scans)
        + " scans of the lot in all)"
    )
    usual = "usually " + moved.between("lot_log_share_of_site", _percent) + " of them are at one site"
    return own.where(scans >= 0.5, "being the first scan of its lot"), usual


def _lot_way(moved: Moved) -> Said:
    alike = _whole(_grown(3)(moved.own("lot_log_moves_alike")))
    own = "a way unusual for its shipment, which about " + alike + " of its lot took before it"
    usual = _whole(_grown(3)(moved.ordinary("lot_log_moves_alike")))
    return own, "usually about " + usual + " did"


def _lot_pace(moved: Moved) -> Said:
    def since(values: pd.Series) -> pd.Series:
        return duration(_grown(3)(values)).where(values < _NEVER, "never")

    last = moved.own("lot_hours_since_last")
    own = "its lag behind its shipment, last seen at this step here about " + since(last) + " before"
    usual = "usually " + moved.between("lot_hours_since_last", since) + " before"
    return own.where(last < _NEVER, "its shipment never having been seen at this step here"), usual


def _companions(moved: Moved) -> Said:
    def count(name: str) -> pd.Series:
        return _whole(_grown(2)(moved.own(name)))

    alone = _grown(2)(moved.own("companions_log_count")) < 0.5
    own = (
        "the way of the items that were with it (about "
        + count("companions_log_here")
        + " came here, "
        + count("companions_log_elsewhere")
        + " went elsewhere, "
        + count("companions_log_waiting")
        + " were not seen since)"
    )
    usual = _whole(_grown(2)(moved.ordinary("companions_log_here")))
    return own.where(
        ~alone, "no other item having been with it at the scan before"
    ), "usually about " + usual + " come along"


def _made(moved: Moved) -> Said:
    never = moved.own("lot_never_made") > 0
    beyond = _whole(_grown(2)(moved.own("serial_beyond")))
    own = "its serial, about " + beyond + " beyond the highest of its lot that was seen to be made"
    return own.where(~never, "its lot, of which nothing was seen to be made"), moved.words(
        "goods were seen at the factory or warehouse before"
    )


def _history(moved: Moved) -> Said:
    facts, journey = moved.facts, moved.words("what came before in its journey")
    some = facts["earlier_place"].notna()
    event = facts["earlier_step"].fillna("") + " at " + facts["earlier_place"].fillna("")
    since = facts["earlier_hours"].fillna(0)
    own = journey + ", above all " + event + " " + duration(since) + " before"
    usual = moved.words("with an ordinary ") + facts["earlier_step"].fillna("") + " there it would be less suspicious"
    return own.where(some, journey), usual.where(some, "by itself it would be less suspicious")


_PHRASES: dict[str, Callable[[Moved], Said]] = {
    "code": _code,
    "age": _age,
    "place": _place,
    "second": _second,
    "sending": _sending,
    "step_before": _step_before,
    "distance": _distance,
    "time": _time,
    "journey": _journey,
    "lot_site": _lot_site,
    "lot_way": _lot_way,
    "lot_pace": _lot_pace,
    "companions": _companions,
    "made": _made,
    GROUPS[HISTORY]: _history,
}
