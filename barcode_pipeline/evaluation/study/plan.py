"""What the study asks: the questions, the arms that answer them, and the worlds that they are judged in.

A new arm is a line in a question's list. What the lines mean stands in `arms`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from barcode_pipeline.configuration import Configuration
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.study.arms import LIST, RANDOM, Arm, Asked, Decide, Fit, Lstm, Peer, Teaching
from barcode_pipeline.evaluation.study.cells import Cell
from barcode_pipeline.evaluation.study.judging import Detail
from barcode_pipeline.evaluation.study.worlds import WorldKey
from barcode_pipeline.models.budgets import BUDGETS
from barcode_pipeline.models.training_settings import TrainingSettings
from barcode_pipeline.simulator.worlds import STUDY_WORLDS
from barcode_pipeline.teachers.planting.families import FAMILIES

WORKING_SEEDS = (1, 2, 3, 4, 5, *(100 * hundred + seed for hundred in range(2, 10) for seed in range(1, 6)))
"""Looked at while working: 1 to 5, 201 to 205 and so on to 901 to 905; every other seed is fresh."""
SEEDS = (1001, 1002, 1003, 1004, 1005)
"""Of the study unless other ones are asked for: the model in service was judged on them once, and they are fresh."""

DEFAULT = "default"
WORLDS = tuple(STUDY_WORLDS)
EVENTS = 200_000
LARGE_EVENTS = {DEFAULT: 920_000, "missed_10": 920_000, "missed_30": 920_000, "sparse": 920_000}
"""Events of the headline's worlds in the main question; all other worlds have `EVENTS`."""

VERDICTS = (100, 300, 1_000, 5_000)
LEFT_OUT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "never_issued": (("beyond_serials", "lot_nobody_made"), ("never_issued",)),
    "slow_clone": (("copy_while_waiting", "copy_goes_on"), ("slow_clone",)),
    "diverted": (("diverted", "diverted_to_shop"), ("diverted_item", "diverted_group")),
    "short_dwell": (("left_soon",), ("short_dwell",)),
}
"""What rules cannot see: planter families that are left out together, and the simulator's variants they stand for."""

LEFT_OUT_VISIBLE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "code_shape": (("code_shape",), ("not_six_parts",)),
    "code_header": (("code_header",), ("wrong_header",)),
    "code_company": (("code_company",), ("unregistered_company",)),
    "code_product": (("code_product",), ("product_length",)),
    "code_lot": (("code_lot",), ("lot_length",)),
    "code_serial": (("code_serial",), ("serial_length",)),
    "code_date": (("code_date",), ("date_unreadable",)),
    "code_future": (("code_future",), ("date_in_future",)),
    "code_old": (("code_old",), ("too_old",)),
    "code_missing": (("code_missing",), ("missing_epc",)),
    "same_second": (("same_second",), ("simultaneous",)),
    "backward": (("backward",), ("backward",)),
    "skipped": (("skipped",), ("skipped_warehouse", "skipped_wholesaler")),
    "unknown_place": (("unknown_place",), ("unknown_location",)),
    "unknown_step": (("unknown_step",), ("unknown_step",)),
    "repeated": (("repeated",), ("inbound_twice", "repeated_thrice")),
    "swapped": (("swapped",), ("outbound_before_inbound",)),
    "type_missing": (("type_missing",), ("missing_event_type",)),
    "sent_late": (("sent_late",), ("sent_too_late",)),
    "too_fast": (("too_fast",), ("too_fast",)),
    "too_slow": (("too_slow",), ("route_outlier",)),
}
"""The same of what rules see: asked only where `CELLS` names `left_out_visible`."""


@dataclass(frozen=True)
class Question:
    """asks: for the write-up. arms: each is judged in every world. taught_in: the world that arms learn in, None for
    the one they are judged in. detail: which rows are kept. large: in the sizes of the headline. by_name: asked only
    where `CELLS` names it."""

    name: str
    asks: str
    arms: tuple[Arm, ...]
    worlds: tuple[str, ...] = (DEFAULT,)
    taught_in: str | None = DEFAULT
    detail: Detail = field(default_factory=Detail)
    large: bool = False
    by_name: bool = False


def in_service(configuration: Configuration, events: int = LARGE_EVENTS[DEFAULT]) -> Fit:
    """The LSTM as the configuration has it, by the teachers that it names; verdicts have questions of their own.

    events: of the world that it is taught in.
    """
    model, training, planting = configuration.model, configuration.training, configuration.planting
    lstm = Lstm(
        model.layers,
        model.width,
        model.dropout,
        configuration.sequences.length,
        training.settings(),
    )
    teachers = tuple(name for name in training.teachers if name != "verdicts") or ("planted",)
    searcher = replace(lstm, training=replace(lstm.training, epochs=min(training.epochs, planting.search_epochs)))
    teaching = Teaching(
        teachers,
        planting.settings(events),
        planting.passes,
        searcher,
        planting.search_share,
        planting.suspect_probability,
        planting.corruption_epochs,
    )
    return Fit(lstm, teaching)


def questions(configuration: Configuration, events: int | None = None) -> tuple[Question, ...]:
    """All questions, the main one first. events: of every world, instead of the plan's sizes."""
    fit = in_service(configuration, events or EVENTS)
    return (
        Question(
            "main",
            "One model per seed, taught in the default world, judged unchanged in every world.",
            main_arms(in_service(configuration, events or LARGE_EVENTS[DEFAULT])),
            WORLDS,
            detail=Detail(strata=True, labels=True, visible=True),
            large=True,
        ),
        Question(
            "left_out",
            "Families that rules cannot see and the planter does not plant, each left out in turn: the honest figure "
            "for the unknown, without verdicts and with 1,000.",
            tuple(arm for name in LEFT_OUT for arm in _left_out(fit, name, LEFT_OUT[name][0])),
        ),
        Question(
            "left_out_visible",
            "Families that rules see, each left out in turn.",
            tuple(_left_out(fit, name, families)[0] for name, (families, _) in LEFT_OUT_VISIBLE.items()),
            detail=Detail(visible=True),
            by_name=True,
        ),
        Question(
            "verdicts",
            "What verdicts bring for variants that neither rules nor planter know: none of the families that rules "
            "cannot see is planted. A verdict is an event looked at, told for all five labels.",
            _verdict_arms(fit),
        ),
        Question(
            "retrained",
            "The same model taught anew in each world, beside the unchanged one of the main question.",
            (Arm("lstm", (fit,)),),
            tuple(name for name in WORLDS if name != DEFAULT),
            taught_in=None,
            detail=Detail(labels=True),
        ),
        Question("teachers", "Who teaches, and from what.", _teacher_arms(fit), (DEFAULT, "missed_10")),
        Question("length", "How many events of an EPC the model sees.", _length_arms(fit), (DEFAULT, "missed_10")),
        Question("size", "Layers and width.", _size_arms(fit), (DEFAULT, "missed_10")),
        Question("training", "How it is trained.", _training_arms(fit), (DEFAULT, "missed_10")),
        Question("cold_start", "How many first events of an EPC are left to the rules.", _cold_start_arms(fit)),
        Question(
            "threshold",
            "Thresholds of highest F1 on validation, or by a budget of false alerts per 10,000 scans.",
            _threshold_arms(fit),
            (DEFAULT, "missed_10", "missed_30"),
            detail=Detail(labels=True),
        ),
        Question(
            "calibration",
            "Platt's sigmoid on validation, or the network's own probabilities.",
            (Arm("calibrated", (fit,)), Arm("uncalibrated", (fit,), Decide(calibrated=False))),
        ),
        Question("together", "Rules beside the model, and averages of models.", _together_arms(fit)),
    )  # fmt: skip


def main_arms(fit: Fit) -> tuple[Arm, ...]:
    """The rules, the LSTM in service and its peers: the same teaching, features and split."""
    lstm, teaching = _lstm(fit), fit.teaching
    rules = replace(teaching, teachers=("rule_labels",), passes=1)
    return (
        Arm("rules"),
        Arm("lstm", (fit,)),
        # Judged by how well it repeats the rules: by thresholds of highest F1.
        Arm("lstm_rule_labels", (replace(fit, teaching=rules),), Decide(budget=0.0)),
        Arm("lstm_one_layer", (replace(fit, detector=replace(lstm, layers=1)),)),
        Arm("decision_tree", (Fit(Peer("decision_tree", searched=True), teaching),)),
        Arm("gradient_boosting", (Fit(Peer("gradient_boosting", searched=True), teaching),)),
        Arm("step_ngram", (Fit(Peer("step_ngram", searched=True), teaching),)),
        Arm("nearest_neighbours", (Fit(Peer("nearest_neighbours", searched=True), teaching),)),
        Arm("one_class_svm", (Fit(Peer("one_class_svm", searched=True), teaching),)),
        Arm("next_event", (Fit(Peer("next_event", searched=True), teaching),)),
    )


def _left_out(fit: Fit, name: str, families: Sequence[str]) -> tuple[Arm, Arm]:
    without = replace(fit, teaching=_without(fit.teaching, families))
    return (
        Arm(f"without_{name}", (without,), model="lstm"),
        Arm(f"without_{name}_1000_verdicts", (replace(without, asked=Asked(LIST, 1_000)),), model="lstm"),
    )


def _verdict_arms(fit: Fit) -> tuple[Arm, ...]:
    unknown = [family.name for family in FAMILIES if not family.rules_see]
    without = replace(fit, teaching=_without(fit.teaching, unknown))
    asked = [Asked(by, count) for count in VERDICTS for by in (LIST, RANDOM)]
    arms = [Arm(f"{one.by}_{one.count}", (replace(without, asked=one),), model="lstm") for one in asked]
    return Arm("none", (without,), model="lstm"), *arms


def _teacher_arms(fit: Fit) -> tuple[Arm, ...]:
    teaching, planting = fit.teaching, fit.teaching.planting
    planted = replace(teaching, teachers=("planted",))
    quiet = replace(planting, noise=replace(planting.noise, missed_reads=0.0))

    def arm(name: str, changed: Teaching, asked: Asked | None = None, without_shipment: bool = False) -> Arm:
        return Arm(name, (Fit(fit.detector, changed, without_shipment, asked),), model="lstm")

    rules = replace(teaching, teachers=("rule_labels",), passes=1)
    return (
        arm("planted", planted),
        arm("rule_labels", rules),
        arm("planted_and_rule_labels", replace(teaching, teachers=("planted", "rule_labels"))),
        arm("planted_and_1000_verdicts", planted, asked=Asked(LIST, 1_000)),
        arm("rule_labels_and_1000_verdicts", rules, asked=Asked(LIST, 1_000)),
        *(arm(f"planted_in_{one}_passes", replace(planted, passes=one)) for one in (1, 2, 3)),
        arm("planted_without_shipment_features", planted, without_shipment=True),
        arm("rule_labels_without_shipment_features", rules, without_shipment=True),
        arm("planted_without_dropped_reads", replace(planted, planting=quiet)),
        *(
            arm(f"planted_in_{one}_copies", replace(planted, planting=replace(planting, copies=one)))
            for one in (1, 2, 4, 8)
        ),
        *(arm(f"planted_share_{one}", replace(planted, planting=replace(planting, share=one))) for one in (0.05, 0.2)),
    )


def _length_arms(fit: Fit) -> tuple[Arm, ...]:
    return tuple(_shaped(fit, f"length_{one}", replace(_lstm(fit), longest=one)) for one in (5, 10, 15, 20))


def _size_arms(fit: Fit) -> tuple[Arm, ...]:
    sizes = [(layers, width) for layers in (1, 2) for width in (32, 64, 128)]
    return tuple(
        _shaped(fit, f"{layers}_x_{width}", replace(_lstm(fit), layers=layers, width=width)) for layers, width in sizes
    )


def _training_arms(fit: Fit) -> tuple[Arm, ...]:
    lstm = _lstm(fit)

    def arm(name: str, training: TrainingSettings) -> Arm:
        return _shaped(fit, name, replace(lstm, training=training))

    return (
        arm("as_in_service", lstm.training),
        arm("half_the_epochs", replace(lstm.training, epochs=max(1, lstm.training.epochs // 2))),
        arm("twice_the_epochs", replace(lstm.training, epochs=2 * lstm.training.epochs)),
        arm("half_the_learning_rate", replace(lstm.training, learning_rate=lstm.training.learning_rate / 2)),
        _shaped(fit, "no_dropout", replace(lstm, dropout=0.0)),
        _shaped(fit, "dropout_0.3", replace(lstm, dropout=0.3)),
    )


def _cold_start_arms(fit: Fit) -> tuple[Arm, ...]:
    return tuple(Arm(f"first_{k}_by_rules", (fit,), Decide(rules_first=k), model="lstm") for k in range(4))


def _threshold_arms(fit: Fit) -> tuple[Arm, ...]:
    budgets = [Arm(f"budget_{budget:g}", (fit,), Decide(budget=budget), model="lstm") for budget in BUDGETS[1:-2]]
    return Arm("best_f1", (fit,), Decide(budget=0.0), model="lstm"), *budgets


def _together_arms(fit: Fit) -> tuple[Arm, ...]:
    boosting = Fit(Peer("gradient_boosting", searched=True), fit.teaching)
    one_layer = replace(fit, detector=replace(_lstm(fit), layers=1))
    return (
        Arm("lstm_alone", (fit,), model="lstm"),
        Arm("rules_beside_lstm", (fit,), Decide(rules_beside=True)),
        Arm("lstm_and_boosting", (fit, boosting)),
        Arm("rules_beside_lstm_and_boosting", (fit, boosting), Decide(rules_beside=True)),
        Arm("two_lstms", (fit, one_layer)),
    )


def _shaped(fit: Fit, name: str, lstm: Lstm) -> Arm:
    """Another LSTM by the same lesson: suspects stay those of the model in service."""
    return Arm(name, (replace(fit, detector=lstm),), model="lstm")


def _without(teaching: Teaching, families: Sequence[str]) -> Teaching:
    planting = teaching.planting
    left_out = tuple(dict.fromkeys((*planting.leave_out, *families)))
    return replace(teaching, teachers=("planted",), planting=replace(planting, leave_out=left_out))


def _lstm(fit: Fit) -> Lstm:
    assert isinstance(fit.detector, Lstm)
    return fit.detector


# --- cells -------------------------------------------------------------------------------------------------------


def plan(
    configuration: Configuration,
    seeds: Sequence[int],
    worlds: Sequence[str] = (),
    named: Sequence[str] = (),
    events: int | None = None,
) -> list[Cell]:
    """All cells of some seeds, seed by seed. worlds: only those judged in these. named: what `CELLS` says, for
    questions that are only asked by name. events: of every world, instead of the plan's sizes."""
    _check_worlds(worlds)
    cells = []
    for seed in seeds:
        for question in questions(configuration, events):
            if question.by_name and not any(one.split("/")[0] == question.name for one in named):
                continue
            sizes: Mapping[str, int] = LARGE_EVENTS if question.large else {}
            for arm in question.arms:
                for name in question.worlds:
                    if worlds and name not in worlds:
                        continue
                    judged = WorldKey(name, seed, events or sizes.get(name, EVENTS))
                    taught_name = question.taught_in or name
                    taught = WorldKey(taught_name, seed, events or sizes.get(taught_name, EVENTS))
                    detail = replace(question.detail, visible=question.detail.visible and name == DEFAULT)
                    cells.append(Cell(question.name, arm, taught, judged, detail))
    return cells


def quick_plan(configuration: Configuration, seeds: Sequence[int], events: int) -> list[Cell]:
    """A tiny study that goes through every part once: a few arms, small worlds, short training."""
    fit = in_service(configuration, events)
    lstm = replace(_lstm(fit), width=16, training=replace(_lstm(fit).training, epochs=2))
    short = Fit(lstm, replace(fit.teaching, teachers=("planted",), passes=2, searcher=lstm))
    main = tuple(
        replace(arm, fits=tuple(Fit(Peer(one.name), short.teaching) for one in _peers(arm)) or arm.fits)
        for arm in main_arms(short)
        if arm.name in ("rules", "lstm", "decision_tree")
    )
    without = replace(short, teaching=_without(short.teaching, LEFT_OUT["short_dwell"][0]))
    asked = [Arm("none", (without,), model="lstm")]
    asked += [Arm(f"{by}_100", (replace(without, asked=Asked(by, 100)),), model="lstm") for by in (LIST, RANDOM)]
    cells = []
    for seed in seeds:
        default = WorldKey(DEFAULT, seed, events)
        detail = Detail(strata=True, labels=True, visible=True, replicates=20)
        for world in (default, WorldKey("missed_10", seed, events)):
            cells += [Cell("main", arm, default, world, detail) for arm in main]
        few = Detail(replicates=20)
        left_out = _left_out(short, "short_dwell", LEFT_OUT["short_dwell"][0])[0]
        cells += [Cell("left_out", left_out, default, default, few)]
        cells += [Cell("verdicts", arm, default, default, few) for arm in asked]
        cells += [Cell("cold_start", arm, default, default, few) for arm in _cold_start_arms(short)[:2]]
    return cells


def own_plan(configuration: Configuration, seeds: Sequence[int], world: WorldKey, events: int) -> list[Cell]:
    """The main question on a user's own files: taught on their training lots, judged on those held out. events: how
    many they hold."""
    detail = Detail(strata=True, labels=True, visible=True)
    keys = [replace(world, seed=seed) for seed in seeds]
    return [Cell("main", arm, key, key, detail) for key in keys for arm in main_arms(in_service(configuration, events))]


def _peers(arm: Arm) -> list[Peer]:
    return [fit.detector for fit in arm.fits if isinstance(fit.detector, Peer)]


def _check_worlds(worlds: Sequence[str]) -> None:
    for name in worlds:
        if name not in WORLDS:
            raise UserError(f"There is no world {name!r}; WORLDS takes {', '.join(WORLDS)}.")


def is_fresh(seed: int) -> bool:
    """Whether nobody has looked at the seed while working."""
    return seed not in WORKING_SEEDS
