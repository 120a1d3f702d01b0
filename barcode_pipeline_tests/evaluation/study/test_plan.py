"""The plan: every name in it exists, every cell is one, and what matters changes a fingerprint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from barcode_pipeline.configuration import Configuration
from barcode_pipeline.errors import UserError
from barcode_pipeline.evaluation.study.arms import LIST, Arm, Asked, Decide, Fit, Lstm, Peer, Teaching, fingerprint
from barcode_pipeline.evaluation.study.cells import cell_fingerprint
from barcode_pipeline.evaluation.study.fitting import fit_fingerprint
from barcode_pipeline.evaluation.study.plan import EVENTS, LEFT_OUT, LEFT_OUT_VISIBLE, in_service, plan, questions
from barcode_pipeline.evaluation.study.worlds import world_fingerprint
from barcode_pipeline.models.baselines.registry import BASELINES
from barcode_pipeline.simulator.variants import VARIANTS
from barcode_pipeline.teachers.planting.families import FAMILIES
from barcode_pipeline.teachers.planting.settings import PlantingSettings
from barcode_pipeline_tests.evaluation.study.made_up import cell

CONFIGURATION = Configuration()


def test_families_and_variants_of_the_plan_exist_and_belong_together() -> None:
    families = {family.name: family for family in FAMILIES}
    variants = {variant.name: variant for variant in VARIANTS}
    for groups, seen in ((LEFT_OUT, False), (LEFT_OUT_VISIBLE, True)):
        for left_out, stands_for in groups.values():
            assert {families[name].rules_see for name in left_out} == {seen}
            assert {variants[name].rule_visible for name in stands_for} == {seen}
            assert {families[name].label for name in left_out} == {variants[name].label for name in stands_for}


def test_every_visible_family_can_be_left_out() -> None:
    visible = {family.name for family in FAMILIES if family.rules_see}
    assert {name for families, _ in LEFT_OUT_VISIBLE.values() for name in families} == visible


def test_keys_are_unique_and_seeds_come_one_after_the_other() -> None:
    cells = plan(CONFIGURATION, (1, 2))
    assert len({cell.key for cell in cells}) == len(cells)
    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)
    assert all(cell.taught_in.name == "default" for cell in cells if cell.question == "main")
    assert all(cell.taught_in == cell.judged_in for cell in cells if cell.question == "retrained")


def test_all_peers_stand_in_the_main_question_with_the_same_teaching() -> None:
    main = {arm.name: arm for arm in questions(CONFIGURATION)[0].arms}
    peers = {kind.name for kind in BASELINES}
    assert set(main) == {"rules", "lstm", "lstm_rule_labels", "lstm_one_layer", *peers}
    taught = in_service(CONFIGURATION).teaching
    assert all(main[name].fits[0].teaching == taught for name in peers | {"lstm", "lstm_one_layer"})


def test_little_worlds_are_planted_upon_as_often_as_training_does() -> None:
    def copies(question: str, events: int | None = None) -> int:
        asked = {one.name: one for one in questions(CONFIGURATION, events)}
        return asked[question].arms[-1].fits[0].teaching.planting.copies

    assert (copies("main"), copies("size")) == (2, CONFIGURATION.planting.settings(EVENTS).copies)
    assert copies("main", 100_000) == copies("size", 100_000) == 4


def test_worlds_and_questions_can_be_asked_for() -> None:
    cells = plan(CONFIGURATION, (1,), worlds=("missed_30",))
    assert {cell.judged_in.name for cell in cells} == {"missed_30"}
    assert not any(cell.question == "left_out_visible" for cell in plan(CONFIGURATION, (1,)))
    named = plan(CONFIGURATION, (1,), named=("left_out_visible/*",))
    assert any(cell.question == "left_out_visible" for cell in named)
    with pytest.raises(UserError, match="There is no world 'nowhere'"):
        plan(CONFIGURATION, (1,), worlds=("nowhere",))


LESSON = Teaching(("planted",))
FIT = Fit(Lstm(), LESSON)


@pytest.mark.parametrize(
    "other",
    [
        Fit(Lstm(width=32), LESSON),
        Fit(Lstm(), replace(LESSON, teachers=("rule_labels",))),
        Fit(Lstm(), replace(LESSON, planting=PlantingSettings(leave_out=("left_soon",)))),
        Fit(Lstm(), LESSON, without_shipment=True),
        Fit(Lstm(), LESSON, asked=Asked(LIST, 100)),
        Fit(Peer("decision_tree"), LESSON),
        Fit(Peer("decision_tree", settings=(("leaves", 8),)), LESSON),
        Fit(Peer("decision_tree", searched=True), LESSON),
    ],
)
def test_each_setting_of_a_fit_changes_its_fingerprint(other: Fit) -> None:
    assert fit_fingerprint(FIT, "world", 1) == fit_fingerprint(Fit(Lstm(), Teaching(("planted",))), "world", 1)
    assert fit_fingerprint(FIT, "world", 1) != fit_fingerprint(other, "world", 1)
    assert fit_fingerprint(FIT, "other world", 1) != fit_fingerprint(FIT, "world", 1)
    assert fit_fingerprint(FIT, "world", 2) != fit_fingerprint(FIT, "world", 1)


def test_deciding_and_worlds_change_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    one = replace(cell(), arm=Arm("lstm", (FIT,)))
    before = cell_fingerprint(one, "taught", "judged")
    others = [
        cell_fingerprint(replace(one, arm=replace(one.arm, decide=Decide(budget=6.0))), "taught", "judged"),
        cell_fingerprint(replace(one, arm=replace(one.arm, decide=Decide(rules_first=1))), "taught", "judged"),
        cell_fingerprint(one, "other", "judged"),
        cell_fingerprint(one, "taught", "other"),
    ]
    monkeypatch.setattr("barcode_pipeline.evaluation.study.fitting.FEATURE_VERSION", -1)
    others.append(cell_fingerprint(one, "taught", "judged"))
    assert len({before, *others}) == len(others) + 1


def test_a_worlds_parameters_and_the_split_change_its_fingerprint() -> None:
    here = cell().judged_in
    other = CONFIGURATION.model_copy(update={"split": CONFIGURATION.split.model_copy(update={"held_out_lots": 7})})
    found = [
        world_fingerprint(here, CONFIGURATION),
        world_fingerprint(replace(here, seed=2), CONFIGURATION),
        world_fingerprint(replace(here, name="missed_10"), CONFIGURATION),
        world_fingerprint(replace(here, events=2000), CONFIGURATION),
        world_fingerprint(here, other),
    ]
    assert len(set(found)) == len(found)


def test_a_fingerprint_needs_plain_values() -> None:
    assert fingerprint(Decide(), (1, 2.5, None)) == fingerprint(Decide(), [1, 2.5, None])
    with pytest.raises(TypeError, match="no plain value"):
        fingerprint(object())
