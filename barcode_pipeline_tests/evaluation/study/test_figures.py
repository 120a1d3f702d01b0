"""The headline, worked by hand."""

from __future__ import annotations

import pytest

from barcode_pipeline.evaluation.metrics import EACH_INVISIBLE
from barcode_pipeline.evaluation.study.figures import headline, over_seeds, target_of, verdict_ratio
from barcode_pipeline.evaluation.study.plan import LEFT_OUT
from barcode_pipeline_tests.evaluation.study.made_up import row


def test_median_lowest_and_highest_over_seeds() -> None:
    rows = [row(seed=seed, variants="rule_visible", recall=value) for seed, value in ((1, 0.9), (2, 0.5), (3, 0.7))]
    rows += [row(arm="rules", seed=1, variants="rule_visible", recall=0.2)]
    rows += [
        row(world="missed_10", variants="rule_visible", recall=0.4),
        row(variants="rule_visible", reference="rules"),
    ]
    found = headline(rows, {})["truth_recall_rule_visible"]
    assert (found["value"], found["low"], found["high"]) == (0.7, 0.5, 0.9)
    assert found["seeds"] == [1, 2, 3] and not found["fresh"]
    assert found["models"]["rules"]["value"] == 0.2
    assert headline(rows, {})["truth_recall_missed_10"]["value"] == 0.4


def test_fresh_seeds_alone_count_where_there_are_some() -> None:
    figure = over_seeds({1: 0.9, 2: 0.8, 101: 0.3, 102: 0.5})
    assert (figure["value"], figure["low"], figure["high"]) == (0.4, 0.3, 0.5)
    assert figure["seeds"] == [101, 102] and figure["fresh"]
    assert over_seeds({1: 0.9})["fresh"] is False
    assert over_seeds({})["value"] is None


def test_what_was_not_measured_is_null() -> None:
    found = headline([row(label="any", false_alerts_per_10k=None)], {})
    assert all(figure["value"] is None for figure in found.values())
    assert found["truth_false_alerts_per_10k"]["models"]["lstm"]["value"] is None


def test_the_invisible_are_told_by_label_and_by_variant_and_rules_are_judged_by_rules() -> None:
    rows = [row(variants=EACH_INVISIBLE, pr_auc=0.6), row(variants="rule_invisible", pr_auc=0.1)]
    rows += [row(arm="lstm_rule_labels", reference="rules", f1=0.98), row(reference="rules", f1=0.3)]
    found = headline(rows, {})
    assert found["truth_pr_auc_invisible"]["value"] == 0.1
    assert found["truth_pr_auc_each_invisible"]["value"] == 0.6
    assert found["lstm_vs_rules_macro_f1"]["value"] == 0.98


def test_left_out_is_the_mean_over_groups_and_needs_every_group() -> None:
    rows = []
    for place, (name, (_, variants)) in enumerate(LEFT_OUT.items()):
        for number, variant in enumerate(variants):
            rows.append(
                row("left_out", f"without_{name}", label="locErr", variants=variant, pr_auc=0.1 * place + 0.2 * number)
            )
            # The other groups' variants are planted there, and do not count.
            rows.append(row("left_out", f"without_{name}", label="locErr", variants="other", pr_auc=1.0))
    # never_issued 0.0, slow_clone 0.1, diverted 0.2 and 0.4, short_dwell 0.3
    assert headline(rows, {})["truth_pr_auc_unplanted"]["value"] == pytest.approx((0.0 + 0.1 + 0.3 + 0.3) / 4)
    assert headline(rows[2:], {})["truth_pr_auc_unplanted"]["value"] is None


def test_loss_in_an_unseen_network_is_per_seed() -> None:
    name = "recall_at_3_false_alerts"
    rows = [row(seed=seed, variants="rule_visible", **{name: value}) for seed, value in ((1, 0.9), (2, 0.8))]
    rows += [row(world="unseen_network", seed=1, variants="rule_visible", **{name: 0.8})]
    assert headline(rows, {})["truth_recall_loss_unseen_network"]["value"] == pytest.approx(0.1)


def test_verdicts_of_the_list_for_the_gain_of_random_ones() -> None:
    drawn = {0: 0.1, 100: 0.1, 1000: 0.2, 5000: 0.3}
    assert verdict_ratio({0: 0.1, 100: 0.3, 1000: 0.9}, drawn) == pytest.approx(100 / 5000)
    # Half the way in gain is half the way in the logarithm: the root of 100 × 1,000.
    assert verdict_ratio({0: 0.1, 100: 0.2, 1000: 0.4}, drawn) == pytest.approx((100 * 1000) ** 0.5 / 5000)
    assert verdict_ratio({0: 0.1, 100: 0.2, 5000: 0.25}, drawn) == 1, "it does not get there"
    assert verdict_ratio({0: 0.1, 100: 0.2}, drawn) is None, "nobody knows whether it would"
    assert verdict_ratio({0: 0.1, 100: 0.1, 300: 0.5}, {0: 0.1, 5000: 0.05}) == pytest.approx(100 / 5000, rel=0.01)
    assert verdict_ratio({}, drawn) is None


def test_variants_found_among_the_first_questions() -> None:
    def about(arm: str, asked: int, found: dict[str, int]) -> dict[str, object]:
        facts = {"asked": asked, "found_in_500": found}
        return {"question": "verdicts", "arm": arm, "seed": 1, "facts": facts}

    found = {"never_issued": 3, "slow_clone": 1, "diverted_item": 0, "diverted_group": 2, "short_dwell": 1}
    cells = {"a": about("list_100", 100, {}), "b": about("list_1000", 1000, found), "c": about("random_1000", 1000, {})}
    assert headline([], cells)["review_variants_found_500"]["value"] == pytest.approx(4 / 5)


def test_targets_know_their_direction() -> None:
    more, less = target_of("truth_pr_auc_all"), target_of("review_verdict_ratio")
    assert more is not None and more.met_by(0.97) and not more.met_by(0.96)
    assert less is not None and less.met_by(0.2) and not less.met_by(0.21)
    assert target_of("truth_recall_unseen_network") is None
