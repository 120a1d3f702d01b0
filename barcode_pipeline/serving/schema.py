"""The published schema: requests and answers as pydantic models, with worked examples. What reads them stands in
`requests`, what makes them in `answers`; tests hold both against these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from barcode_pipeline.events.formats import LABELS

LabelName = Literal["epcFake", "epcDup", "locErr", "evtOrderErr", "jump"]
Score = Field(default=None, ge=0, le=100)


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Event(_Open):
    """One scan. Unknown fields are ignored. `eventId` is accepted for `event_id`; one of the two is needed, and so is
    one of `location_id` and `scan_location`."""

    event_id: int | str | None = Field(default=None, description="The sender's id of the scan: a whole number.")
    eventId: int | str | None = Field(default=None, description="The same, under another name.")
    epc_code: str | None = Field(default=None, max_length=1000, description="Missing: judged as `epcFake` 100.")
    location_id: int | float | str | None = Field(default=None, description='`17`, `17.0` and `"17"` are one place.')
    scan_location: str | None = Field(default=None, max_length=1000, description="Name of the place.")
    business_step: str | None = Field(default=None, max_length=1000)
    event_type: str | None = Field(default=None, max_length=1000)
    event_time: str = Field(
        max_length=1000,
        description="`2025-07-01 10:34:17` or ISO 8601, with or without a zone; a time without one is the pipeline's.",
    )
    file_id: int | str = Field(description="Whose answer the scan belongs to: a whole number.")


class AnalyseRequest(_Open):
    """The scans to be judged, of any number of EPCs and files, in any order."""

    data: list[Event]


class JudgedEvent(_Closed):
    """An event with an anomaly: the labels that are true, each with its score from 0 to 100, and no others."""

    eventId: int
    jump: Literal[True] | None = None
    jumpScore: float | None = Score
    evtOrderErr: Literal[True] | None = None
    evtOrderErrScore: float | None = Score
    epcFake: Literal[True] | None = None
    epcFakeScore: float | None = Score
    epcDup: Literal[True] | None = None
    epcDupScore: float | None = Score
    locErr: Literal[True] | None = None
    locErrScore: float | None = Score


class LstmEvent(JudgedEvent):
    lstmScore: float = Field(ge=0, le=100, description="The highest of the event's labels.")
    method: Literal["lstm", "rule"] = Field(description="`rule` where the model was not asked or not trusted.")


class SvmEvent(JudgedEvent):
    svmScore: float = Field(ge=0, le=100, description="The highest of the event's labels.")
    method: Literal["svm", "rule"]


class FileStats(_Closed):
    """Anomalies, not events: `totalEvents` is the sum of the five counts."""

    totalEvents: int = Field(ge=0)
    jumpCount: int = Field(ge=0)
    evtOrderErrCount: int = Field(ge=0)
    epcFakeCount: int = Field(ge=0)
    epcDupCount: int = Field(ge=0)
    locErrCount: int = Field(ge=0)


class EpcStats(FileStats):
    epcCode: str = Field(description="Exactly as the request sent it.")


class _Answer(_Closed):
    fileId: int | None = Field(default=None, description="Left out where the request holds no event.")
    epcAnomalyStats: list[EpcStats]
    fileAnomalyStats: FileStats


class RuleAnswer(_Answer):
    EventHistory: list[JudgedEvent]


class LstmAnswer(_Answer):
    warning: str | None = Field(default=None, description="There where the rules stood in for a missing model.")
    EventHistory: list[LstmEvent]


class SvmAnswer(_Answer):
    warning: str | None = Field(default=None, description="There where the rules stood in for a missing model.")
    EventHistory: list[SvmEvent]


class ProblemEntry(BaseModel):
    """One thing that is wrong with a request."""

    row: int | None = Field(description="Place in the list, counted from 0; null where it is the whole request.")
    field: str | None = Field(description="Name of the field; null where it is the whole row.")
    msg: str
    loc: list[str | int] = Field(description="The same as a path into the body.")


class ErrorAnswer(BaseModel):
    """Why a request was not answered. Nothing of it was judged or stored."""

    error: str
    request_id: str | None = None
    detail: list[ProblemEntry] | None = None


class Alive(BaseModel):
    status: Literal["alive"]


class Ready(BaseModel):
    status: Literal["ready", "starting", "no model"]
    model: str | None = Field(description="File of the LSTM in service; null: the rules stand in, with a warning.")
    date: str | None = Field(default=None, description="Day of its training.")
    trained_to: str | None = None
    teacher: str | None = None
    refused: list[str] = Field(default=[], description="Why newer models were not taken.")


class JourneyEvent(BaseModel):
    """One event of a journey, as `/lstm` answered it."""

    event_id: int | None
    event_time: str
    location_id: int | str | None
    scan_location: str | None
    business_step: str | None
    event_type: str | None
    received: str | None = Field(description="When it came in live; null where it was filled in from nightly data.")
    labels: list[LabelName]
    scores: dict[LabelName, float] = Field(description="Of all labels: probabilities × 100, or the rules' scores.")
    rule_scores: dict[LabelName, float]
    method: Literal["lstm", "rule"]
    reason: str | None = Field(description="Why each label was set, and what would be normal.")


class Journey(BaseModel):
    epc_code: str
    events: list[JourneyEvent]


class AlertEntry(BaseModel):
    epc_code: str | None
    event_id: int | None
    event_time: str
    location_id: int | None
    scan_location: str | None
    labels: list[LabelName]
    scores: dict[LabelName, float] = Field(description="Of the labels that are set.")
    method: Literal["lstm", "rule"]
    reason: str | None
    received: str | None


class AlertPage(BaseModel):
    alerts: list[AlertEntry] = Field(description="In the order in which they came in.")
    next: str | None = Field(
        description="To be given as `after` for what follows; alerts that come in meanwhile follow."
    )


class Verdict(BaseModel):
    """An investigator's verdict on one event and one label."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    epc_code: str | None = Field(default=None, max_length=1000, description="Of the event; null where it has none.")
    event_id: int | None = Field(default=None, description="Of the event; not needed where the time tells it.")
    event_time: str | None = Field(default=None, max_length=100, description="Of the event, where ids do not tell it.")
    label: LabelName
    verdict: bool = Field(description="Whether the label holds.")
    who: str = Field(min_length=1, max_length=200)
    when: str | None = Field(default=None, max_length=100, description="When it was found; now, where it is left out.")


class FeedbackRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdicts: list[Verdict] = Field(min_length=1, max_length=1000)


class FeedbackAnswer(BaseModel):
    stored: int = Field(description="Verdicts that say something new.")
    known: int = Field(description="Verdicts that stood already.")


class ReviewEntry(BaseModel):
    model_config = ConfigDict(extra="allow")

    label: LabelName
    why: str
    probability: float
    epc_code: str | None
    event_time: str


class Review(BaseModel):
    made_at: str = Field(description="When the list was made, with the report: a time of the pipeline's zone.")
    model: str = Field(description="File of the model that was asked.")
    questions: list[ReviewEntry] = Field(description="The most valuable first.")


EXAMPLE_REQUEST: dict[str, Any] = {
    "data": [
        {"event_id": 301, "epc_code": "001.8804823.1203199.150002.20250701.000000001", "location_id": 1,
         "business_step": "Factory", "event_type": "Aggregation", "event_time": "2025-07-01T10:34:17", "file_id": 3},
        {"event_id": 302, "epc_code": "001.8804823.1203199.150002.20250701.000000001", "location_id": 30,
         "business_step": "Retailer", "event_type": "R_Stock_Inbound", "event_time": "2025-07-01T10:40:00",
         "file_id": 3},
    ]
}  # fmt: skip
_STATS = {"totalEvents": 2, "jumpCount": 1, "evtOrderErrCount": 0, "epcFakeCount": 0, "epcDupCount": 0,
          "locErrCount": 1}  # fmt: skip


def example_answer(**extra: Any) -> dict[str, Any]:
    """What the example request is answered with: six minutes from a factory to a retailer far away."""
    event = {"eventId": 302, "jump": True, "jumpScore": 95.0, "locErr": True, "locErrScore": 30.0, **extra}
    code = EXAMPLE_REQUEST["data"][0]["epc_code"]
    return {
        "fileId": 3,
        "EventHistory": [event],
        "epcAnomalyStats": [{"epcCode": code, **_STATS}],
        "fileAnomalyStats": dict(_STATS),
    }


ANSWERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "rule": (RuleAnswer, example_answer()),
    "lstm": (LstmAnswer, example_answer(lstmScore=95.0, method="lstm")),
    "svm": (SvmAnswer, example_answer(svmScore=95.0, method="svm")),
}
"""Model and worked example of each endpoint's answer."""

assert tuple(LabelName.__args__) == LABELS  # type: ignore[attr-defined]
